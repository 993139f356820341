"""AUCs of cross-validations on the same patients, and their differences, by drawing patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

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


def single(folders: Sequence[Path]) -> Compared | None:
    """The mean over repeats of the AUC of all folds together; None where one is not finished."""
    if not all((folder / "report.html").is_file() for folder in folders):
        return None
    return _of(_aucs([_scores(folder) for folder in folders]))


def compared(one: Sequence[Path], other: Sequence[Path]) -> Compared:
    """The difference of two models on the same patients, one - other, in the same draws."""
    return _of(
        _aucs([_scores(folder) for folder in one]) - _aucs([_scores(folder) for folder in other])
    )


def _scores(folder: Path) -> pd.DataFrame:
    table = pd.read_parquet(folder / "predictions.parquet")
    table = table[table["part"] == "test"].sort_values("patient_id")
    return table[["patient_id", "target", "score"]].reset_index(drop=True)


def _aucs(repeats: Sequence[pd.DataFrame]) -> NDArray[np.float64]:
    """(1 + draws,): of all patients, then of patients drawn with replacement; mean of repeats."""
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
