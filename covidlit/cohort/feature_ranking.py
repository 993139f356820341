"""Ranking features by how far apart the classes lie: an analysis of variance of each by itself."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from covidlit.errors import ConfigError

SAME = 1e-9
"""Of the scale of a feature: below that its values are the same but for rounding."""


def varies(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(features,) whether what is known of each feature differs by more than rounding.

    Args:
        values: (n, features), NaN where undefined.
    """
    known = np.isfinite(values)
    high = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
    low = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
    scale = np.where(known, np.abs(values), 0.0).max(axis=0, initial=0.0)
    spread = np.where(known.any(axis=0), high, 0.0) - np.where(known.any(axis=0), low, 0.0)
    found: NDArray[np.bool_] = spread > SAME * np.maximum(1.0, scale)
    return found


def f_values(values: NDArray[np.floating], target: NDArray[np.integer]) -> NDArray[np.float64]:
    """(features,) F values of an analysis of variance between the classes (`f_classif`).

    0 for a feature that does not vary: scikit-learn divides rounding by rounding there, which may
    be the largest of all (`findings/sklearn_constant_column_first.sh`); and with one class alone.

    Args:
        values: (n, features), all of them finite.
        target: (n,) classes.
    """
    from sklearn.feature_selection import f_classif  # two seconds

    found = np.zeros(values.shape[1])
    chosen = np.ptp(values, axis=0) > SAME
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if len(np.unique(target)) > 1 and chosen.any():
            found[chosen] = f_classif(values[:, chosen], target)[0]
    return np.nan_to_num(found)


def k_largest(ranking: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Places of the k largest, in rising order; of equal ones the first stay."""
    return np.sort(np.argsort(-ranking, kind="stable")[:k])


def check_k_best(k_best: object, n_features: int | None, where: str) -> None:
    """Refuse a number of features to keep that there cannot be.

    Args:
        k_best: a whole number; None: all are kept.
        n_features: to choose among; None: not known yet.
        where: the setting, for the error.

    Raises:
        ConfigError: names it.
    """
    if k_best is None:
        return
    if isinstance(k_best, bool) or not isinstance(k_best, int) or k_best < 1:
        raise ConfigError(
            f"must be null or a whole number of at least 1, not {k_best!r}.",
            where=where,
            fix="use 15, as the severity paper does, or null.",
        )
    if n_features is not None and k_best > n_features:
        raise ConfigError(
            f"there are {n_features} features to choose from, and {k_best} are to be kept.",
            where=where,
            fix="use fewer, or null for all.",
        )
