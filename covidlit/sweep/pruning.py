"""The callback of a sweep: reports each epoch to the study, stops when the pruner says so."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytorch_lightning as pl

from covidlit.errors import ConfigError
from covidlit.runs.weights_and_biases import RunLogger
from covidlit.sweep import trial_checks
from covidlit.sweep.trial import SweepTrial

if TYPE_CHECKING:
    from covidlit.runs.outcomes.outcome import Outcome
    from covidlit.tasks import BaseTask

log = logging.getLogger(__name__)

_BETTER = {"max": "higher", "min": "lower"}


class PruningCallback(pl.Callback):
    """Reports the task's monitored metric after each epoch and ends a training without promise.

    The training ends as one that stops early does: the epoch's metrics and checkpoints are written,
    callbacks and loggers are closed in order. Whoever started it then finds the reason in `pruned`.
    A training that has no epoch left is not stopped any more.

    Args:
        trial: of the sweep.
        report: False: only the epochs are counted (the folds of a cross-validation, whose trial
            reports after each fold).

    Attributes:
        pruned: why the training was ended; empty where it was not.
    """

    def __init__(self, trial: SweepTrial, *, report: bool = True) -> None:
        self.trial = trial
        self.report = report
        self.pruned = ""
        self._measured = False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that this epoch has a value of its own."""
        self._measured = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the epoch and ask the pruner."""
        self.trial.count_epoch()
        measured, self._measured = self._measured, False
        if not (self.report and measured):
            return
        metric, epoch = str(pl_module.monitor), trainer.current_epoch
        value = float(trainer.callback_metrics[metric])
        self.trial.report(value, epoch)
        if epoch + 1 == trainer.max_epochs or not self.trial.should_prune():
            return
        trainer.should_stop = True
        self.pruned = (
            f"pruned after {epoch + 1} of {trainer.max_epochs} epochs by {self.trial.pruner_name}: "
            f"{metric} is {value:.4f}, too low beside the earlier trials"
        )
        log.info("Trial %d is %s.", self.trial.number, self.pruned)
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger):
                logger.mark_pruned(self.pruned)


def check_direction(trial: SweepTrial, outcome: Outcome, task: BaseTask | None) -> None:
    """Make sure that the sampler and the pruner look for what is better, not for what is worse.

    Args:
        trial: of the sweep.
        outcome: whose value the trial returns.
        task: whose metric is reported each epoch; None where nothing is.

    Raises:
        ConfigError: the study looks for the worst values, or the task's metric goes the other way.
    """
    trial_checks.check_direction(trial.direction, outcome)
    if task is not None and task.mode != outcome.mode and trial.prunes:
        raise ConfigError(
            f"{task.monitor} is better the {_BETTER[task.mode]} it is, and {trial.pruner_name} "
            f"would stop the best trials of a study that is to {trial.direction}.",
            where="hydra.sweeper.pruner",
            fix="use hydra/sweeper/pruner=none.",
        )
