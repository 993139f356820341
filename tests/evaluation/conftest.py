"""A small made-up predictions table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest


def _predictions(seed: int = 0, n_test: int = 120, n_validation: int = 60) -> pd.DataFrame:
    """Binary table of `n_validation` scans of centres 1 and 2 and `n_test` of centre 3."""
    rng = np.random.default_rng(seed)
    n = n_test + n_validation
    target = (np.arange(n) % 5 < 2).astype(int)
    class_name = np.where(target == 1, "covid", np.where(np.arange(n) % 2, "cap", "np"))
    validation = np.arange(n) < n_validation
    return pd.DataFrame(
        {
            "run_id": "run",
            "model": "csacnet",
            "seed": 0,
            "fold": None,
            "part": np.where(validation, "validation", "test"),
            "patient_id": [f"P{index:03d}" for index in range(n)],
            "scan_id": [f"S{index:03d}" for index in range(n)],
            "centre": np.where(validation, np.where(np.arange(n) % 3, "1", "2"), "3"),
            "class_name": class_name,
            "target": target,
            "score": np.clip(rng.normal(0.35 + 0.3 * target, 0.18), 0.001, 0.999),
            "sex": rng.choice(["F", "M"], n),
            "age": rng.integers(18, 90, n),
            "rtpcr_initial": np.where(target == 1, rng.choice(["positive", "negative"], n), None),
            "synthetic": True,
            "status": "ok",
            "reason": None,
        }
    )


@pytest.fixture
def predictions() -> Callable[..., pd.DataFrame]:
    return _predictions


@pytest.fixture
def folds() -> list[pd.DataFrame]:
    """Three folds as `train.py -m split=k_fold` writes them: each scan is in one test part."""
    tables = []
    for fold in range(3):
        table = _predictions(seed=fold).assign(fold=fold, run_id=f"{fold}_csacnet")
        test = table["part"] == "test"
        for name in ("scan_id", "patient_id"):
            table.loc[test, name] = f"F{fold}" + table.loc[test, name]
        tables.append(table)
    return tables


@pytest.fixture
def run(predictions: Callable[..., pd.DataFrame]) -> Callable[..., pd.DataFrame]:
    """A run on the same scans as all others, with scores of its own."""

    def make(model: str, seed: int | None, noise: float = 0.3, draw: int = 0) -> pd.DataFrame:
        table = predictions()
        rng = np.random.default_rng(draw + 100 * (seed or 0))
        score = np.clip(table["score"] + noise * rng.normal(size=len(table)), 0, 1)
        return table.assign(run_id=f"{model}_{seed}", model=model, seed=seed, score=score)

    return make
