"""Properties of every statistic on tables with next to nothing in them, or with a great deal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from covidlit.errors import PredictionsError
from covidlit.evaluation import compare, evaluate
from covidlit.evaluation.auc import auc_estimate, sampled_auc
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.newcombe import newcombe_interval_of_mean
from covidlit.evaluation.paired import auc_difference, mcnemar_test, paired_interval
from covidlit.evaluation.proportions import proportion
from covidlit.evaluation.unpaired import fisher_test

UNBOUNDED = (
    "slope", "intercept", "calibration_in_the_large", "scaled_brier", "net_benefit", "ahead",
)  # fmt: skip
SCORES = st.sampled_from([0.0, 1e-9, 0.2, 0.5, 0.500001, 0.8, 1.0])

quick = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Few scans of few patients, with ties, scores that are missing, one class or several folds."""
    n = draw(st.integers(1, 14))
    folds = draw(st.sampled_from([0, 0, 2, 3]))
    classes = draw(st.sampled_from([(0, 1), (0, 1), (0,), (1,)]))
    several = draw(st.booleans())
    rows = []
    for number in range(n):
        part = "test" if number == 0 else draw(st.sampled_from(["test", "test", "validation"]))
        fold = draw(st.integers(0, folds - 1)) if folds else None
        patient = draw(st.integers(0, 2)) if several else number
        target = draw(st.sampled_from(classes))
        rows.append(
            {
                "run_id": "run",
                "model": "m",
                "seed": 0,
                "fold": fold,
                "part": part,
                "patient_id": f"{part}-{fold}-{patient}",
                "scan_id": f"S{number}",
                "centre": draw(st.sampled_from(["a", "b", None])),
                "class_name": draw(st.sampled_from(["covid", "np", None])),
                "target": target,
                "score": draw(st.one_of(SCORES, st.just(np.nan), SCORES, SCORES)),
                "sex": draw(st.sampled_from(["F", "M", None])),
            }
        )
    return pd.DataFrame(rows)


