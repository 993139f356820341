"""From the predictions table to every statistic of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from covidlit.evaluation.auc import auc_estimate
from covidlit.evaluation.predictions import accepted, is_synthetic, validate_predictions


@dataclass(frozen=True)
class Evaluation:
    """All results of one predictions table.

    Attributes:
        metrics: JSON-able results; every number with its interval and method.
    """

    metrics: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The content of `metrics.json`: no NaN, null with a reason instead."""
        return self.metrics


def evaluate(
    predictions: pd.DataFrame,
    *,
    operating_point: str | float = "auto",
    subgroups: Sequence[str] | None = None,
    n_bootstrap: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Evaluation:
    """Compute every statistic of a predictions table.

    Raises:
        PredictionsError: the table breaks its contract or cannot be evaluated.
    """
    table = validate_predictions(predictions)
    parts = {}
    for part, rows in table.groupby("part"):
        ok = accepted(rows)
        auc = auc_estimate(ok["target"].to_numpy(int), ok["score"].to_numpy(float), confidence)
        parts[str(part)] = {"n_scans": len(rows), "auc": auc.to_dict()}
    return Evaluation({"synthetic": is_synthetic(table), "parts": parts})
