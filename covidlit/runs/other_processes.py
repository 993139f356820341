"""The processes of a training on several devices of one machine end together.

Lightning starts them from the first one, and looks after them badly: if another one fails, it kills
the first without a word, and if the first one fails, it leaves the others waiting for it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytorch_lightning as pl
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher
from pytorch_lightning.utilities.exceptions import SIGTERMException

from covidlit.errors import CovidlitError
from covidlit.runs.failure_report import FIRST, FOLDER, Failure, OtherProcessError, write_failure
from covidlit.runs.stopped import INTERRUPTED, TERMINATED

_POLL_S = 0.2
_GRACE_S = 3.0
"""For a process to end by itself once another one has failed: over gloo it soon notices."""
_STUCK_S = 60.0
"""For the first process to close its loggers, and for the others to end after the training."""


class EndTogether(pl.Callback):
    """Ends all processes of a training when one of them fails or is stopped.

    Use as a callback of the Trainer, and `with callback.around(trainer):` about its `fit`. Does
    nothing in a training of one process.
    """

    def __init__(self) -> None:
        self._failed_at: float | None = None

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Note when this process failed, before its connections close and make others fail."""
        self._failed_at = time.monotonic()
        if isinstance(exception, Exception) and trainer.world_size > 1:
            write_failure("".join(traceback.format_exception(exception)), 1)

    # Lightning answers SIGTERM with a broadcast from within the signal's handler. Where a process
    # waits in another collective just then, both wait for ever.

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._leave_on_sigterm(trainer)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._leave_on_sigterm(trainer)

    def _leave_on_sigterm(self, trainer: pl.Trainer) -> None:
        if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _leave)

    @contextmanager
    def around(self, trainer: pl.Trainer) -> Iterator[None]:
        """Watch the other processes that Lightning starts inside the block.

        Raises:
            OtherProcessError: another process failed, before this one did.
        """
        launcher = trainer.strategy.launcher
        if (
            not isinstance(launcher, _SubprocessScriptLauncher)
            or launcher.cluster_environment.creates_processes_externally
        ):
            yield  # one process, a further one, or one that SLURM started
            return
        watch = _Watch(lambda: self._failed_at is not None)
        trainer.strategy._launcher = _Launcher(launcher, watch)
        try:
            yield
            watch.wait_for_all()
        except CovidlitError:
            raise  # never the consequence of a lost connection
        except Exception as error:
            failure = watch.failure_before(self._failed_at or time.monotonic())
            if failure is None:
                raise
            raise OtherProcessError(failure) from error
        finally:
            watch.end()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SIGTERMException


class _Launcher(_SubprocessScriptLauncher):
    """Lightning's launcher with a watch instead of its observer."""

    def __init__(self, launcher: _SubprocessScriptLauncher, watch: _Watch) -> None:
        super().__init__(launcher.cluster_environment, launcher.num_processes, launcher.num_nodes)
        self._watch = watch

    def launch(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        def watched(*args: Any, **kwargs: Any) -> Any:
            # Lightning's observer, which would kill this process, is left with an empty list.
            started, self.procs = self.procs, list(self.procs)
            started.clear()
            self._watch.start(self.procs)
            return function(*args, **kwargs)

        return super().launch(watched, *args, **kwargs)


class _Watch:
    """The other processes of this machine, seen from the first one.

    Args:
        ending: whether the first process is ending already.
    """

    def __init__(self, ending: Callable[[], bool]) -> None:
        self._ending = ending
        self._processes: list[subprocess.Popen[Any]] = []
        self._over = threading.Event()
        self._folder = Path(tempfile.mkdtemp(prefix="covidlit-"))
        os.environ[FOLDER], os.environ[FIRST] = str(self._folder), str(os.getpid())

    def start(self, processes: list[subprocess.Popen[Any]]) -> None:
        """Watch these, which have just been started."""
        self._processes = processes
        threading.Thread(target=self._watch, name="other-processes", daemon=True).start()

    def _watch(self) -> None:
        while not self._over.wait(_POLL_S):
            if any(process.poll() for process in self._processes):
                break
        # The main thread may wait for ever for the one that failed, where no signal reaches it.
        if self._over.wait(_GRACE_S) or (self._ending() and self._over.wait(_STUCK_S)):
            return
        failure = self.failure_before(time.monotonic())
        self._end_processes()
        self._remove_folder()
        if failure is not None:
            sys.stderr.write(failure.message)
            sys.stderr.flush()
        os._exit(1 if failure is None else failure.exit_code)

    def failure_before(self, moment: float) -> Failure | None:
        """The first failure of another process, if one failed before `moment`.

        Args:
            moment: of `time.monotonic`, which all processes of a machine share.
        """
        _wait(self._processes, _GRACE_S)
        found = [
            failure
            for rank, process in enumerate(self._processes, start=1)
            if (failure := self._failure_of(rank, process.poll())) is not None
        ]
        first = min(found, key=lambda failure: failure.time, default=None)
        return first if first is not None and first.time <= moment else None

    def _failure_of(self, rank: int, code: int | None) -> Failure | None:
        path = self._folder / f"{rank}.json"
        if path.is_file():
            return Failure(**json.loads(path.read_text(encoding="utf-8")))
        if not code:
            return None
        if code in (INTERRUPTED, TERMINATED):
            said = f"The run was stopped, as its process of rank {rank} was."
            return Failure(f"\n{said}\n", code, 0.0)
        how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with {code}"
        fix = (
            "where the system killed it for want of memory, lower data.batch_size or "
            "data.num_workers."
        )
        error = CovidlitError(
            f"the process of rank {rank} {how} and left no message.",
            fix=fix if code < 0 else "see whether it printed one above.",
        )
        return Failure(f"\nerror: {error}\n", 1, 0.0)

    def wait_for_all(self) -> None:
        """Wait until the others have ended after the training.

        Raises:
            OtherProcessError: one failed after its last batch.
        """
        _wait(self._processes, _STUCK_S)
        failure = self.failure_before(time.monotonic())
        if failure is not None:
            raise OtherProcessError(failure)

    def end(self) -> None:
        """End all processes that are still there, and the watch."""
        self._over.set()
        self._end_processes()
        os.environ.pop(FOLDER, None)
        os.environ.pop(FIRST, None)
        self._remove_folder()

    def _end_processes(self) -> None:
        for stop in (subprocess.Popen.terminate, subprocess.Popen.kill):
            for process in self._processes:
                stop(process)  # nothing where it has ended
            _wait(self._processes, _GRACE_S)

    def _remove_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _wait(processes: list[subprocess.Popen[Any]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        time.sleep(_POLL_S / 4)
