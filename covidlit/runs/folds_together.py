"""Folds whose networks are so small that they are trained as one; see `covidlit.tasks.together`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from covidlit.datamodules.tables import TableDataModule
from covidlit.progress import progress_bar
from covidlit.runs.folds import Fold
from covidlit.runs.lightning_runner import LightningRunner
from covidlit.runs.run_folder import is_begun
from covidlit.runs.steps import build_runner
from covidlit.tasks.severity import SeverityPrediction
from covidlit.tasks.together import can_be_together, fit_together

if TYPE_CHECKING:
    from covidlit.runs.runner import Runner
    from covidlit.tasks import BaseTask

log = logging.getLogger(__name__)

WATCHING = ("BestCheckpoint", "ModelCheckpoint", "RichProgressBar", "TQDMProgressBar")
"""Callbacks that change nothing of what a network learns; others, such as EarlyStopping, may."""


def train_together(folds: Sequence[Fold], runner: Runner) -> dict[int, BaseTask]:
    """The trained tasks of the folds, by number; none where they have to be trained one by one.

    Folds that were begun before are left out: they are finished, or go on from their checkpoint.

    Args:
        folds: their data set up.
        runner: as `covidlit.runs.steps.begin` has made it, of the first fold.
    """
    waiting = [fold for fold in folds if not is_begun(fold.run_dir)]
    if len(waiting) < 2 or not isinstance(runner, LightningRunner) or runner.weights != "last":
        return {}
    config = waiting[0].config
    loggers = (config["model"].get("logger") or {}).keys()
    wanted = (config.get("cross_validation") or {}).get("together", True) and loggers <= {"csv"}
    nodes = (config["model"].get("callbacks") or {}).values()
    watching = all(str(each["_target_"]).rpartition(".")[2] in WATCHING for each in nodes if each)
    tables = all(isinstance(fold.data, TableDataModule) for fold in waiting)
    if not wanted or not watching or not tables or not isinstance(runner.task, SeverityPrediction):
        return {}
    tasks = [_task_of(fold) for fold in waiting]
    trainer = config["trainer"]
    if not can_be_together(tasks[0], trainer):
        return {}
    epochs = trainer["max_epochs"]
    log.info(
        "%d folds are trained as one: their networks are small. No epoch is logged; with "
        "cross_validation.together=false they are trained one by one, with a log of each epoch.",
        len(waiting),
    )
    data: list[Any] = [fold.data for fold in waiting]
    repeat = waiting[0].repeat
    which = "" if repeat is None else f" of repeat {repeat}"
    with progress_bar(f"Training {len(waiting)} folds{which}", None) as bar:
        fit_together(tasks, data, epochs, bar.advance, bar.expect)
    return {fold.number: task for fold, task in zip(waiting, tasks, strict=True)}


def keeping(trained: Mapping[int, BaseTask]) -> Callable[[Runner, Fold], None]:
    """For `train_folds`: gives each fold's runner the task that was trained for it."""

    def adapt(runner: Runner, fold: Fold) -> None:
        if fold.number in trained:
            assert isinstance(runner, LightningRunner)
            runner.adopt(trained[fold.number])
            runner.show_progress = False  # what is left takes a moment

    return adapt


def _task_of(fold: Fold) -> Any:
    runner = build_runner(fold.config)
    assert isinstance(runner, LightningRunner)
    runner.settle(fold.config, fold.data)
    return runner.task
