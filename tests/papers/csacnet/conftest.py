"""Predictions tables as the paper's test needs them: S1, S2 and S3, first RT-PCR, readers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from covidlit.evaluation.bootstrap import Sampling
from covidlit.papers.methods import Method, as_method


def _cohort(seed: int = 0, n: int = 120, validation: int = 60, gap: float = 0.25) -> pd.DataFrame:
    """`n` test scans of centre_4 and `validation` ones of centre_1; a third of each class.

    Scores have two decimals, so that there are ties; of the cases every third is initially
    negative; two readers have read the test part.
    """
    rng = np.random.default_rng(seed)
    total = n + validation
    class_name = np.array(["covid", "np", "cap"])[np.arange(total) % 3]
    target = (class_name == "covid").astype(int)
    test = np.arange(total) >= validation
    shift = np.select([class_name == "covid", class_name == "cap"], [gap, 0.06], 0.0)
    late = np.arange(total) % 9 == 0
    table = pd.DataFrame(
        {
            "run_id": "run",
            "model": "csacnet",
            "seed": 0,
            "fold": None,
            "part": np.where(test, "test", "validation"),
            "patient_id": [f"P{index:03d}" for index in range(total)],
            "scan_id": [f"S{index:03d}" for index in range(total)],
            "centre": np.where(test, "centre_4", "centre_1"),
            "class_name": class_name,
            "target": target,
            "score": np.clip(rng.normal(0.35 + shift, 0.15), 0.0, 1.0).round(2),
            "rtpcr_initial": np.where(target == 1, np.where(late, "negative", "positive"), None),
            "rtpcr_round": np.where(target == 1, np.where(late, 2.0, 1.0), np.nan),
            "sex": rng.choice(["F", "M"], total),
            "age": rng.integers(18, 90, total),
            "synthetic": True,
        }
    )
    for name, sensitivity, specificity in (("junior", 0.65, 0.75), ("senior", 0.8, 0.85)):
        says = np.where(
            target == 1, rng.random(total) < sensitivity, rng.random(total) > specificity
        )
        table[f"reader_{name}"] = np.where(test, says.astype(float), np.nan)
        seconds = rng.gamma(16, 200 / 16, total).round(1)
        table[f"reader_{name}_seconds"] = np.where(test, seconds, np.nan)
    return table


@pytest.fixture
def cohort() -> Callable[..., pd.DataFrame]:
    return _cohort


def _method(table: pd.DataFrame, rule: str | float = "auto", n_bootstrap: int = 100) -> Method:
    """A table as the method that `paper` makes of it."""
    return as_method(
        "csacnet",
        table,
        rule,
        lambda rows: Sampling.of(rows, n_bootstrap=n_bootstrap),
    )


@pytest.fixture
def method() -> Callable[..., Method]:
    return _method
