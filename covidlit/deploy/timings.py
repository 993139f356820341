"""How long each step of a prediction took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

STEPS = {
    "start": "start (imports)",
    "load": "load the network",
    "find": "find the scans",
    "read": "read and check",
    "prepare": "prepare",
    "network": "network",
    "heatmap": "heatmap",
    "write": "write",
}
"""The steps in their order, with what they are called in a table."""


class Step(NamedTuple):
    """One row of a table of timings; `share` is of the work of all steps, in [0, 1]."""

    name: str
    seconds: float
    share: float
    per_scan: float


class Timings:
    """Seconds of work in each step and of the whole, by the clock on the wall.

    Steps that overlap, because scans are prepared while others are scored, count in full: then the
    steps add up to more than `total`, and `overlapped` says by how much. What belongs to no step,
    and waiting, is `other`. So always: sum of the steps + other - overlapped = total.

    Attributes:
        seconds: by step, see `STEPS`.
        n_scans: how many scans were scored.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STEPS, 0.0)
        self.n_scans = 0
        self._start = time.perf_counter()
        self._end: float | None = None

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add seconds to steps, by their names."""
        for step, value in seconds.items():
            self.seconds[step] += value

    @contextmanager
    def measure(self, step: str) -> Iterator[None]:
        """Add the time that the block takes to a step."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] += time.perf_counter() - start

    def stop(self) -> None:
        """Note the end of the whole; a later call moves it."""
        self._end = time.perf_counter()

    @property
    def total(self) -> float:
        """Seconds from the making of this object to the last `stop`, or until now."""
        return (time.perf_counter() if self._end is None else self._end) - self._start

    @property
    def overlapped(self) -> float:
        """Seconds of work that cost no time, because something else was done meanwhile."""
        return max(0.0, sum(self.seconds.values()) - self.total)

    @property
    def other(self) -> float:
        """Seconds that belong to no step."""
        return max(0.0, self.total - sum(self.seconds.values()))

    def rows(self) -> list[Step]:
        """Every step that took time, in order, and "other" where there is some."""
        found = {name: self.seconds[step] for step, name in STEPS.items() if self.seconds[step]}
        if self.other:
            found["other"] = self.other
        work, scans = sum(found.values()), max(1, self.n_scans)
        return [
            Step(name, seconds, seconds / work, seconds / scans) for name, seconds in found.items()
        ]
