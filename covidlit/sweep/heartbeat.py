"""Signs of life of the trials that run, whatever machine they run on."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

log = logging.getLogger(__name__)

_UNCHANGED = 3
"""After so many looks in a row without a new heartbeat, a trial has lost its process."""


class Heartbeat:
    """Gives the signs of life of this process's trials and watches those of the others.

    Inside the `with` block a thread renews an attribute of each trial that runs here. It is the
    only sign there is: Optuna's own heartbeat exists for SQL storages alone, locks of files do not
    hold on all network drives, and process ids mean nothing on another machine.

    A running trial counts as lost when this process has looked at it several times, two intervals
    apart, and its heartbeat was the same. So no two clocks are compared, and a storage that nobody
    could reach for a while makes no trial look lost.

    Args:
        storage: of the study.
        clock: seconds since any moment.

    Attributes:
        interval: seconds between two signs of life.
    """

    interval = 10.0

    def __init__(self, storage: BaseStorage, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage, self._clock = storage, clock
        self._own: set[int] = set()
        self._seen: dict[int, tuple[object, int]] = {}
        self._looked: float | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    @property
    def look_interval(self) -> float:
        """Seconds between two looks at the trials of other processes."""
        return 2 * self.interval

    def attributes(self) -> dict[str, Any]:
        """What a trial of this process carries from its first moment on."""
        return {"host": socket.gethostname(), "heartbeat": time.time()}

    def add(self, trial_id: int) -> None:
        """Give signs of life of the trial from now on."""
        self._own.add(trial_id)

    def remove(self, trial_id: int) -> None:
        """Give none any more."""
        self._own.discard(trial_id)

    def beat(self) -> None:
        """Give one sign of life of each trial."""
        for trial_id in tuple(self._own):
            try:
                self._storage.set_trial_user_attr(trial_id, "heartbeat", time.time())
            except optuna.exceptions.UpdateFinishedTrialError:
                continue  # it has just ended
            except Exception as error:  # one missed sign of life is none that ends them all
                log.warning("No sign of life could be written to the study: %s", error)

    def lost(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The running trials whose process is gone.

        Args:
            trials: of the study, as they stand now.
        """
        self._look(trials)
        return [trial for trial in self._of_others(trials) if self._same(trial) > _UNCHANGED]

    def undecided(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The running trials of other processes without a sign of life at the last look."""
        return [trial for trial in self._of_others(trials) if self._same(trial) > 0]

    def _look(self, trials: Sequence[FrozenTrial]) -> None:
        """Compare the heartbeats with those of the look before, where it is time."""
        now = self._clock()
        if self._looked is not None and now - self._looked < self.look_interval:
            return
        first, self._looked = self._looked is None, now
        seen = {}
        for trial in self._of_others(trials):
            beat, before = trial.user_attrs.get("heartbeat"), self._seen.get(trial._trial_id)
            if before is None:
                seen[trial._trial_id] = beat, int(first)
            else:
                seen[trial._trial_id] = beat, before[1] + 1 if beat == before[0] else 0
        self._seen = seen

    def _same(self, trial: FrozenTrial) -> int:
        """Looks in a row that have found this heartbeat; 0 where it is new since the last look.

        A trial that began after the first look has given a sign of life by that.
        """
        return self._seen[trial._trial_id][1] if trial._trial_id in self._seen else 0

    def _of_others(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        return [t for t in trials if t.state == TrialState.RUNNING and t._trial_id not in self._own]

    def _run(self) -> None:
        while not self._end.wait(self.interval):
            self.beat()
