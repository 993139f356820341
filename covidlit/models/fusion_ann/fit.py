"""Fitting the preparation of features on training rows: choice, scaling, what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.cohort.feature_ranking import check_k_best, f_values, k_largest, varies
from covidlit.errors import ConfigError
from covidlit.models.fusion_ann.preparation import Preparation
from covidlit.models.fusion_ann.settings import TRANSFORMS

N_QUANTILES = 100
MISSING_OFTEN = 0.02
"""Share of the training rows from which on, and up to 1 less it, a feature has an indicator."""


def fit_preparation(
    values: NDArray[np.floating],
    target: NDArray[np.integer],
    columns: Sequence[int],
    names: Sequence[str],
    *,
    transform: str = "quantile",
    k_best: int | None = None,
    indicators: bool = True,
) -> dict[str, Any]:
    """Fit what `Preparation` takes, on training rows alone.

    A feature that is missing in all rows, or the same in all rows that have it, is left out, before
    features are ranked (`covidlit.cohort.feature_ranking`).

    Args:
        values: (n, columns) raw numbers, NaN where one is missing.
        target: (n,) classes.
        columns, names: of the features to choose among.
        transform: "quantile" or "standard".
        k_best: so many features with the largest F values of an analysis of variance between the
            classes stay (scikit-learn's `f_classif`, as in the paper: 15 of 28); None: all.
        indicators: say where features are missing.

    Returns:
        Plain numbers; beside the settings of `Preparation`, `left_out` (name -> why) and `ranking`
        (the F value of each feature that was ranked, by name).

    Raises:
        ConfigError: an argument out of its range, or no feature varies.
    """
    if transform not in TRANSFORMS:
        raise ConfigError(
            f"there is no transform {transform!r}.", where="model.task.transform",
            fix=f"use {' or '.join(TRANSFORMS)}.",
        )  # fmt: skip
    check_k_best(k_best, len(names), "model.task.k_best")
    left_out, kept = {}, []
    telling = varies(np.asarray(values, dtype=np.float64))
    for column, name in zip(columns, names, strict=True):
        if not np.isfinite(values[:, column]).any():
            left_out[name] = "missing in all training rows"
        elif not telling[column]:
            left_out[name] = "the same in all training rows"
        else:
            kept.append((column, name))
    if not kept:
        raise ConfigError(
            "no feature varies among the training rows.", where="model.task.features",
            fix="choose other features, or a split that trains on more rows.",
        )  # fmt: skip
    fitted = _fitted(values, kept, transform, indicators)
    ranking = _f_values(values, target, fitted)
    if k_best is not None and k_best < len(kept):
        best = k_largest(np.array([ranking[name] for _, name in kept]), k_best)
        left_out |= {kept[i][1]: f"not among the {k_best} best" for i in range(len(kept))
                     if i not in best}  # fmt: skip
        fitted = _fitted(values, [kept[i] for i in best], transform, indicators)
    return {**fitted, "left_out": left_out, "ranking": ranking}


def _fitted(
    values: NDArray[np.floating], kept: Sequence[tuple[int, str]], transform: str, indicators: bool
) -> dict[str, Any]:
    n, columns = len(values), [column for column, _ in kept]
    chosen = values[:, columns].astype(np.float64)
    chosen[~np.isfinite(chosen)] = np.nan
    if transform == "quantile":
        places = np.linspace(0, 1, max(2, min(N_QUANTILES, n)))
        reference = np.nanquantile(chosen, places, axis=0).T
    else:
        reference = np.stack([np.nanmean(chosen, axis=0), np.nanstd(chosen, axis=0)], axis=1)
    missing = np.isnan(chosen).mean(axis=0)
    often = (missing >= MISSING_OFTEN) & (missing <= 1 - MISSING_OFTEN) & indicators
    settings = {
        "transform": transform,
        "columns": [int(column) for column in columns],
        "names": [name for _, name in kept],
        "reference": [[float(v) for v in row] for row in reference],
        "bound": 1 / (2 * max(n, 2)),
        "fill": [0.0] * len(columns),
        "indicators": [[int(i), float(missing[i])] for i in np.flatnonzero(often)],
    }
    medians = np.full((1, values.shape[1]), np.nan)
    medians[0, columns] = np.nanmedian(chosen, axis=0)
    prepared = Preparation(settings)(medians)[0]
    return {**settings, "fill": [float(value) for value in prepared[: len(columns)]]}


def _f_values(
    values: NDArray[np.floating], target: NDArray[np.integer], settings: dict[str, Any]
) -> dict[str, float]:
    names = settings["names"]
    found = f_values(Preparation(settings)(values)[:, : len(names)], target)
    return dict(zip(names, found.tolist(), strict=True))
