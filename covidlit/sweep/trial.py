"""What a job of a sweep knows of its trial: its number, and the study that it reports to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from covidlit.errors import ConfigError
from covidlit.sweep.storage import open_storage, refuse_other_machines

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial


@dataclass(frozen=True)
class SweepTrial:
    """One trial of a study, opened at first use, in whatever process or machine its job runs.

    The job only reports to it; the sweeper alone says in the end how the trial went. As a context
    it gives the connection to the storage back.

    Args:
        number: of the trial in its study.
        study_name: of the study.
        storage: see `covidlit.sweep.storage.open_storage`.
        sweep_dir: the sweep's folder.
        folds: number of folds that the objective is the mean of; None: no cross-validation.
        pruner: a node with the `_target_` of a pruner of Optuna; None: no trial is pruned.
    """

    number: int
    study_name: str
    storage: str | None
    sweep_dir: Path
    folds: int | None = None
    pruner: Mapping[str, Any] | None = None

    def __enter__(self) -> Self:
        trial_id = self._trial._trial_id  # a trial that is not there is said before it trains
        storage = self._study._storage
        refuse_other_machines(storage, [storage.get_trial(trial_id)], self.sweep_dir)
        return self

    def __exit__(self, *_: object) -> None:
        if "_study" in self.__dict__:
            self._study._storage.remove_session()

    @property
    def direction(self) -> str:
        """Of the study: "maximize" or "minimize"."""
        return str(self._study.direction.name).lower()

    @property
    def prunes(self) -> bool:
        """Whether the pruner can stop a trial at all."""
        from optuna.pruners import NopPruner

        return not isinstance(self._study.pruner, NopPruner)

    @property
    def pruner_name(self) -> str:
        """Class of the pruner, such as "MedianPruner"."""
        return type(self._study.pruner).__name__

    def report(self, value: float, step: int) -> None:
        """Write an intermediate value: of an epoch, or of a fold with folds; steps are from 0."""
        self._trial.report(value, step)

    def should_prune(self) -> bool:
        """Whether the pruner would stop the trial, by what was reported of it and of the others."""
        return bool(self._trial.should_prune())

    def count_epoch(self) -> None:
        """Write that one more epoch is finished, as the trial's attribute `epochs`."""
        done = int(self._trial.user_attrs.get("epochs", 0))
        self._trial.set_user_attr("epochs", done + 1)

    def name_metric(self, metric: str) -> None:
        """Write what the reported values are, as the study's attribute `metric`, once."""
        if "metric" not in self._study.user_attrs:
            self._study.set_user_attr("metric", metric)

    @cached_property
    def _study(self) -> Study:
        import optuna
        from hydra.utils import instantiate

        # A random sampler: nothing is asked here, and the default one may look at all trials.
        try:
            return optuna.load_study(
                study_name=self.study_name,
                storage=open_storage(self.storage, self.sweep_dir),
                sampler=optuna.samplers.RandomSampler(),
                pruner=instantiate(self.pruner) if self.pruner else optuna.pruners.NopPruner(),
            )
        except KeyError as error:
            raise self._missing(f"there is no study {self.study_name!r}") from error

    @cached_property
    def _trial(self) -> Trial:
        from optuna.trial import Trial

        study = self._study
        try:
            trial_id = study._storage.get_trial_id_from_study_id_trial_number(
                study._study_id, self.number
            )
        except KeyError as error:
            raise self._missing(
                f"the study {self.study_name!r} has no trial {self.number}"
            ) from error
        return Trial(study, trial_id)

    def _missing(self, what: str) -> ConfigError:
        return ConfigError(
            f"{what}.",
            where="hydra.sweeper.trial",
            fix="leave it out: the sweeper sets it for its jobs (`python train.py -m sweep=...`).",
        )


def current_trial(hydra_config: Any) -> SweepTrial | None:
    """The trial that this job runs for, or None outside of covidlit's sweeps.

    Args:
        hydra_config: `HydraConfig.get()` of the job.
    """
    from omegaconf import OmegaConf

    number = OmegaConf.select(hydra_config, "sweeper.trial")
    if number is None:
        return None
    sweeper = hydra_config.sweeper
    pruner = OmegaConf.to_container(sweeper.pruner, resolve=True) if sweeper.get("pruner") else None
    return SweepTrial(
        number=int(number),
        study_name=str(sweeper.study_name),
        storage=sweeper.get("storage"),
        # The job may have changed its folder (hydra.job.chdir).
        sweep_dir=Path(str(hydra_config.runtime.cwd), str(hydra_config.sweep.dir)),
        folds=sweeper.get("folds"),
        pruner={str(k): v for k, v in pruner.items()} if isinstance(pruner, dict) else None,
    )
