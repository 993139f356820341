"""How well two measurements agree, and intervals by drawing patients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

N_BOOTSTRAP = 2000
Estimate = dict[str, float]


def concordance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Concordance correlation coefficient (Lin, Biometrics 1989)."""
    covariance = np.cov(one, other, bias=True)
    apart = (one.mean() - other.mean()) ** 2
    return float(2 * covariance[0, 1] / (covariance[0, 0] + covariance[1, 1] + apart))


def bland_altman(true: NDArray[np.float64], own: NDArray[np.float64]) -> dict[str, float]:
    """Bias and limits of agreement, predicted - true (Bland and Altman, Lancet 1986)."""
    off = own - true
    spread = 1.96 * float(off.std(ddof=1))
    return {
        "bias": float(off.mean()),
        "low": float(off.mean()) - spread,
        "high": float(off.mean()) + spread,
    }


def dice(table: pd.DataFrame, name: str) -> float:
    """2 common / (predicted + true) pixels of all rows together."""
    common, predicted, true = (table[f"{name}_{k}"].sum() for k in ("common", "predicted", "true"))
    return float(2 * common / (predicted + true)) if predicted + true else float("nan")


def by_patient(
    table: pd.DataFrame, statistic: Callable[[pd.DataFrame], float], seed: int = 0
) -> Estimate:
    """A statistic of a table with the 95% interval of drawing its patients.

    Args:
        table: with `patient_id`; its other columns are numbers that `statistic` adds up over rows.
        statistic: of a table with one row per patient drawn.
    """
    summed = table.groupby("patient_id").sum(numeric_only=True)
    generator = np.random.default_rng(seed)
    draws = [
        statistic(summed.iloc[generator.integers(len(summed), size=len(summed))])
        for _ in range(N_BOOTSTRAP)
    ]
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return {"value": statistic(summed), "low": float(low), "high": float(high), "n": len(summed)}


def paired_dice(one: pd.DataFrame, other: pd.DataFrame, name: str) -> Estimate:
    """Dice of one minus that of another on the same slices, by drawing patients."""
    both = one.merge(other, on=["patient_id", "slice_id"], suffixes=("_a", "_b"), validate="1:1")
    assert len(both) == len(one) == len(other)

    def difference(table: pd.DataFrame) -> float:
        own = []
        for side in ("a", "b"):
            columns = {f"{name}_{k}_{side}": f"{name}_{k}" for k in ("common", "predicted", "true")}
            own.append(dice(table[list(columns)].rename(columns=columns), name))
        return own[0] - own[1]

    return by_patient(both, difference)


def mean_dice(table: pd.DataFrame, name: str) -> dict[str, Any]:
    """Dice of each patient, and their mean, in which each counts alike."""
    own = {str(p): dice(rows, name) for p, rows in table.groupby("patient_id")}
    return {"mean": float(np.nanmean(list(own.values()))), "by_patient": own}
