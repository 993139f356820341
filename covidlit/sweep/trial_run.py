"""One trial of a sweep: trained and validated like any run, without a look at the test part.

Scans of the test part are not prepared, not loaded and not scored: settings that were chosen with
their help would make the test worthless.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.cohort.development import development_fold, development_split
from covidlit.errors import TrainingError
from covidlit.sweep.trial import SweepTrial
from covidlit.sweep.trial_checks import check_trial

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.cohort import Split

log = logging.getLogger(__name__)


def run_trial(config: dict[str, Any], run_dir: Path, trial: SweepTrial) -> float:
    """Train and validate one trial.

    Leaves `config.yaml`, `split.json`, `logs/`, `checkpoints/` and `predictions.parquet` (of the
    validation part) in `run_dir`; with folds all but the first in `fold_<k>/`, and the predictions
    of all folds in `run_dir` as well. What a pruned trial has written until then stays.

    Args:
        config: the resolved tree of `conf/train.yaml` as plain types.
        run_dir: the trial's folder.
        trial: whom to report to.

    Returns:
        The AUC on the validation part, with the weights that a run is judged by; with folds its
        mean over the folds.

    Raises:
        TrialPruned: the pruner has ended it.
        ConfigError: a setting that makes no sense in a sweep, or no AUC can be had.
        TrainingError: the training diverged, or the AUC is undefined.
    """
    from covidlit.runs.steps import write_config

    check_trial(config)
    write_config(config, run_dir)
    with trial:
        if trial.folds is not None:
            return _cross_validate(config, run_dir, trial)
        predictions = _train_and_validate(config, run_dir, trial, development_split)
        return validation_auc(predictions)


def validation_auc(predictions: pd.DataFrame) -> float:
    """The AUC of the scored scans of a predictions table.

    Args:
        predictions: contract 6, of the validation part alone.

    Raises:
        TrainingError: it is undefined, with the reason.
    """
    from covidlit.evaluation.auc import auc_estimate
    from covidlit.evaluation.evaluate import as_binary
    from covidlit.evaluation.predictions import accepted, validate_predictions

    table = accepted(as_binary(validate_predictions(predictions))[0])
    auc = auc_estimate(table["target"].to_numpy(), table["score"].to_numpy(float))
    if auc.value is None:
        raise TrainingError(
            f"the AUC on the validation part is undefined: {auc.reason}.",
            fix="choose a split whose validation part has scans of every class.",
        )
    return auc.value


def _cross_validate(config: dict[str, Any], run_dir: Path, trial: SweepTrial) -> float:
    """The mean AUC of the folds; the pruner is asked after each but the last."""
    import pandas as pd
    from optuna import TrialPruned

    from covidlit.evaluation import write_predictions

    n_folds = trial.folds
    assert n_folds is not None
    tables: list[pd.DataFrame] = []
    aucs: list[float] = []
    for fold in range(n_folds):
        folder = run_dir / f"fold_{fold}"
        use = partial(development_fold, n_folds=n_folds, fold=fold)
        facts = {"run_id": run_dir.name, "fold": fold}
        tables.append(_train_and_validate(config, folder, trial, use, **facts))
        aucs.append(validation_auc(tables[-1]))
        mean = sum(aucs) / len(aucs)
        log.info(
            "Fold %d (%d of %d): validation AUC %.4f; mean so far %.4f.",
            fold, fold + 1, n_folds, aucs[-1], mean,
        )  # fmt: skip
        trial.report(mean, fold)
        if fold + 1 < n_folds and trial.should_prune():
            reason = (
                f"pruned after {fold + 1} of {n_folds} folds by {trial.pruner_name}: the mean AUC "
                f"is {mean:.4f}, too low beside the earlier trials"
            )
            log.info("Trial %d is %s.", trial.number, reason)
            raise TrialPruned(reason)
    write_predictions(pd.concat(tables, ignore_index=True), run_dir / "predictions.parquet")
    return mean


def _train_and_validate(
    config: dict[str, Any],
    folder: Path,
    trial: SweepTrial,
    use: Callable[[Split, pd.DataFrame], Split],
    **facts: Any,
) -> pd.DataFrame:
    """One training and its predictions of the validation part; see `run_trial`."""
    from optuna import TrialPruned

    from covidlit.runs.checks import check_selection
    from covidlit.runs.lightning_runner import LightningRunner
    from covidlit.runs.steps import begin, build_runner, load_data, score, train
    from covidlit.sweep.pruning import PruningCallback, check_direction

    begin(config, folder)
    datamodule = load_data(config, use)
    check_selection(
        datamodule, "a trial's value, the AUC,", "split", "hydra.sweeper.folds=5 (cross-validation)"
    )
    runner = build_runner(config, datamodule)
    callback: PruningCallback | None = None
    if isinstance(runner, LightningRunner):
        callback = PruningCallback(trial, report=trial.folds is None)
        runner.further_callbacks.append(callback)
        runner.belongs_to = _place_in_sweep(trial, facts.get("fold"))
    epochs = callback is not None and callback.report
    check_direction(trial, runner.task if isinstance(runner, LightningRunner) and epochs else None)
    trial.name_metric(runner.task.monitor if epochs else "validation AUC")  # type: ignore[attr-defined]
    train(runner, datamodule, folder)
    if callback is not None and callback.pruned:
        raise TrialPruned(callback.pruned)
    return score(runner, datamodule, folder, seed=config["seed"], parts=("validation",), **facts)


def _place_in_sweep(trial: SweepTrial, fold: int | None) -> dict[str, str]:
    """How Weights & Biases shows a trial: by its name, in the group of its study."""
    name = f"{trial.study_name} {trial.number}"
    return {"group": trial.study_name, "name": name if fold is None else f"{name} fold {fold}"}
