"""A run that ends before its report: what is kept of it, and how it goes on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from covidlit.errors import CovidlitError, TrainingError, machine_trouble
from covidlit.settings.words import typed_setting

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes: 128 and the number of the signal, SIGINT or SIGTERM."""


class RunStopped(KeyboardInterrupt):
    """A run that was stopped from outside.

    Not an Exception, so that it ends a whole sweep and not one of its jobs alone.

    Args:
        message: what happened, and how the run goes on.
        exit_code: of the process.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """In the block SIGTERM ends the run as Ctrl-C does: by an exception, so that it can say so.

    Else it would end the process on the spot, and the run would be called running for ever. While
    Lightning trains it answers the signal itself, after the batch. Where somebody else answers it
    already (a sweep, an application), or outside of the main thread, nothing is changed.

    Raises:
        RunStopped: the signal came.
    """
    owner = os.getpid()

    def answer(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a process that was forked off: not a run
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        elif signal.getsignal(signal.SIGTERM) is answer:
            raise RunStopped("The run was stopped (SIGTERM).", TERMINATED)

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, answer)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is answer:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def end_with_way_on(run_dir: Path) -> Iterator[None]:
    """Say of a run that is stopped or fails inside the block what is kept of it.

    Lightning ends a training on Ctrl-C in order (the files of its loggers are closed, processes
    that it started are ended), and then leaves with `SystemExit(1)`; on SIGTERM it leaves after the
    batch, with a `SystemExit` whose code means success.

    Raises:
        RunStopped: by Ctrl-C (SIGINT) or SIGTERM.
        TrainingError: with the last checkpoint, if there is one.
        CovidlitError: the disk is full, or the machine lacks something else (`machine_trouble`);
            with the last checkpoint, if there is one.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:
        code = _exit_code(stop)
        if code is None:
            raise
        name = "Ctrl-C" if code == INTERRUPTED else "SIGTERM"
        raise RunStopped(f"The run was stopped ({name}). {_way_on(run_dir)}", code) from None
    except TrainingError as error:
        if (last := last_checkpoint(run_dir)) is None:
            raise
        kept = (
            f"The last epoch before that is kept in {last}: `covidlit predict` can use it. "
            "Going on from it (ckpt_path=) takes the same settings alone, so that helps only where "
            "chance had a part in this, as on a GPU."
        )
        fix = f"{error.fix} {kept}" if error.fix else kept
        raise TrainingError(error.what, where=error.where, fix=fix) from error
    except (OSError, MemoryError, RuntimeError, ImportError, SystemError, CovidlitError) as error:
        if isinstance(error, CovidlitError) and not isinstance(error.__cause__, OSError):
            raise
        if (trouble := machine_trouble(error, _way_on(run_dir), run_dir)) is None:
            raise
        raise trouble from error


def last_checkpoint(run_dir: Path) -> Path | None:
    """The checkpoint that a run goes on from, or None where no epoch was finished."""
    path = run_dir / "checkpoints" / "last.ckpt"
    return path if path.is_file() else None


def _way_on(run_dir: Path) -> str:
    last = last_checkpoint(run_dir)
    same = f"give the same overrides and {typed_setting('hydra.run.dir', run_dir)}"
    if any(run_dir.glob("fold_*")):
        return f"To go on, {same}: finished folds are kept, the last one goes on."
    if last is None:
        return (
            "No epoch was finished, so there is no checkpoint to go on from: give the same command "
            "again. Scans that were prepared stay in the cache."
        )
    return (
        f"To go on after its last finished epoch, {same}; or "
        f"{typed_setting('ckpt_path', last)}, in a run folder of its own."
    )


def _exit_code(stop: BaseException) -> int | None:
    """128 and the signal that ended the run; None where it left by itself."""
    from pytorch_lightning.utilities.exceptions import SIGTERMException

    if isinstance(stop, RunStopped):
        return stop.exit_code
    if isinstance(stop, SIGTERMException):
        return TERMINATED
    causes = (stop, stop.__context__)
    return INTERRUPTED if any(isinstance(cause, KeyboardInterrupt) for cause in causes) else None
