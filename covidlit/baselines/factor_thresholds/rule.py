"""Which factors decide, and how many of them must be beyond their thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covidlit.baselines.factor_thresholds.youden import Cut, youden_cut
from covidlit.baselines.folds import Folds

RULES = ("best", "any", "all", "at_least_k")

Shape = tuple[int, int]
"""How many factors, and how many of them must be beyond their thresholds."""


@dataclass(frozen=True)
class Rule:
    """A scan is positive if at least `k` of the factors are beyond their thresholds.

    Args:
        factors: columns, the one that tells the classes apart best first.
        cuts: their thresholds.
        k: of them.
    """

    factors: tuple[int, ...]
    cuts: tuple[Cut, ...]
    k: int

    def called(self, x: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which rows (n, columns) are positive."""
        return beyond(x, self.factors, self.cuts).sum(axis=1) >= self.k


def learn_cuts(
    x: NDArray[np.floating], target: NDArray[np.bool_], sides: Sequence[bool | None]
) -> list[Cut | None]:
    """The threshold of each column by itself; None of those that tell nothing.

    Args:
        x: (n, columns).
        target: (n,).
        sides: of each column the side of the disease, see `youden_cut`.
    """
    return [youden_cut(x[:, column], target, side) for column, side in enumerate(sides)]


def ranked(cuts: Sequence[Cut | None]) -> list[int]:
    """The columns that have a threshold, by J; of equal ones the first in the table's order."""
    known = [(column, cut.gain) for column, cut in enumerate(cuts) if cut is not None]
    return [column for column, _ in sorted(known, key=lambda each: (-each[1], each[0]))]


def learn_rule(
    x: NDArray[np.floating],
    target: NDArray[np.bool_],
    sides: Sequence[bool | None],
    shape: Shape,
) -> Rule | None:
    """The best factors of a shape with their thresholds; None where no factor tells anything.

    Where fewer factors have a threshold than the shape asks for, all that have one decide, and
    no more than these can be asked for.
    """
    cuts = learn_cuts(x, target, sides)
    factors = ranked(cuts)[: shape[0]]
    if not factors:
        return None
    chosen = tuple(cut for column in factors if (cut := cuts[column]))
    return Rule(tuple(factors), chosen, min(shape[1], len(factors)))


def beyond(
    x: NDArray[np.floating], factors: Sequence[int], cuts: Sequence[Cut]
) -> NDArray[np.bool_]:
    """(n, factors): which are beyond their thresholds."""
    found = [cut.beyond(x[:, column]) for column, cut in zip(factors, cuts, strict=True)]
    return np.stack(found, axis=1) if found else np.zeros((len(x), 0), dtype=bool)


def shapes(rule: str, n_columns: int, n_factors: int | None, k: int | None) -> list[Shape]:
    """The shapes that a rule allows, the simplest first.

    Args:
        rule: of `RULES`.
        n_columns: how many factors there are.
        n_factors: how many may decide; None: any number.
        k: of "at_least_k": how many must be beyond; None: any number.
    """
    sizes: Iterable[int] = [n_factors] if n_factors else range(1, n_columns + 1)
    if rule == "best":
        return [(1, 1)]
    if rule == "any":
        return [(size, 1) for size in sizes]
    if rule == "all":
        return [(size, size) for size in sizes]
    # Of as many factors the strictest first: of equal ones the first is taken.
    return [(size, n) for size in sizes for n in range(size, 0, -1) if k in (None, n)]


def choose_shape(
    x: NDArray[np.floating],
    target: NDArray[np.bool_],
    sides: Sequence[bool | None],
    allowed: Sequence[Shape],
    folds: Folds,
) -> tuple[Shape, float]:
    """The shape with the largest J on scans that took no part in learning thresholds or factors.

    In each fold thresholds are learnt, and factors ranked, on one side; the other side is called.
    The calls of all folds count together. Of equal shapes the first is taken: fewest factors, then
    most of them beyond.

    Args:
        x: (n, columns).
        target: (n,).
        sides: see `learn_cuts`.
        allowed: of `shapes`.
        folds: indices to learn from and to call.

    Returns:
        The shape, and its J, which is a little optimistic, since the best of several was taken.
    """
    n = x.shape[1]
    called = np.zeros((2, n + 1, n + 1), dtype=np.int64)  # by class, size and k
    for fit, call in folds:
        cuts = learn_cuts(x[fit], target[fit], sides)
        order = ranked(cuts)
        own = [cut for column in order if (cut := cuts[column])]
        votes = np.cumsum(beyond(x[call], order, own), axis=1)
        for label in (0, 1):
            of_class = votes[target[call] == bool(label)]
            for size in range(1, n + 1 if order else 1):
                used = min(size, len(order))
                counts = np.bincount(of_class[:, used - 1], minlength=used + 1)
                at_least = np.cumsum(counts[::-1])[::-1]
                called[label, size, : used + 1] += at_least
                called[label, size, used + 1 :] += at_least[used]
    positive, negative = int(target.sum()), int((~target).sum())  # each is called in one fold
    place = tuple(np.array(allowed).T)
    false, true = called[0][place], called[1][place]
    gain = true * negative - false * positive
    best = int(np.argmax(gain))
    return allowed[best], float(gain[best] / (positive * negative))
