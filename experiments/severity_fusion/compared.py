"""AUCs of cross-validations on the same patients, and their differences, by drawing patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata, t
from sklearn.metrics import roc_auc_score
from studies import finished

from covidlit.evaluation.predictions import read_predictions

N_BOOTSTRAP = 2000


@dataclass(frozen=True)
class Compared:
    """A value with its 95% interval."""

    value: float
    low: float
    high: float

    def text(self) -> str:
        """For a table."""
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def single(folder: Path) -> Compared | None:
    """The mean over a run's repeats of the AUC of all folds together; None where not finished."""
    return interval_of(_aucs(_repeats(folder))) if finished(folder) else None


def compared(one: Path, other: Path) -> Compared:
    """The difference of two runs on the same patients, one - other, in the same draws."""
    return interval_of(_aucs(_repeats(one)) - _aucs(_repeats(other)))


def _repeats(folder: Path) -> list[pd.DataFrame]:
    table = read_predictions(folder / "predictions.parquet")
    table = table[table["part"] == "test"].sort_values("patient_id")
    kept = ["patient_id", "target", "score", "fold"]
    return [rows[kept].reset_index(drop=True) for _, rows in table.groupby("repeat", dropna=False)]


def aucs_of(folder: Path) -> tuple[float, float]:
    """The mean AUC of the folds of one cross-validation, and that of all its scores together."""
    (table,) = _repeats(folder)
    each = [roc_auc_score(own["target"], own["score"]) for _, own in table.groupby("fold")]
    return float(np.mean(each)), float(roc_auc_score(table["target"], table["score"]))


def mean_of(values: Sequence[float]) -> Compared:
    """The mean of independent values with its interval by Student's t."""
    own = np.asarray(values, dtype=float)
    half = t.ppf(0.975, len(own) - 1) * own.std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else 0.0
    return Compared(float(own.mean()), float(own.mean() - half), float(own.mean() + half))


def _aucs(repeats: Sequence[pd.DataFrame]) -> NDArray[np.float64]:
    """(1 + draws,): of all patients, then of patients drawn with replacement; mean of repeats."""
    n = len(repeats[0])
    draws = draws_of(n)
    found = []
    for table in repeats:
        assert (table["patient_id"] == repeats[0]["patient_id"]).all()
        positive = table["target"].to_numpy(dtype=bool)[draws]
        ranks = rankdata(table["score"].to_numpy(dtype=float)[draws], axis=1)
        m = positive.sum(axis=1)
        found.append(((ranks * positive).sum(axis=1) - m * (m + 1) / 2) / (m * (n - m)))
    return np.mean(found, axis=0)


def draws_of(n: int) -> NDArray[np.int64]:
    """(1 + draws, n): all of n patients, then as many drawn with replacement."""
    rng = np.random.default_rng(0)
    return np.concatenate([np.arange(n)[None], rng.integers(n, size=(N_BOOTSTRAP, n))])


def interval_of(values: NDArray[np.float64]) -> Compared:
    """The first value with the quantiles of the others."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Compared(float(values[0]), float(low), float(high))
