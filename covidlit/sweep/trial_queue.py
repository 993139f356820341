"""Which trial comes next, and what is written of one: the only place that asks and tells."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from covidlit.sweep.outcome import Outcome
from covidlit.sweep.owners import Owner, alone
from covidlit.sweep.samplers import is_grid, make_sampler
from covidlit.sweep.space import SearchSpace

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.storages import BaseStorage

log = logging.getLogger(__name__)

NOT_NEEDED = "not needed"
KILLED = "killed with its sweeper"
STOPPED = "stopped with its sweeper"
_DONE = (TrialState.COMPLETE, TrialState.PRUNED)
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


@dataclass(frozen=True)
class Asked:
    """A trial that was drawn and waits for its job."""

    trial_id: int
    number: int
    overrides: list[str]
    seconds: float


class TrialQueue:
    """Asks and tells the study of a sweep, beside other processes that do the same.

    Args:
        study_name: of the study, which exists.
        storage: that it is kept in.
        space: what is drawn.
        sampler: settings of the sampler.
        pruner: some samplers (with Hyperband) look at it.
        owner: this process.
        n_trials: finished or pruned trials in total.
    """

    def __init__(
        self,
        study_name: str,
        storage: BaseStorage,
        space: SearchSpace,
        sampler: Mapping[str, Any],
        pruner: BasePruner,
        owner: Owner,
        n_trials: int,
    ) -> None:
        self._name, self._storage, self._space = study_name, storage, space
        self._sampler, self._pruner = sampler, pruner
        self._owner, self._n_trials = owner, n_trials
        self._study_id = storage.get_study_id_from_name(study_name)
        self._grid = is_grid(sampler)

    def trials(self) -> list[FrozenTrial]:
        """All trials of the study, in the order of their numbers."""
        return self._storage.get_all_trials(self._study_id, deepcopy=False)

    def next(self) -> Asked | None:
        """Draw the next trial; None where no further one is needed now.

        Exact without a lock on the study: a trial before which enough are finished, running or
        waiting is withdrawn, and of any set of processes the last one to ask sees all others.
        """
        start = time.perf_counter()
        trials = self.trials()
        occupied = [t for t in trials if t.state in (*_DONE, TrialState.RUNNING)]
        waiting = any(t.state == TrialState.WAITING for t in trials)
        if len(occupied) >= self._n_trials or (not waiting and self._grid_is_through(trials)):
            return None
        trial_id, number = self._take()
        self._owner.took(trial_id)
        trials = self.trials()
        mine = trials[number]
        held = (*_DONE, TrialState.RUNNING, TrialState.WAITING)
        before = [t for t in trials[:number] if t.state in held]
        retries = [t for t in trials[:number] if "retry_of" in t.user_attrs]
        twice = any(t.user_attrs["retry_of"] == mine.user_attrs.get("retry_of") for t in retries)
        if len(before) >= self._n_trials or twice:
            self._fail(trial_id, NOT_NEEDED)
            return None
        draw = draw_number(trials, mine)
        if self._grid and "fixed_params" not in mine.system_attrs:
            point = next(itertools.islice(self._space.grid(), draw, None), None)
            if point is None:
                self._fail(trial_id, NOT_NEEDED)
                return None
            self._storage.set_trial_system_attr(trial_id, "fixed_params", point)
        # Opened anew: what other processes have finished counts, and each draw has its seed.
        study = optuna.load_study(
            study_name=self._name,
            storage=self._storage,
            sampler=make_sampler(self._sampler, draw),
            pruner=self._pruner,
        )
        overrides = self._space.draw(optuna.trial.Trial(study, trial_id))
        self._storage.set_trial_user_attr(trial_id, "overrides", overrides)
        return Asked(trial_id, number, overrides, time.perf_counter() - start)

    def started(self, asked: Asked, folder: str, pid: int | None) -> None:
        """Write where the trial's job runs."""
        self._storage.set_trial_user_attr(asked.trial_id, "folder", folder)
        if pid is not None:
            self._storage.set_trial_user_attr(asked.trial_id, "pid", pid)

    def tell(self, asked: Asked, outcome: Outcome) -> None:
        """Write how the trial's job ended."""
        self._owner.left(asked.trial_id)
        try:
            for name, value in (
                ("seconds", outcome.seconds),
                ("timing", {"ask": asked.seconds, **outcome.timing}),
                ("reason", outcome.reason),
            ):
                if value is not None:
                    self._storage.set_trial_user_attr(asked.trial_id, name, value)
            study = optuna.load_study(
                study_name=self._name,
                storage=self._storage,
                sampler=optuna.samplers.RandomSampler(),
                pruner=self._pruner,
            )
            study.tell(asked.number, outcome.value, state=_STATES[outcome.state])
        except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
            state = self._storage.get_trial(asked.trial_id).state
            if not state.is_finished():
                raise
            log.warning(
                "Trial %d was given up by another process, which thought this one dead: its "
                "outcome (%s) does not count.", asked.number, outcome.state,
            )  # fmt: skip

    def give_up(self, asked: Asked, reason: str) -> None:
        """End a trial that was stopped from outside, to be tried again."""
        self._owner.left(asked.trial_id)
        self._retry(self.trials()[asked.number], reason)

    def retry_stale(self) -> list[int]:
        """Find trials whose process is gone and queue them again; returns their numbers."""
        if not self._stale():
            return []
        with alone(self._owner.sweep_dir):
            stale = self._stale()  # another process may have been faster
            for trial in stale:
                self._retry(trial, KILLED)
        return [trial.number for trial in stale]

    def _stale(self) -> list[FrozenTrial]:
        return [
            trial
            for trial in self.trials()
            if trial.state == TrialState.RUNNING
            and self._owner.is_stale(trial._trial_id, trial.user_attrs)
        ]

    def _retry(self, trial: FrozenTrial, reason: str) -> None:
        """Queue the trial again, then end it: killed in between, it is found again."""
        trials = self.trials()
        again = any(t.user_attrs.get("retry_of") == trial.number for t in trials)
        if trial.user_attrs.get("reason") == NOT_NEEDED:
            reason = NOT_NEEDED
        elif not again:
            # One that was killed while it was drawn is drawn again, by the same seed.
            params = trial.params if "overrides" in trial.user_attrs else None
            template = create_trial(
                state=TrialState.WAITING,
                system_attrs={} if params is None else {"fixed_params": params},
                user_attrs={"retry_of": trial.number},
            )
            self._storage.create_new_trial(self._study_id, template)
        self._fail(trial._trial_id, reason)

    def _take(self) -> tuple[int, int]:
        """Take a waiting trial, or make one that is this process's from its first moment on."""
        for trial in self.trials():
            if trial.state != TrialState.WAITING:
                continue
            try:
                self._set(trial._trial_id, self._owner.attributes())
                if not self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                    continue
                self._set(trial._trial_id, self._owner.attributes())
            except optuna.exceptions.UpdateFinishedTrialError:
                continue  # another process has taken it and is done
            return trial._trial_id, trial.number
        template = create_trial(state=TrialState.RUNNING, user_attrs=self._owner.attributes())
        trial_id = self._storage.create_new_trial(self._study_id, template)
        return trial_id, self._storage.get_trial(trial_id).number

    def _set(self, trial_id: int, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            self._storage.set_trial_user_attr(trial_id, name, value)

    def _fail(self, trial_id: int, reason: str) -> None:
        try:
            self._storage.set_trial_user_attr(trial_id, "reason", reason)
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        except optuna.exceptions.UpdateFinishedTrialError:
            log.debug("Another process has ended the trial already.")
        self._owner.left(trial_id)

    def _grid_is_through(self, trials: Sequence[FrozenTrial]) -> bool:
        if not self._grid:
            return False
        drawn = sum(_is_draw(trial) for trial in trials)
        return next(itertools.islice(self._space.grid(), drawn, None), None) is None


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
