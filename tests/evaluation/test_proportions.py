"""Wilson intervals against the paper's row and statsmodels; measures against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk
from statsmodels.stats.proportion import proportion_confint

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.classification import classification_measures, confusion
from covidlit.evaluation.proportions import proportion, wilson
from covidlit.evaluation.thresholds import threshold_table


def test_row_of_the_paper() -> None:
    # CSAC-Net paper, results: 195 of 213, Wilson 87.0 to 94.6 (not the printed 89.2 to 93.9).
    low, high = wilson(195, 213)
    assert (round(100 * float(low), 1), round(100 * float(high), 1)) == (87.0, 94.6)


@pytest.mark.parametrize("n", [1, 7, 213])
def test_wilson_equals_statsmodels_and_never_leaves_the_unit_interval(n: int) -> None:
    count = np.arange(n + 1)
    low, high = wilson(count, n, 0.9)
    wanted = proportion_confint(count, n, 0.1, method="wilson")
    np.testing.assert_allclose([low, high], wanted, atol=1e-12)
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert (high > low).all()
    assert low[0] == 0.0
    assert high[-1] == 1.0


def test_nothing_to_count_is_undefined() -> None:
    none = np.zeros(4, bool)
    estimate = proportion(~none, none, Sampling.independent(4), "no positive scan")
    assert estimate.value is None
    assert estimate.reason == "no positive scan"


def test_several_scans_of_a_patient_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(40) < 0.7, 5)  # five copies of 40 independent facts
    everything = np.ones(200, bool)
    clustered = proportion(right, everything, Sampling(np.repeat(np.arange(40), 5)))
    low, high = wilson(right.sum() / 5, 40)
    assert clustered.method == "patient bootstrap, percentile"
    assert clustered.low == pytest.approx(float(low), abs=0.05)
    assert clustered.high == pytest.approx(float(high), abs=0.05)


def test_all_right_with_several_scans_counts_patients() -> None:
    everything = np.ones(200, bool)
    estimate = proportion(everything, everything, Sampling(np.repeat(np.arange(40), 5)))
    assert estimate.low == pytest.approx(float(wilson(40, 40)[0]))
    assert estimate.high == 1.0


def test_measures_equal_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    target = rng.random(300) < 0.3
    called = np.where(rng.random(300) < 0.8, target, ~target)
    found = classification_measures(target, called, Sampling.independent(300))
    wanted = {
        "sensitivity": sk.recall_score(target, called),
        "specificity": sk.recall_score(~target, ~called),
        "ppv": sk.precision_score(target, called),
        "npv": sk.precision_score(~target, ~called),
        "accuracy": sk.accuracy_score(target, called),
        "balanced_accuracy": sk.balanced_accuracy_score(target, called),
        "f1": sk.f1_score(target, called),
        "mcc": sk.matthews_corrcoef(target, called),
    }
    assert {name: estimate.value for name, estimate in found.items()} == pytest.approx(wanted)
    for estimate in found.values():
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.value is not None
        assert estimate.low < estimate.value < estimate.high
    tn, fp, fn, tp = sk.confusion_matrix(target, called).ravel()
    assert confusion(target, called) == {"tp": tp, "fn": fn, "fp": fp, "tn": tn}


def test_one_class_leaves_only_what_is_defined() -> None:
    target = np.zeros(20, bool)
    found = classification_measures(target, np.arange(20) < 3, Sampling.independent(20))
    assert found["specificity"].value == pytest.approx(0.85)
    for name in ("sensitivity", "ppv", "npv", "balanced_accuracy", "f1", "mcc"):
        assert found[name].value is None, name
        assert found[name].reason, name


def test_threshold_table_repeats_a_row_of_the_papers_table_3() -> None:
    # Table 3, threshold 0.50: TP 196 of 213, TP of multiple RT-PCR 73 of 81, TN 303 of 336.
    score = np.r_[np.full(73, 0.5), np.full(8, 0.4), np.full(123, 0.9), np.full(9, 0.1)]
    score = np.r_[score, np.full(303, 0.45), np.full(33, 0.95)]
    target = np.arange(549) < 213
    rows = threshold_table(target, score, Sampling.independent(549), np.arange(549) < 81)
    assert [row["threshold"] for row in rows] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    row = rows[4]
    assert (row["tp"], row["tn"], row["fn"], row["fp"]) == (196, 303, 17, 33)
    percent = [
        round(100 * row[name]["value"], 1)
        for name in ("sensitivity", "sensitivity_initially_negative", "specificity")
    ]
    assert percent == [92.0, 90.1, 90.2]


def test_random_counts_equal_statsmodels_at_every_level() -> None:
    rng = np.random.default_rng(4)
    for confidence in rng.uniform(0.5, 0.999, size=300):
        n = int(rng.integers(1, 3000))
        success = rng.random(n) < rng.choice([0.0, 0.01, 0.5, 0.9, 1.0])
        found = proportion(success, np.ones(n, bool), Sampling.independent(n, float(confidence)))
        z = stats.norm.ppf(0.5 + confidence / 2)
        share = success.mean()
        # Wilson's interval holds the p at which |share - p| is z standard errors of p or less.
        roots = np.roots([1 + z**2 / n, -(2 * share + z**2 / n), share**2]).real
        wanted = proportion_confint(success.sum(), n, 1 - confidence, method="wilson")
        np.testing.assert_allclose([found.low, found.high], np.sort(roots), atol=1e-9)
        np.testing.assert_allclose([found.low, found.high], wanted, atol=1e-12)
