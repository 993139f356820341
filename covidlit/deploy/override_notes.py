"""What is said of a scan that was scored although a DICOM check would have refused it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from covidlit.dicom.checks import CHECKS, check_of

BY_RUN = "by the run that trained the network"
BY_USER = "by --override"


def format_notes(notes: Iterable[str], by_run: Collection[str]) -> str | None:
    """A scan's notes in one text, with who overrode a check; None where there are none.

    Args:
        notes: of the scan as it was read; they name the checks that were overridden.
        by_run: the checks that the run's record overrides. The user's are the others.
    """
    return "; ".join(_format_note(note, by_run) for note in notes) or None


def count_overridden(notes: Iterable[str]) -> Counter[str]:
    """How many scans each overridden check was met in: "missing_slice overridden by ...": 2."""
    return Counter(
        f"{check} overridden {who}"
        for note in notes
        for check in CHECKS
        for who in (BY_RUN, BY_USER)
        if f"{check} overridden {who}: " in note
    )


def _format_note(note: str, by_run: Collection[str]) -> str:
    check, overridden, finding = note.partition(" overridden: ")
    if not overridden or check not in CHECKS:
        return note
    who = BY_RUN if check in map(check_of, by_run) else BY_USER
    return f"{check} overridden {who}: {finding}"
