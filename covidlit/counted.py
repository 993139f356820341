"""Numbers with what they count, for people."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_PLURAL = re.compile(r"(?<=[a-z])s\b")


def counted(n: int, one: str, many: str | None = None) -> str:
    """Such as "1 scan" and "2 scans".

    Args:
        n: how many there are.
        one: what there is one of; a verb may follow, as in "scan is".
        many: how it is called where there are more, or none; None: `one` with an "s".
    """
    return f"{n} {one if n == 1 else many or f'{one}s'}"


def without_counts(text: str) -> str:
    """A text without its numbers and plurals, by which those that differ in these alone are one."""
    return _NUMBER.sub("#", _PLURAL.sub("", text))
