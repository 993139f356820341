"""What a cross-validation logs: its first fold in full, of the others what is new."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_ALWAYS = (
    "covidlit.runs.cross_validation",
    "covidlit.runs.folds_together",
    "covidlit.runs.time_left",
)
"""Loggers whose lines tell how far the run is."""


class FoldLog(logging.Filter):
    """Leaves out what the log has said already.

    Until the first fold is done each kind of line comes once; after it no line but those that tell
    how far the run is. Of warnings each comes once, whichever fold it is of.

    Attributes:
        first_is_done: to be set after the first fold.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first_is_done = False
        self._said: set[tuple[str, str]] = set()
        self._passed: logging.LogRecord | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is told; the answer of one record is the same for every handler."""
        if record is self._passed or record.name in _ALWAYS:
            return True
        warned = record.levelno >= logging.WARNING
        said = record.name, record.getMessage() if warned else str(record.msg)
        if said in self._said or (self.first_is_done and not warned):
            return False
        self._said.add(said)
        self._passed = record
        return True


@contextmanager
def fold_log() -> Iterator[FoldLog]:
    """In the block the handlers of the root logger tell what is new."""
    found = FoldLog()
    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(found)
    try:
        yield found
    finally:
        for handler in handlers:
            handler.removeFilter(found)
