"""A pruner that keeps a share of the trials, which narrows as they go on; see README.md."""

from __future__ import annotations

import math

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


class NarrowingPruner(BasePruner):
    """Stops a trial that is not among the best share of all trials at its step.

    The share falls in a straight line from all trials at the beginning to `keep` at `by` of the
    steps, and stays there: early values say little, later ones much. Compared is the mean of the
    last two values, since one alone is noise for the most part. Trials that were stopped before
    count as worse. (Optuna's median rule compares the best value so far with single values of the
    trials that finished, which are the better ones.)

    A whole trial has as many steps as the longest finished one; before one has finished none is
    stopped. Finished trials that ended earlier stand with their last values.

    Args:
        keep: share of the trials that are kept in the end.
        by: share of the steps after which it is reached.
        n_startup_trials: finished or stopped before the first is stopped.
        n_warmup_steps: steps after which a trial can be stopped.
    """

    def __init__(
        self,
        keep: float = 0.3,
        by: float = 0.6,
        n_startup_trials: int = 3,
        n_warmup_steps: int = 3,
    ) -> None:
        self.keep, self.by = keep, by
        self.n_startup_trials, self.n_warmup_steps = n_startup_trials, n_warmup_steps

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the trial is to end at its last step."""
        step = trial.last_step
        if step is None or step < self.n_warmup_steps:
            return False
        ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        whole = max((_steps(t) for t in ended if t.state == TrialState.COMPLETE), default=0)
        if not whole or len(ended) < self.n_startup_trials:
            return False
        own = _recent(trial, step)
        if math.isnan(own):
            return True
        sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        better = [
            sign * (_recent(other, step) - own) > 0
            for other in ended
            if other.state == TrialState.COMPLETE or _steps(other) > step
        ]
        progress = min((step + 1) / whole / self.by, 1.0)
        return sum(better) / len(ended) > 1 - (1 - self.keep) * progress


def _steps(trial: FrozenTrial) -> int:
    return 0 if trial.last_step is None else trial.last_step + 1


def _recent(trial: FrozenTrial, step: int) -> float:
    """Mean of the last two values up to a step; NaN without any."""
    values = [value for at, value in sorted(trial.intermediate_values.items()) if at <= step]
    return float(np.mean(values[-2:])) if values else math.nan
