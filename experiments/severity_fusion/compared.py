"""AUCs of cross-validations on the same patients, and their differences, by drawing patients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

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
    return _of(_aucs(folder)) if (folder / "report.html").is_file() else None


def compared(one: Path, other: Path) -> Compared:
    """The difference of two runs on the same patients, one - other, in the same draws."""
    return _of(_aucs(one) - _aucs(other))


def _repeats(folder: Path) -> list[pd.DataFrame]:
    table = read_predictions(folder / "predictions.parquet")
    table = table[table["part"] == "test"].sort_values("patient_id")
    kept = ["patient_id", "target", "score"]
    return [rows[kept].reset_index(drop=True) for _, rows in table.groupby("repeat", dropna=False)]


def _aucs(folder: Path) -> NDArray[np.float64]:
    """(1 + draws,): of all patients, then of patients drawn with replacement; mean of repeats."""
    repeats = _repeats(folder)
    n = len(repeats[0])
    rng = np.random.default_rng(0)
    draws = np.concatenate([np.arange(n)[None], rng.integers(n, size=(N_BOOTSTRAP, n))])
    found = []
    for table in repeats:
        assert (table["patient_id"] == repeats[0]["patient_id"]).all()
        positive = table["target"].to_numpy(dtype=bool)[draws]
        ranks = rankdata(table["score"].to_numpy(dtype=float)[draws], axis=1)
        m = positive.sum(axis=1)
        found.append(((ranks * positive).sum(axis=1) - m * (m + 1) / 2) / (m * (n - m)))
    return np.mean(found, axis=0)


def _of(values: NDArray[np.float64]) -> Compared:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Compared(float(values[0]), float(low), float(high))
