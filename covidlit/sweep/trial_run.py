"""One trial of a sweep: trained and validated like any run, without a look at the test part.

Scans of the test part are not prepared, not loaded and not scored: settings that were chosen with
their help would make the test worthless.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from optuna import TrialPruned

from covidlit.cohort.development import development_fold, development_split
from covidlit.files import write_text
from covidlit.runs.lightning_runner import LightningRunner
from covidlit.runs.outcomes import outcome_of
from covidlit.runs.outcomes.outcome import Tables
from covidlit.settings.words import CONFIG
from covidlit.sweep.trial import SweepTrial
from covidlit.sweep.trial_checks import check_trial

if TYPE_CHECKING:
    from covidlit.datamodules.cohort_data import CohortData
    from covidlit.runs.folds import Fold
    from covidlit.runs.outcomes.outcome import Outcome
    from covidlit.runs.runner import Runner
    from covidlit.sweep.pruning import PruningCallback

log = logging.getLogger(__name__)

VALIDATED = ("validation",)


def run_trial(config: dict[str, Any], run_dir: Path, trial: SweepTrial) -> float:
    """Train and validate one trial.

    Leaves `config.yaml`, `split.json`, `logs/`, `checkpoints/` and `predictions.parquet` (of the
    validation part) in `run_dir`; with folds all but the configuration in `fold_<k>/`, and the
    predictions of all folds in `run_dir` as well. What a pruned trial has written until then stays.

    Args:
        config: the resolved tree of `conf/train.yaml` as plain types.
        run_dir: the trial's folder.
        trial: whom to report to.

    Returns:
        The outcome's value (the AUC) on the validation part, with the weights that a run is judged
        by; with folds its mean over the folds.

    Raises:
        TrialPruned: the pruner has ended it.
        ConfigError: a setting that makes no sense in a sweep, or no AUC can be had.
        TrainingError: the training diverged, or the AUC is undefined.
    """
    from covidlit.runs.steps import begin, load_data, score, train

    check_trial(config)
    write_text(run_dir / CONFIG, yaml.safe_dump(config, sort_keys=False))
    with trial:
        runner = begin(config, run_dir)
        outcome = outcome_of(runner)
        data = load_data(config, runner, _developed)
        _check_value(outcome, data)
        if trial.folds is not None:
            return _cross_validate(config, run_dir, trial, data, outcome)
        callback = _follow(runner, outcome, trial)
        config = train(config, run_dir, data, runner)
        if callback is not None and callback.pruned:
            raise TrialPruned(callback.pruned)
        return outcome.value(score(config, run_dir, data, runner, parts=VALIDATED))


def _developed(data: CohortData) -> CohortData:
    """Without the test part."""
    return data.with_split(partial(development_split, data.split))


def _check_value(outcome: Outcome, data: CohortData) -> None:
    outcome.check_selection(
        data,
        f"a trial's value, the {outcome.metric},",
        "split",
        "hydra.sweeper.folds=5 (cross-validation)",
    )


def _cross_validate(
    config: dict[str, Any], run_dir: Path, trial: SweepTrial, data: CohortData, outcome: Outcome
) -> float:
    """The mean value of the folds; the pruner is asked after each but the last."""
    from covidlit.runs.cross_validation import join_tables, train_folds

    folds = _folds(config, run_dir, trial, data)
    for fold in folds:
        fold.data.setup()
        _check_value(outcome, fold.data)
    tables: list[Tables] = []
    values: list[float] = []
    follow = partial(_follow_fold, outcome=outcome, trial=trial)
    for trained in train_folds(folds, adapt=follow):
        tables.append(trained.tables)
        values.append(outcome.value(trained.tables))
        mean = sum(values) / len(values)
        log.info(
            "Fold %d (%d of %d): validation %s %.4f; mean so far %.4f.", trained.number,
            trained.number + 1, len(folds), outcome.metric, values[-1], mean,
        )  # fmt: skip
        trial.report(mean, trained.number)
        if len(values) < len(folds) and trial.should_prune():
            reason = (
                f"pruned after {len(values)} of {len(folds)} folds by {trial.pruner_name}: the "
                f"mean {outcome.metric} is {mean:.4f}, too low beside the earlier trials"
            )
            log.info("Trial %d is %s.", trial.number, reason)
            raise TrialPruned(reason)
    outcome.write(join_tables(tables), run_dir)
    return mean


def _folds(
    config: dict[str, Any], run_dir: Path, trial: SweepTrial, data: CohortData
) -> Sequence[Fold]:
    from covidlit.runs.folds import Fold

    assert trial.folds is not None
    return [
        Fold(
            number,
            config,
            run_dir / f"fold_{number}",
            data.with_split(
                partial(_development_fold, split=data.split, n_folds=trial.folds, fold=number)
            ),
            VALIDATED,
            {"run_id": run_dir.name, "fold": number},
        )
        for number in range(trial.folds)
    ]


def _development_fold(table: Any, split: Any, n_folds: int, fold: int) -> Any:
    return development_fold(split, table, n_folds, fold)


def _follow_fold(runner: Runner, fold: Fold, outcome: Outcome, trial: SweepTrial) -> None:
    _follow(runner, outcome, trial, fold.number)


def _follow(
    runner: Runner, outcome: Outcome, trial: SweepTrial, fold: int | None = None
) -> PruningCallback | None:
    """Let a training count its epochs for the trial and, without folds, report them to it."""
    from covidlit.sweep.pruning import PruningCallback, check_direction

    callback: PruningCallback | None = None
    if isinstance(runner, LightningRunner):
        callback = PruningCallback(trial, report=trial.folds is None)
        runner.further_callbacks.append(callback)
        runner.belongs_to = _place_in_sweep(trial, fold)
    task = runner.task if isinstance(runner, LightningRunner) and trial.folds is None else None
    check_direction(trial, outcome, task)
    trial.name_metric(f"validation {outcome.metric}" if task is None else task.monitor)
    return callback


def _place_in_sweep(trial: SweepTrial, fold: int | None) -> dict[str, str]:
    """How Weights & Biases shows a trial: by its name, in the group of its study."""
    name = f"{trial.study_name} {trial.number}"
    return {"group": trial.study_name, "name": name if fold is None else f"{name} fold {fold}"}
