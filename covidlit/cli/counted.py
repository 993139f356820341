"""Numbers with what they count, for people."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """Such as "1 scan" and "2 scans"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
