"""Compose and run one Hydra job of a sweep, in whatever process it is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobStatus, run_job, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict

from covidlit.errors import ConfigError
from covidlit.sweep.outcome import Outcome, outcome_of, outcome_of_error

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Application:
    """The Hydra application whose jobs are run."""

    context: HydraContext
    config: DictConfig
    task: TaskFunction

    @property
    def is_covidlit(self) -> bool:
        """Whether the jobs are runs of `train.py`."""
        names = (getattr(self.task, "__module__", None), getattr(self.task, "__name__", None))
        return names == ("covidlit.cli.train", "run")

    @property
    def search_path(self) -> list[str]:
        """Where the command line lets Hydra look for configurations (`--config-dir`)."""
        sources = OmegaConf.select(self.config, "hydra.runtime.config_sources") or []
        return [f"{s.schema}://{s.path}" for s in sources if s.provider == "command-line"]

    def compose(self, number: int, overrides: Sequence[str]) -> DictConfig:
        """The configuration of the job with that trial number."""
        config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = f"{config.hydra.job.name}_{number}"
            config.hydra.job.num = number
        return config


def job_folder(config: DictConfig) -> tuple[Path, str]:
    """The sweep's folder, and the job's within it; composed configurations know both."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)  # ${hydra:...} reads from here
    try:
        root = str(OmegaConf.select(config, "hydra.sweep.dir"))
        return Path(root), str(OmegaConf.select(config, "hydra.sweep.subdir"))
    finally:
        HydraConfig.instance().cfg = before


def refuse_used(folder: Path) -> None:
    """Never write into a folder that holds something, such as a trial of a study that is lost.

    Raises:
        ConfigError: it is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(
            "the folder of the trial is not empty.",
            where=folder,
            fix="move it away, or choose another hydra.sweep.dir or hydra.sweeper.study_name.",
        )


def run_application(
    application: Application,
    number: int,
    overrides: Sequence[str],
    started: Callable[[str], None],
) -> Outcome:
    """Run the job of a trial in this process.

    Args:
        application: the Hydra application.
        number: of the trial.
        overrides: of the job, all of them.
        started: called with the job's folder, relative to the sweep's, before it runs.
    """
    start = time.perf_counter()
    setup_globals()
    try:
        config = application.compose(number, overrides)
        root, folder = job_folder(config)
        refuse_used(root / folder)
    except Exception as error:  # the trial fails with the reason, and the sweep goes on
        return replace(outcome_of_error(error), clean=True)
    composed = time.perf_counter()
    started(folder)
    HydraConfig.instance().set_config(config)
    returned = run_job(
        hydra_context=application.context,
        task_function=application.task,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
    seconds = time.perf_counter() - composed
    raised = returned._return_value if returned.status == JobStatus.FAILED else None
    if raised is not None and not isinstance(raised, optuna.TrialPruned):
        log.error("The trial failed.", exc_info=raised)  # into the log of the trial's folder
    outcome = outcome_of(returned, seconds)
    return replace(outcome, timing={"compose": composed - start})


def hydra_state() -> Any:
    """Hydra's singletons (search path, stored configurations), for another process."""
    return Singleton.get_state()


def set_hydra_state(state: Any) -> None:
    """Take over the singletons of the process that started this one."""
    setup_globals()
    Singleton.set_state(state)