def estimates(record: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every number of a record that has an interval, with its path."""
    if isinstance(record, dict):
        if {"value", "low", "high", "n", "method"} <= record.keys():
            yield path, record
            return
        for key, value in record.items():
            yield from estimates(value, f"{path}/{key}")
    elif isinstance(record, list):
        for place, value in enumerate(record):
            yield from estimates(value, f"{path}/{place}")


def check(record: Any, lowest: float = 0.0) -> int:
    """Hold every estimate of a record against the rules; returns how many there are."""
    count = 0
    for path, found in estimates(record):
        count += 1
        value, low, high = found["value"], found["low"], found["high"]
        name = path.rsplit("/", 1)[-1]
        if value is None or low is None or high is None:
            assert found["reason"], path
            assert (low is None) == (high is None), path
            assert value is not None or low is None, path
        else:
            assert low <= value <= high, path
        if name in UNBOUNDED or value is None:
            continue
        bottom = -1.0 if name == "mcc" else lowest
        for number in (value, low, high):
            assert number is None or bottom <= number <= 1.0, path
    return count


@quick
@given(tables())
@example(
    pd.DataFrame(
        {
            "part": "test", "patient_id": ["A", "B"], "scan_id": ["1", "2"], "centre": None,
            "class_name": None, "target": [0, 1], "score": [0.5, 0.5],
        }
    )
)  # fmt: skip
def test_an_evaluation_is_a_result_with_reasons_or_a_clear_error(table: pd.DataFrame) -> None:
    try:
        evaluation = evaluate(table, n_bootstrap=100)
    except PredictionsError:
        return
    assert check(evaluation.to_dict()) > 50
    json.dumps(evaluation.to_dict(), allow_nan=False)
    rows = evaluation.table
    rows = rows[(rows["part"] == "test") & (rows["status"] == "ok")]
    aucs = [
        roc_auc_score(own["target"].astype(int), own["score"])
        for _, own in rows.groupby("fold", dropna=False)
        if own["target"].nunique() == 2
    ]
    found = evaluation.estimate("auc").value
    assert found == (pytest.approx(np.mean(aucs)) if aucs else None)


@quick
@given(tables(), st.integers(0, 1000))
def test_a_comparison_is_a_result_with_reasons_or_a_clear_error(
    table: pd.DataFrame, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    other = table.assign(model="other", score=rng.choice([0.1, 0.5, 0.9], len(table)))
    try:
        comparison = compare([table, other], n_bootstrap=100)
    except PredictionsError:
        return
    assert check(comparison.results["models"]) >= 12
    assert check(comparison.results["tests"], lowest=-1.0) == 3
    for test in comparison.results["tests"]:
        assert test["p_value"] is None or 0 <= test["p_value"] <= 1
        assert test["p_value"] is not None or test["reason"]
    json.dumps(comparison.results, allow_nan=False)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.booleans(), SCORES, st.integers(0, 4)), min_size=1, max_size=40),
    st.floats(0.01, 0.999),
)
def test_an_auc_is_scikit_learns_and_lies_in_its_interval(
    scans: list[tuple[bool, float, int]], confidence: float
) -> None:
    target, score, patient = (np.array(column) for column in zip(*scans, strict=True))
    single = auc_estimate(target, score, confidence)
    logit = auc_estimate(target, score, confidence, "delong-logit")
    several = sampled_auc(target, score, Sampling(patient, confidence, 100))
    folds = sampled_auc(target, score, Sampling(patient, confidence, 100, fold=patient % 2))
    for found in (single, logit, several, folds):
        check(found.to_dict())
    if target.all() or not target.any():
        assert single.value is None
        assert single.reason
        return
    expected = pytest.approx(roc_auc_score(target, score))
    assert (single.value, logit.value, several.value) == (expected, expected, expected)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.floats(0.0, 1.0),
    st.lists(st.tuples(st.integers(1, 10**7), st.integers(1, 10**7)), min_size=1, max_size=4),
    st.floats(0.01, 0.9999),
)
def test_an_interval_from_sizes_alone_holds_the_auc_and_has_a_width(
    auc: float, sizes: list[tuple[int, int]], confidence: float
) -> None:
    low, high = newcombe_interval_of_mean(auc, sizes, confidence)
    assert 0.0 <= low <= auc <= high <= 1.0
    assert low < high


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 6)), max_size=30))
def test_differences_of_decisions_hold_their_value(scans: list[tuple[bool, bool, int]]) -> None:
    first = np.array([scan[0] for scan in scans], dtype=bool)
    second = np.array([scan[1] for scan in scans], dtype=bool)
    found = [mcnemar_test(first, second), fisher_test(first.sum(), len(first), 1, 1)]
    for test in found:
        check(test.difference.to_dict(), lowest=-1.0)
        assert test.p_value is None or 0 <= test.p_value <= 1
    if len(scans):
        patient = np.array([scan[2] for scan in scans])
        check(proportion(first, second, Sampling(patient, n_bootstrap=100)).to_dict())
        check(proportion(first, second, Sampling(np.arange(len(scans)))).to_dict())


def test_many_scans() -> None:
    rng = np.random.default_rng(0)
    n = 200_000
    target = rng.random(n) < 1e-3
    score = np.round(rng.random(n) * 0.5 + 0.5 * target, 3)
    expected = roc_auc_score(target, score)
    single = Sampling(np.arange(n))
    folds = Sampling(np.arange(n), fold=np.arange(n) % 5)
    for sampling in (single, folds):
        found = sampled_auc(target, score, sampling)
        check(found.to_dict())
        assert found.value == pytest.approx(expected, abs=0.01)
        assert found.high - found.low < 0.05
    test = auc_difference(target, score, np.round(score, 1), folds)
    check(test.difference.to_dict(), lowest=-1.0)
    low, high = paired_interval(n, 0, 0, n)
    assert -1e-4 < low <= 0 <= high < 1e-4
