"""Text of tables in figures: class, centre, model and setting names, whatever they hold."""

from __future__ import annotations

from typing import Any

PLAIN_TEXT: dict[Any, Any] = {"text.parse_math": False, "text.usetex": False}
"""Settings with which matplotlib draws texts as they are: "$" and "\\" are no mathematics."""

_HIDDEN_MARK = "\u2060"
"""Word joiner, without width: matplotlib leaves labels out of legends that begin with "_"."""


def plain(text: object, limit: int = 60) -> str:
    """A text as one line for a figure: without control characters, and no longer than `limit`.

    A text that is too long keeps its beginning and its end, which names of runs differ in.
    """
    printable = (" " if not char.isprintable() else char for char in str(text))
    line = " ".join("".join(printable).split())
    if len(line) > limit:
        tail = limit // 3
        line = f"{line[: limit - tail - 1]}…{line[len(line) - tail :]}"
    return _HIDDEN_MARK + line if line.startswith("_") else line
