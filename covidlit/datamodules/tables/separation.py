"""Numbers that tell two classes apart by themselves, as what was known only afterwards does."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from covidlit.cohort.leakage import Suspicion

_AUC = 0.999
_BY_CHANCE = 1e-3
"""Tables in which any of the numbers would separate the classes by chance are too small to say."""


def separating(values: pd.DataFrame, target: pd.Series) -> list[str]:
    """The columns by which alone two classes are ranked without a mistake, or nearly so.

    Args:
        values: of the training part, a column per number, NaN where missing.
        target: 0 or 1 of the same rows; with any other class nothing is found.

    Returns:
        Names of the columns whose AUC is 0.999 or more, or 0.001 or less, and would not be by
        chance: of n values, k of them of one class, with a probability of 2 / C(n, k).
    """
    classes = target.to_numpy(dtype=float)
    if set(np.unique(classes)) != {0.0, 1.0}:
        return []
    found = []
    for name in values:
        own = values[name].to_numpy(dtype=float)
        known = np.isfinite(own)
        n, n_positive = int(known.sum()), int(classes[known].sum())
        n_pairs = n_positive * (n - n_positive)
        if not n_pairs or _by_chance(n, n_positive) * len(values.columns) > _BY_CHANCE:
            continue
        ranks = pd.Series(own[known]).rank().to_numpy()
        above = ranks[classes[known] == 1].sum() - n_positive * (n_positive + 1) / 2
        if max(above, n_pairs - above) >= _AUC * n_pairs:
            found.append(str(name))
    return found


def _by_chance(n: int, k: int) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return 2 * math.exp(-ways)


def tells_alone(values: pd.DataFrame, target: pd.Series, mend: str) -> list[Suspicion]:
    """A sentence on each number that separates the classes; see `separating`.

    Args:
        values, target: of the training part.
        mend: the setting that leaves a number out.
    """
    return [
        Suspicion(
            "tells the class alone",
            f"{name} alone tells the two classes of the training part apart (AUC of 0.999 or "
            "more): likely it was known only afterwards, or is the label itself. Unless it is "
            f"known before the outcome, leave it out ({mend}).",
        )
        for name in separating(values, target)
    ]
