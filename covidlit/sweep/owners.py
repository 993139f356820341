"""Which process runs a trial, and whether that process still lives."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

FOLDER = ".sweepers"
STALE_S = 600
"""Without a sign of life for so long, a sweeper on another machine counts as dead."""
_BEAT_S = 60

log = logging.getLogger(__name__)


class Owner:
    """This process as the owner of the trials that it runs.

    Inside the `with` block it holds the lock of a file in `<sweep dir>/.sweepers/`, which the
    system takes back however the process ends, and gives signs of life of its trials, for sweepers
    on other machines.
    """

    def __init__(self, sweep_dir: Path, storage: BaseStorage) -> None:
        self.sweep_dir, self._folder = sweep_dir, sweep_dir / FOLDER
        self._storage = storage
        self._trials: set[int] = set()
        self._end = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self.host = socket.gethostname()
        self.id = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._lock = FileLock(_lock_file(self._folder, self.host, self.id))

    def __enter__(self) -> Owner:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        self._beating.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._beating.join()
        self._lock.release()
        _lock_file(self._folder, self.host, self.id).unlink(missing_ok=True)

    def attributes(self) -> dict[str, Any]:
        """What a trial of this process carries from its first moment on."""
        owner = {"host": self.host, "sweeper": self.id, "folder": str(self.sweep_dir.resolve())}
        return {"owner": owner, "heartbeat": time.time()}

    def took(self, trial_id: int) -> None:
        """Give signs of life of the trial from now on."""
        self._trials.add(trial_id)

    def left(self, trial_id: int) -> None:
        """Give none any more."""
        self._trials.discard(trial_id)

    def is_stale(self, trial_id: int, attributes: Mapping[str, Any]) -> bool:
        """Whether the process that ran a trial is gone.

        Args:
            trial_id: of a trial that the study calls running.
            attributes: its user attributes.
        """
        owner, heartbeat = attributes.get("owner"), attributes.get("heartbeat", 0.0)
        if owner is not None and owner["sweeper"] == self.id:
            return trial_id not in self._trials
        # Two sweepers of one database may have a folder each, and machines the same name.
        if owner is None or owner["host"] != self.host or not Path(owner["folder"]).is_dir():
            return bool(time.time() - heartbeat > STALE_S)
        path = _lock_file(Path(owner["folder"]) / FOLDER, owner["host"], owner["sweeper"])
        if not path.exists():  # it ended in order, or was found dead before
            return True
        try:
            with FileLock(path, timeout=0):
                path.unlink(missing_ok=True)
                return True
        except Timeout:
            return False

    def _beat(self) -> None:
        import optuna

        while not self._end.wait(_BEAT_S):
            for trial_id in tuple(self._trials):
                try:
                    self._storage.set_trial_user_attr(trial_id, "heartbeat", time.time())
                except optuna.exceptions.UpdateFinishedTrialError:
                    continue  # it has just ended
                except optuna.exceptions.StorageInternalError as error:
                    log.warning("No sign of life could be written to the study: %s", error)


def alone(sweep_dir: Path) -> FileLock:
    """A lock for what only one process of this folder may do at a time."""
    (sweep_dir / FOLDER).mkdir(parents=True, exist_ok=True)
    return FileLock(sweep_dir / FOLDER / "start.lock")


def _lock_file(folder: Path, host: str, sweeper: str) -> Path:
    return folder / f"{host}-{sweeper}.lock"
