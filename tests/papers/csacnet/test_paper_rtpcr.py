"""Figure 2 right against SciPy and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from covidlit.papers.csacnet.rtpcr import by_initial_result, correct_over_methods
from covidlit.papers.csacnet.wording import verdict
from covidlit.papers.methods import Method

Cohort = Callable[..., pd.DataFrame]
MethodOf = Callable[..., Method]


def test_groups_and_tests_are_those_of_the_references(cohort: Cohort, method: MethodOf) -> None:
    table = cohort(n=300)
    own = method(table, n_bootstrap=400)
    record, point = by_initial_result(own), own.points[None]
    test = table[table["part"] == "test"]
    called, cells, aucs = test["score"] >= point.threshold, [], []
    for group in ("positive", "negative"):
        cases = test["rtpcr_initial"] == group
        rows = test[cases | (test["target"] == 0)]
        found = record["groups"][group]
        aucs.append(roc_auc_score(rows["target"], rows["score"]))
        assert found["auc"]["value"] == pytest.approx(aucs[-1])
        hits = int((called & cases).sum())
        assert (found["sensitivity"]["count"], found["sensitivity"]["n"]) == (hits, cases.sum())
        assert found["n_negative"] == 200
        cells.append([hits, int(cases.sum()) - hits])
    fisher = record["sensitivity_test"]
    assert fisher["p_value"] == pytest.approx(stats.fisher_exact(cells).pvalue)
    assert fisher["method"] == "Fisher, exact"
    difference = record["auc_test"]["difference"]
    assert difference["value"] == pytest.approx(aucs[0] - aucs[1])
    low, high = _shared_negatives(test)
    # Two bootstraps with seeds of their own: their ends differ by the error of 400 replicates.
    assert difference["low"] == pytest.approx(low, abs=0.02)
    assert difference["high"] == pytest.approx(high, abs=0.02)
    assert record["statement"] is None
    assert record["n_unknown"] == 0


def _shared_negatives(test: pd.DataFrame) -> tuple[float, float]:
    """A plain bootstrap of the AUC difference, in which both groups share the drawn negatives."""
    rng = np.random.default_rng(99)
    score, target = test["score"].to_numpy(), test["target"].to_numpy()
    early = (test["rtpcr_initial"] == "positive").to_numpy()
    values = []
    for _ in range(400):
        drawn = rng.integers(len(test), size=len(test))
        one = drawn[(target[drawn] == 0) | early[drawn]]
        two = drawn[(target[drawn] == 0) | ~early[drawn]]
        values.append(_auc(target[one], score[one]) - _auc(target[two], score[two]))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _auc(target: np.ndarray, score: np.ndarray) -> float:
    """The share of pairs in the right order, ties counted half."""
    pairs = score[target == 1][:, None] - score[target == 0][None, :]
    return float((pairs > 0).mean() + (pairs == 0).mean() / 2)


def test_several_scans_of_a_patient_take_the_bootstrap_instead_of_fishers_test(
    cohort: Cohort, method: MethodOf
) -> None:
    table = cohort()
    again = table.assign(scan_id=table["scan_id"] + "b")
    doubled = pd.concat([table, again], ignore_index=True)
    record = by_initial_result(method(doubled, n_bootstrap=200))
    assert record["sensitivity_test"]["method"] == "patient bootstrap"
    single = by_initial_result(method(table, n_bootstrap=200))
    wide, narrow = (r["sensitivity_test"]["difference"] for r in (single, record))
    assert narrow["value"] == pytest.approx(wide["value"])
    # Doubling every scan brings no information: the interval must not shrink by 1 / sqrt(2).
    assert narrow["high"] - narrow["low"] > 0.8 * (wide["high"] - wide["low"])


def test_holm_is_over_both_tests_of_all_methods(cohort: Cohort, method: MethodOf) -> None:
    records = [by_initial_result(method(cohort(seed))) for seed in range(3)]
    correct_over_methods(records)
    tests = [record[name] for record in records for name in ("sensitivity_test", "auc_test")]
    expected = multipletests([test["p_value"] for test in tests], method="holm")[1]
    assert [test["p_holm"] for test in tests] == pytest.approx(list(expected))


def test_cases_without_a_result_are_counted_and_left_out(cohort: Cohort, method: MethodOf) -> None:
    table = cohort()
    table.loc[table["scan_id"].isin(["S060", "S066", "S069"]), "rtpcr_initial"] = None
    record = by_initial_result(method(table))
    assert record["n_unknown"] == 3
    assert sum(group["n_positive"] for group in record["groups"].values()) == 37


@pytest.mark.parametrize(
    ("low", "high", "p", "said"),
    [
        (0.01, 0.05, 0.01, "AUC: a difference is shown (p = 0.010), of +0.010 to +0.050."),
        (-0.02, 0.05, 0.4, "AUC: no difference is shown (p = 0.400); anything of −0.020 to"),
        (0.01, 0.05, 0.2, "AUC: no difference is shown for certain (p = 0.200), although"),
        (-0.02, 0.05, None, "AUC: no test, because ties; the interval is −0.020 to +0.050."),
        (None, None, None, "AUC: the difference is +0.030; how sure that is is unknown: few."),
    ],
)
def test_the_sentence_says_what_is_shown_and_what_is_left_open(
    low: float | None, high: float | None, p: float | None, said: str
) -> None:
    estimate = {"value": 0.03, "low": low, "high": high, "reason": "few"}
    test = {"difference": estimate, "p_value": p, "p_holm": None, "reason": "ties"}
    assert verdict(test, "AUC", 0.95).startswith(said)
