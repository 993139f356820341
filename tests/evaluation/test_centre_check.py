"""The centre check finds a scanner in the scores, and nothing where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.centre_check import centre_check, centre_permutation_p


def _table(shift: float, seed: int = 0, centres: int = 3) -> pd.DataFrame:
    """Scores of 300 scans; those of centre 0 are shifted. Centre 1 has no positive scan."""
    rng = np.random.default_rng(seed)
    centre = rng.integers(centres, size=300)
    target = (rng.random(300) < 0.4) & (centre != 1)
    score = 1 / (1 + np.exp(-(rng.normal(size=300) + 2 * target + shift * (centre == 0))))
    return pd.DataFrame(
        {
            "patient_id": [f"P{index}" for index in range(300)],
            "centre": centre.astype(str),
            "class_name": np.where(target, "covid", "cap"),
            "target": target.astype(int),
            "score": score,
        }
    )


def _strata(table: pd.DataFrame) -> dict[str, dict]:
    sampling = Sampling(table["patient_id"].to_numpy(str), n_bootstrap=300)
    return {row["stratum"]: row for row in centre_check(table, sampling)["strata"]}


def test_a_scanner_in_the_scores_is_found_within_a_class() -> None:
    negatives = _strata(_table(1.5))["class cap"]
    assert negatives["p_value"] < 0.005
    assert negatives["centres"][0]["auc"]["low"] > 0.6
    assert negatives["balanced_accuracy"]["value"] > negatives["chance"] + 0.05
    assert not negatives["confounded"]


def test_a_score_of_the_disease_alone_leaves_no_trace_within_a_class_but_overall() -> None:
    strata = _strata(_table(0.0))
    assert strata["class cap"]["p_value"] > 0.05
    low, high = (strata["class cap"]["centres"][0]["auc"][name] for name in ("low", "high"))
    assert low < 0.5 < high
    assert strata["all scans"]["p_value"] < 0.01  # the mix of classes alone
    assert strata["all scans"]["confounded"]


def test_p_values_are_uniform_under_the_null() -> None:
    rng = np.random.default_rng(0)
    values = [
        centre_permutation_p(
            rng.choice(["a", "b", "c"], 60, p=[0.6, 0.3, 0.1]),
            rng.random(60),
            np.arange(60),
            seed,
            199,
        )
        for seed in range(200)
    ]
    assert np.mean(np.array(values) <= 0.1) == pytest.approx(0.1, abs=0.06)
    assert np.mean(values) == pytest.approx(0.5, abs=0.06)


def test_one_centre_is_undefined_with_a_reason() -> None:
    for stratum in _strata(_table(0.0, centres=1)).values():
        assert "nothing to tell apart" in stratum["reason"]
        assert stratum["centres"] == []
