"""Harrell's concordance: how often the patient with the higher risk has the event first."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BLOCK = 4_000_000  # pairs held at once


def pair_counts(time: ArrayLike, event: ArrayLike, risk: ArrayLike) -> tuple[int, int, int]:
    """Numbers of concordant, discordant and tied pairs; see `concordance`."""
    time, event, risk = (np.asarray(each, dtype=float) for each in (time, event, risk))
    found = [0, 0, 0]
    for first in _blocks(event):
        comparable = _comparable(time, event, first)
        own = risk[first][:, None]
        for place, which in enumerate((own > risk, own < risk, own == risk)):
            found[place] += int((comparable & which).sum())
    return found[0], found[1], found[2]


def concordance(
    time: ArrayLike, event: ArrayLike, risk: ArrayLike, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Harrell's C in each replicate: shape (b,), or () without weights; NaN without a pair.

    Two patients can be compared if one has the event while the other is still under observation: an
    earlier event, or an event at the time of the other's censoring; two events at one time cannot.
    Equal risks count one half.

    Args:
        time, event: (n,).
        risk: (n,) higher means earlier.
        weights: (b, n), how often each patient counts.

    Source: Harrell, Lee and Mark, Statistics in Medicine 1996;15:361.
    """
    time, event, risk = (np.asarray(each, dtype=float) for each in (time, event, risk))
    weight = np.ones((1, len(time))) if weights is None else np.asarray(weights, dtype=float)
    right, pairs = np.zeros(len(weight)), np.zeros(len(weight))
    for first in _blocks(event):
        comparable = _comparable(time, event, first).astype(float)
        own = risk[first][:, None]
        agree = comparable * ((own > risk) + 0.5 * (own == risk))
        right += ((weight @ agree.T) * weight[:, first]).sum(axis=1)
        pairs += ((weight @ comparable.T) * weight[:, first]).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = right / pairs
    return found if weights is not None else found[0]


def _blocks(event: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """The patients with an event, in blocks whose pairs with all others are held at once."""
    who = np.flatnonzero(event > 0)
    return np.array_split(who, max(1, -(-len(who) * len(event) // _BLOCK)))


def _comparable(
    time: NDArray[np.float64], event: NDArray[np.float64], first: NDArray[np.intp]
) -> NDArray[np.bool_]:
    own = time[first][:, None]
    return (own < time) | ((own == time) & (event == 0))
