"""Folds inside the training part: by patient, each with its share of every class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from covidlit.errors import ConfigError

Folds = list[tuple[NDArray[np.intp], NDArray[np.intp]]]


def patient_folds(
    target: NDArray[np.integer],
    patients: Sequence[str] | NDArray[np.generic],
    n_folds: int,
    *,
    seed: int,
    where: str,
) -> Folds:
    """Indices to learn from and to score, once for each fold.

    Args:
        target: (n,) class of each scan.
        patients: (n,) whose scan it is; no patient stands on both sides of a fold.
        n_folds: number of folds, at least 2.
        seed: of the order in which patients are dealt out.
        where: the setting that asks for the folds, for the error.

    Raises:
        ConfigError: a class has fewer patients than there are folds.
    """
    if isinstance(n_folds, bool) or not isinstance(n_folds, int) or n_folds < 2:
        raise ConfigError(
            f"must be a whole number of at least 2, not {n_folds!r}.", where=where, fix="use 5."
        )
    people = np.asarray(patients).astype(str)
    for label in np.unique(target):
        found = len(np.unique(people[target == label]))
        if found < n_folds:
            raise ConfigError(
                f"{n_folds} folds need as many patients of each class to learn from; target "
                f"{label} has {found}.",
                where=where,
                fix=f"use {where}={found}." if found >= 2 else "choose a split with more of them.",
            )
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    return [(fit, score) for fit, score in folds.split(target, target, people)]
