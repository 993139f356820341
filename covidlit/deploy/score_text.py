"""Scores as text: as many digits as tell one from the next, and from the operating point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

FEWEST, MOST = 3, 9
"""Digits behind the point. Networks compute in float32: what differs beyond nine is the same."""

_EXACT = 17
"""Digits up to which a score is told from the operating point; then both are written out whole, for
what is called negative must never look positive."""


def score_texts(scores: Sequence[float | None], point: float | None = None) -> list[str]:
    """Each score with the fewest digits that tell it from all others and from the operating point.

    Args:
        scores: in [0, 1]; None or NaN, which become an empty text, where there is none.
        point: the score from which a scan counts as positive; None where there is none.
    """
    there = [None if one is None or math.isnan(one) else float(one) for one in scores]
    texts = _texts({one for one in there if one is not None}, point)
    return ["" if one is None else texts[one] for one in there]


def point_text(point: float, scores: Iterable[float | None] = ()) -> str:
    """The operating point with the digits that tell it from the scores; see `score_texts`."""
    known = {float(one) for one in scores if one is not None and not math.isnan(one)}
    return _texts({*known, float(point)}, point)[float(point)]


def _texts(scores: set[float], point: float | None) -> dict[float, str]:
    marks = sorted(scores if point is None else {*scores, float(point)})
    digits = dict.fromkeys(marks, FEWEST)
    whole: set[float] = set()
    # Rounding keeps the order: what differs from its neighbours differs from all.
    for low, high in pairwise(marks):
        by_point = point is not None and float(point) in (low, high)
        most = _EXACT if by_point else MOST
        needed = next((n for n in range(FEWEST, most) if f"{low:.{n}f}" != f"{high:.{n}f}"), most)
        digits[low], digits[high] = max(digits[low], needed), max(digits[high], needed)
        if by_point and needed == _EXACT:  # a hair apart, or both next to nothing
            whole |= {low, high}
    return {mark: repr(mark) if mark in whole else f"{mark:.{n}f}" for mark, n in digits.items()}
