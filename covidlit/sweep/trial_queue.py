"""Which trial of a sweep comes next."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from covidlit.sweep.parameters import Value
from covidlit.sweep.samplers import is_grid, make_sampler
from covidlit.sweep.space import SearchSpace
from covidlit.sweep.summary import NOT_NEEDED
from covidlit.sweep.trial_records import Asked, TrialRecords

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

_DONE = (TrialState.COMPLETE, TrialState.PRUNED)


class TrialQueue:
    """Draws the trials of a sweep, beside other processes that do the same.

    Args:
        records: of the sweep's trials.
        space: what is drawn.
        sampler: settings of the sampler.
        pruner: some samplers (with Hyperband) look at it.
        n_trials: finished or pruned trials in total.
    """

    def __init__(
        self,
        records: TrialRecords,
        space: SearchSpace,
        sampler: Mapping[str, Any],
        pruner: BasePruner,
        n_trials: int,
    ) -> None:
        self._records, self._space, self._n_trials = records, space, n_trials
        self._sampler, self._pruner, self._grid = sampler, pruner, is_grid(sampler)

    def next(self) -> Asked | None:
        """Draw the next trial; None where no further one is needed now.

        Exact without a lock on the study: a trial before which enough are finished, running or
        waiting is withdrawn, and of any set of processes the last one to ask sees all others.
        """
        start = time.perf_counter()
        while self._has_room():
            trial_id, number = self._records.take()
            if (draw := self._draw_or_withdraw(trial_id, number)) is None:
                continue  # another process was faster; what is there to do now?
            # Opened anew: what other processes have finished counts, and each draw has its seed.
            study = self._records.open(make_sampler(self._sampler, draw), self._pruner)
            overrides = self._space.draw(optuna.trial.Trial(study, trial_id))
            self._records.drawn(trial_id, overrides)
            return Asked(trial_id, number, overrides, time.perf_counter() - start)
        return None

    def _has_room(self) -> bool:
        """Whether a trial is to be begun, as far as one can see before."""
        trials = self._records.trials()
        occupied = sum(trial.state in (*_DONE, TrialState.RUNNING) for trial in trials)
        if occupied >= self._n_trials:
            return False
        if not self._grid or any(trial.state == TrialState.WAITING for trial in trials):
            return True
        return self._grid_point(sum(_is_draw(trial) for trial in trials)) is not None

    def _draw_or_withdraw(self, trial_id: int, number: int) -> int | None:
        """The number of this trial's draw; None where it was not needed after all."""
        trials = self._records.trials()
        mine, earlier = trials[number], trials[:number]
        held = (*_DONE, TrialState.RUNNING, TrialState.WAITING)
        occupied = sum(trial.state in held for trial in earlier)
        retry_of = mine.user_attrs.get("retry_of")
        twice = retry_of is not None and any(
            trial.user_attrs.get("retry_of") == retry_of for trial in earlier
        )
        draw = draw_number(trials, mine)
        needed = occupied < self._n_trials and not twice
        if needed and self._grid and "fixed_params" not in mine.system_attrs:
            point = self._grid_point(draw)
            needed = point is not None
            self._records.fix(trial_id, point or {})
        if needed:
            return draw
        self._records.withdraw(trial_id, NOT_NEEDED)
        return None

    def _grid_point(self, draw: int) -> dict[str, Value] | None:
        return next(itertools.islice(self._space.grid(), draw, None), None)


def draw_number(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> int:
    """How many were drawn before this trial: retries and withdrawn trials draw nothing new.

    So a sweep that was killed proposes what one that was not proposes, and a trial that is tried
    again gets what it had. (Hyperband sorts trials by their own numbers, so that with it the
    sampler may look at others of the earlier trials.)

    Args:
        trials: of the study, by number.
        trial: the one to be drawn.
    """
    while "retry_of" in trial.user_attrs:
        trial = trials[trial.user_attrs["retry_of"]]
    return sum(_is_draw(other) for other in trials[: trial.number])


def _is_draw(trial: FrozenTrial) -> bool:
    return "retry_of" not in trial.user_attrs and trial.user_attrs.get("reason") != NOT_NEEDED
