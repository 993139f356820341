"""What was noted of scans on their way in, counted for people."""

from __future__ import annotations

import pandas as pd

from covidlit.counted import without_counts

_MOST = 5


def count_notes(notes: pd.Series, most: int = _MOST) -> dict[str, int]:
    """How many scans have each note, the most frequent first.

    Notes that differ in their numbers alone count as one, written as the first of them.

    Args:
        notes: a text per scan, null where nothing was noted.
        most: kinds that are listed; the others are counted as one.
    """
    texts: dict[str, dict[str, None]] = {}
    counts: dict[str, int] = {}
    for text in notes.dropna().astype(str):
        kind = without_counts(text)
        texts.setdefault(kind, {})[text] = None
        counts[kind] = counts.get(kind, 0) + 1
    order = sorted(counts, key=lambda kind: -counts[kind])
    listed = {
        next(iter(texts[kind])) + " (or other numbers)" * (len(texts[kind]) > 1): counts[kind]
        for kind in order[:most]
    }
    if rest := sum(counts[kind] for kind in order[most:]):
        listed["other notes"] = rest
    return listed
