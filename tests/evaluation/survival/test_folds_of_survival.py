"""Of several folds, patients are ranked within a fold: risks of other folds have another zero."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from covidlit.evaluation.survival.horizons import cumulative_dynamic_auc
from covidlit.evaluation.survival.part import part_metrics

N = 120


def rows(shift: float) -> pd.DataFrame:
    """Two folds, whose risk scores lie apart by a constant that means nothing."""
    rng = np.random.default_rng(0)
    risk = rng.normal(size=N)
    latent, left = rng.exponential(8 * np.exp(-risk)), rng.exponential(20, N)
    fold = np.arange(N) % 2
    return pd.DataFrame(
        {
            "patient_id": [f"P{k}" for k in range(N)],
            "scan_id": [f"P{k}" for k in range(N)],
            "event": (latent <= left).astype(int),
            "time_days": np.minimum(latent, left),
            "risk_score": risk + shift * fold,
            "risk_group": (risk > 0).astype(int),
            "risk_5_days": 1 - np.exp(-5 / 8 * np.exp(risk)),
            "fold": fold,
        }
    )


def metrics(table: pd.DataFrame) -> dict[str, object]:
    return part_metrics(table, {5.0: "risk_5_days"}, seed=0, n_bootstrap=200, confidence=0.95)


def test_a_constant_of_a_fold_changes_nothing() -> None:
    one, other = metrics(rows(0)), metrics(rows(3.0))
    for name in ("concordance", "horizons", "auc_over_time"):
        assert one[name] == other[name]
    assert one["concordance_pooled"] != other["concordance_pooled"]


def test_the_auc_is_the_mean_of_the_folds() -> None:
    table = rows(3.0)
    each = [
        float(cumulative_dynamic_auc(own["time_days"], own["event"], own["risk_score"], 5))
        for _, own in table.groupby("fold")
    ]
    found = metrics(table)["horizons"][0]["auc"]  # type: ignore[index]
    assert found["value"] == pytest.approx(np.mean(each))
    assert found["low"] < found["value"] < found["high"]
    assert found["method"] == "mean of 2 folds, bootstrap of patients"
    alone = metrics(table.drop(columns="fold"))["horizons"][0]["auc"]  # type: ignore[index]
    assert alone["value"] < found["value"] - 0.05
