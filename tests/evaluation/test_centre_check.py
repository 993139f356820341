"""The centre check finds a scanner in the scores, and nothing where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from covidlit.evaluation import evaluate
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


def test_a_centre_that_is_left_out_is_named_with_its_reason() -> None:
    table = _table(0.0)
    few = table.index[(table["centre"] == "2") & (table["target"] == 1)]
    table = table.drop(few[3:])
    table.loc[table.index[table["target"] == 0][:2], "centre"] = None
    strata = _strata(table)
    assert strata["class covid"]["left_out"] == [
        {"centre": "1", "reason": "no scan"},
        {"centre": "2", "reason": "3 scans, at least 5 are needed"},
    ]
    assert "only one centre (0) has at least 5 scans" in strata["class covid"]["reason"]
    assert strata["class cap"]["left_out"] == [
        {"centre": None, "reason": "2 scans without a centre"}
    ]


def test_a_centre_in_no_stratum_is_named_with_its_reason() -> None:
    table = _table(0.0).assign(part="test", scan_id=lambda rows: rows["patient_id"], status="ok")
    table["centre"] = (
        table["centre"].where(table.index >= 4, "few").where(table.index < 290, "lost")
    )
    table["reason"] = np.where(table["centre"] == "lost", "truncated", None)
    table.loc[table["centre"] == "lost", ["score", "status"]] = [np.nan, "refused"]
    check = evaluate(table, n_bootstrap=100).metrics["centre_check"]
    assert check["left_out"] == [
        {"centre": "few", "reason": "4 scans, at least 5 are needed"},
        {"centre": "lost", "reason": "no scan with a score, 10 refused"},
    ]


def test_the_centres_of_the_validation_parts_of_folds_are_named(folds: list[pd.DataFrame]) -> None:
    check = evaluate(pd.concat(folds), n_bootstrap=100).metrics["centre_check"]
    reason = "no test scan with a score; the check is made on these"
    assert [row for row in check["left_out"] if row["centre"] != "3"] == [
        {"centre": "1", "reason": reason},
        {"centre": "2", "reason": reason},
    ]


def test_scores_that_do_not_vary_have_no_p_value() -> None:
    for stratum in _strata(_table(0.0).assign(score=0.3)).values():
        assert "p_value" not in stratum
        assert "all scans have the score 0.3" in stratum["reason"] or stratum["n_centres"] < 2
