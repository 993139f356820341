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
    scored: bool = False,
    without: str = "",
) -> Folds:
    """Indices to learn from and to score, once for each fold.

    Args:
        target: (n,) class of each scan.
        patients: (n,) whose scan it is; no patient stands on both sides of a fold.
        n_folds: number of folds, at least 2.
        seed: of the order in which patients are dealt out.
        where: the setting that asks for the folds, for the error.
        scored: every class is needed on the other side as well.
        without: what to do where no number of folds works, for the error.

    Raises:
        ConfigError: a class has fewer patients than there are folds, or one fold would learn
            without some class; with a number that works, if there is one.
    """
    if isinstance(n_folds, bool) or not isinstance(n_folds, int) or n_folds < 2:
        raise ConfigError(
            f"must be a whole number of at least 2, not {n_folds!r}.", where=where, fix="use 5."
        )
    people = np.asarray(patients).astype(str)
    if (folds := deal_folds(target, people, n_folds, seed, scored)) is not None:
        return folds
    found = {int(label): len({*people[target == label]}) for label in np.unique(target)}
    rarest = min(found, key=lambda label: found[label])
    fewer = range(min(n_folds - 1, found[rarest]), 1, -1)
    works = [n for n in fewer if deal_folds(target, people, n, seed, scored) is not None]
    other = without or "choose a split that trains on more of them"
    raise ConfigError(
        f"{n_folds} folds need as many patients of each class to learn from; target {rarest} has "
        f"{found[rarest]}."
        if found[rarest] < n_folds
        else f"of {n_folds} folds by patient one would lack a class, as some patients have many "
        "scans.",
        where=where,
        fix=f"use {where}={works[0]}." if works else f"{other}.",
    )


def deal_folds(
    target: NDArray[np.integer], people: NDArray[np.str_], n_folds: int, seed: int, scored: bool
) -> Folds | None:
    """The folds, if each of them learns from every class; None if one does not.

    Args:
        target, people, n_folds, seed, scored: see `patient_folds`; `people` is its `patients`.
    """
    labels = np.unique(target)
    if min(len({*people[target == label]}) for label in labels) < n_folds:
        return None
    maker = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    folds = [(fit, score) for fit, score in maker.split(target, target, people)]
    sides = [side for fold in folds for side in (fold if scored else fold[:1])]
    return folds if all(len(np.unique(target[side])) == len(labels) for side in sides) else None
