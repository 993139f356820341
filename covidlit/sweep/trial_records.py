"""What is written of the trials of a sweep: begun, ended, given up, tried again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from covidlit.sweep.heartbeat import Heartbeat
from covidlit.sweep.outcome import Outcome
from covidlit.sweep.storage import refuse_other_machines
from covidlit.sweep.summary import KILLED, NOT_NEEDED

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage

log = logging.getLogger(__name__)

_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


@dataclass(frozen=True)
class Asked:
    """A trial that was drawn and waits for its job."""

    trial_id: int
    number: int
    overrides: list[str]
    seconds: float


class TrialRecords:
    """Writes into the study of a sweep, beside other processes that do the same.

    Args:
        study_name: of the study, which exists.
        storage: that it is kept in.
        heartbeat: of the trials that run here.
        sweep_dir: the sweep's folder.

    Attributes:
        look_interval: seconds after which to look for lost trials again.
    """

    def __init__(
        self, study_name: str, storage: BaseStorage, heartbeat: Heartbeat, sweep_dir: Path
    ) -> None:
        self._name, self._storage, self._heartbeat = study_name, storage, heartbeat
        self._sweep_dir = sweep_dir
        self._study_id = storage.get_study_id_from_name(study_name)
        self.look_interval = heartbeat.look_interval

    def trials(self) -> list[FrozenTrial]:
        """All trials of the study, in the order of their numbers."""
        return self._storage.get_all_trials(self._study_id, deepcopy=False)

    def open(self, sampler: BaseSampler, pruner: BasePruner | None = None) -> optuna.Study:
        """The study as it stands now, with a sampler."""
        return optuna.load_study(
            study_name=self._name, storage=self._storage, sampler=sampler, pruner=pruner
        )

    def take(self) -> tuple[int, int]:
        """Take a waiting trial, or make one that is this process's from its first moment on.

        Returns:
            Its id and its number.
        """
        for trial in self.trials():
            if trial.state != TrialState.WAITING:
                continue
            try:
                if not self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                    continue
                self._set(trial._trial_id, self._heartbeat.attributes())
            except optuna.exceptions.UpdateFinishedTrialError:
                continue  # another process has taken it and is done
            self._heartbeat.add(trial._trial_id)
            return trial._trial_id, trial.number
        template = create_trial(state=TrialState.RUNNING, user_attrs=self._heartbeat.attributes())
        trial_id = self._storage.create_new_trial(self._study_id, template)
        self._heartbeat.add(trial_id)
        return trial_id, self._storage.get_trial(trial_id).number

    def fix(self, trial_id: int, params: Mapping[str, Any]) -> None:
        """Let the trial get these parameters, whatever its sampler proposes."""
        self._storage.set_trial_system_attr(trial_id, "fixed_params", dict(params))

    def drawn(self, trial_id: int, overrides: list[str]) -> None:
        """Write what was drawn; a trial that has this has all of its parameters."""
        self._storage.set_trial_user_attr(trial_id, "overrides", overrides)

    def started(self, asked: Asked, folder: str) -> None:
        """Write where the trial's job runs."""
        try:
            self._storage.set_trial_user_attr(asked.trial_id, "folder", folder)
        except optuna.exceptions.UpdateFinishedTrialError:
            log.warning("Trial %d was given up by another process.", asked.number)

    def tell(self, asked: Asked, outcome: Outcome) -> None:
        """Write how the trial's job ended."""
        self._heartbeat.remove(asked.trial_id)
        try:
            for name, value in (
                ("seconds", outcome.seconds),
                ("timing", {"ask": asked.seconds, **outcome.timing}),
                ("reason", outcome.reason),
            ):
                if value is not None:
                    self._storage.set_trial_user_attr(asked.trial_id, name, value)
            study = self.open(RandomSampler())
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
        self._heartbeat.remove(asked.trial_id)
        self._retry(self.trials()[asked.number], reason)

    def retry_lost(self) -> list[int]:
        """Queue trials whose process is gone again; returns their numbers.

        Two processes may queue the same trial: `TrialQueue` withdraws the second.

        Raises:
            ConfigError: several machines share a file of SQLite.
        """
        trials = self.trials()
        refuse_other_machines(self._storage, trials, self._sweep_dir)
        lost = self._heartbeat.lost(trials)
        for trial in lost:
            self._retry(trial, KILLED)
        return [trial.number for trial in lost]

    def undecided(self) -> list[int]:
        """Numbers of the trials that run elsewhere and may have lost their process."""
        return [trial.number for trial in self._heartbeat.undecided(self.trials())]

    def withdraw(self, trial_id: int, reason: str) -> None:
        """End a trial that has no outcome."""
        try:
            self._storage.set_trial_user_attr(trial_id, "reason", reason)
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        except optuna.exceptions.UpdateFinishedTrialError:
            log.debug("Another process has ended the trial already.")
        self._heartbeat.remove(trial_id)

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
        self.withdraw(trial._trial_id, reason)

    def _set(self, trial_id: int, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            self._storage.set_trial_user_attr(trial_id, name, value)
