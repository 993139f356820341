"""What is said of a scan that was scored although a DICOM check would have refused it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from covidlit.dicom.checks import CHECKS

if TYPE_CHECKING:
    from covidlit.scan import Scan

BY_RUN = "by the run that trained the network"
BY_USER = "by --override"


def with_notes(scan: Scan, row: dict[str, Any], by_run: Collection[str]) -> Scan:
    """Put a scan's notes into its row of the table of scores, and return the scan.

    Args:
        scan: as it was read; its notes name the checks that were overridden.
        row: gets `notes`: all of them in one text, with who overrode a check; null where there are
            none.
        by_run: the checks that the run's record overrides. The user's are the others.
    """
    row["notes"] = "; ".join(_told(note, by_run) for note in scan.notes) or None
    return scan


def count_overridden(notes: Iterable[str]) -> Counter[str]:
    """How many scans each overridden check was met in: "missing_slice overridden by ...": 2."""
    return Counter(
        f"{check} overridden {who}"
        for note in notes
        for check in CHECKS
        for who in (BY_RUN, BY_USER)
        if f"{check} overridden {who}: " in note
    )


def _told(note: str, by_run: Collection[str]) -> str:
    check, overridden, finding = note.partition(" overridden: ")
    if not overridden or check not in CHECKS:
        return note
    return f"{check} overridden {BY_RUN if check in by_run else BY_USER}: {finding}"
