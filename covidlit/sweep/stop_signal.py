"""Ctrl-C and SIGTERM in a sweep: heard at once, answered between two steps."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import wait
from types import FrameType

from covidlit.runs.stopped import INTERRUPTED, TERMINATED, RunStopped

_CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}


class StopSignal:
    """Whether the sweep was asked to stop.

    An exception out of the blue could come between a trial's end and its record. So inside the
    `with` block a signal is only noted, and ends a wait for `wakeup`.
    """

    def __init__(self) -> None:
        self.wakeup, self._writer = Pipe(duplex=False)
        self._code: int | None = None
        self._raising = False

    def __enter__(self) -> StopSignal:
        self._before = {number: signal.signal(number, self._note) for number in _CODES}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Stop here if a signal has come.

        Raises:
            RunStopped: with the exit code of the signal.
        """
        if self._code is not None:
            raise RunStopped("", self._code)

    def wait(self, seconds: float) -> None:
        """Wait so long, or until a signal comes."""
        wait([self.wakeup], seconds)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Stop anywhere inside: for a call that cannot be woken."""
        self.check()
        self._raising = True
        try:
            yield
        finally:
            self._raising = False

    def _note(self, number: int, _frame: FrameType | None) -> None:
        first, self._code = self._code is None, _CODES[signal.Signals(number)]
        if first:
            self._writer.send_bytes(b"stop")
        if self._raising:
            self.check()
