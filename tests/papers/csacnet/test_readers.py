"""Readers beside the model: against scikit-learn, statsmodels and plain counting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import recall_score, roc_auc_score, roc_curve
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from covidlit.papers.csacnet.reader_study import (
    reader_study,
    sensitivity_at_specificity,
    weighted_sensitivity,
)
from covidlit.papers.csacnet.readings import readers
from covidlit.papers.methods import Method

Cohort = Callable[..., pd.DataFrame]
MethodOf = Callable[..., Method]


def test_accuracy_time_and_mcnemar_are_those_of_the_references(
    cohort: Cohort, method: MethodOf
) -> None:
    table = cohort()
    own = method(table, n_bootstrap=1000)
    result = reader_study(own)
    test = table[table["part"] == "test"]
    target, late = test["target"], test["rtpcr_initial"] == "negative"
    model = test["score"] >= own.points[None].threshold
    p_values, corrected = [], []
    for record in result["readers"]:
        calls = test[f"reader_{record['name']}"]
        assert record["sensitivity"]["value"] == pytest.approx(recall_score(target, calls))
        assert record["specificity"]["value"] == pytest.approx(
            recall_score(target, calls, pos_label=0)
        )
        assert record["sensitivity_initially_negative"]["count"] == int(calls[late].sum())
        assert record["n"] == 120
        for measure, own in (("sensitivity", target == 1), ("specificity", target == 0)):
            right = [(said == target)[own] for said in (model, calls)]
            found = record["versus_model"][measure]
            expected = mcnemar(pd.crosstab(*right).to_numpy(), exact=True).pvalue
            assert found["p_value"] == pytest.approx(expected)
            assert found["difference"]["value"] == pytest.approx(right[0].mean() - right[1].mean())
            p_values.append(expected)
            corrected.append(found["p_holm"])
        seconds = test[f"reader_{record['name']}_seconds"]
        low, high = stats.t.interval(0.95, 119, seconds.mean(), stats.sem(seconds))
        assert record["seconds"]["value"] == pytest.approx(seconds.mean())
        assert record["seconds"]["low"] == pytest.approx(low, abs=2.5)
        assert record["seconds"]["high"] == pytest.approx(high, abs=2.5)
    assert corrected == pytest.approx(list(multipletests(p_values, method="holm")[1]))
    assert result["seconds"]["n"] == 240


def test_the_model_at_a_readers_specificity(cohort: Cohort, method: MethodOf) -> None:
    table = cohort()
    test = table[table["part"] == "test"]
    false, true, _ = roc_curve(test["target"], test["score"], drop_intermediate=False)
    for record in reader_study(method(table))["readers"]:
        allowed = 1 - record["specificity"]["value"]
        expected = true[false <= allowed + 1e-12].max()
        found = record["versus_model"]["at_reader_specificity"]
        assert found["sensitivity"]["value"] == pytest.approx(expected)
        assert found["difference"]["difference"]["value"] == pytest.approx(
            expected - record["sensitivity"]["value"]
        )
        called = test["score"] >= found["threshold"]
        specificity = recall_score(test["target"], called, pos_label=0)
        assert specificity >= record["specificity"]["value"] - 1e-12


def test_replicates_are_what_repeating_the_scans_gives() -> None:
    rng = np.random.default_rng(5)
    target, score = rng.random(30) < 0.4, rng.random(30).round(1)
    called = rng.random(30) < 0.4
    weights = rng.integers(0, 3, (20, 30)).astype(float)
    found = weighted_sensitivity(target, score, called, weights)
    for row, value in zip(weights.astype(int), found, strict=True):
        y, s, c = (np.repeat(array, row) for array in (target, score, called))
        expected, _ = sensitivity_at_specificity(y, s, 1 - c[~y].mean())
        assert value == pytest.approx(expected)


@pytest.mark.parametrize(
    "values",
    [[1, 0, 1], [1.0, 0.0, 1.0], [True, False, True], ["positive", "Negative ", "POSITIVE"],
     ["1", "0", "1"], ["true", "false", "true"]],
)  # fmt: skip
def test_calls_may_be_written_in_several_ways(values: list[object]) -> None:
    (reader,) = readers(pd.DataFrame({"reader_a": values}))
    assert reader.called is not None
    assert reader.called.tolist() == [True, False, True]
    assert reader.remark is None


def test_grades_need_a_cut_and_have_an_auc(cohort: Cohort, method: MethodOf) -> None:
    table = cohort().drop(columns=["reader_senior", "reader_senior_seconds"])
    rng = np.random.default_rng(3)
    table["reader_junior"] = np.clip(rng.integers(1, 5, 180) + table["target"], 1, 5)
    test = table[table["part"] == "test"]
    (record,) = reader_study(method(table))["readers"]
    assert record["auc"]["value"] == pytest.approx(
        roc_auc_score(test["target"], test["reader_junior"])
    )
    assert record["sensitivity"]["value"] is None
    assert record["versus_model"] is None
    assert "--reader-cut" in record["remark"]
    (record,) = reader_study(method(table), cut=4)["readers"]
    assert record["sensitivity"]["value"] == pytest.approx(
        recall_score(test["target"], test["reader_junior"] >= 4)
    )
    assert record["remark"] is None


def test_scans_that_a_reader_has_not_read_are_left_out_of_his_comparison(
    cohort: Cohort, method: MethodOf
) -> None:
    table = cohort()
    table["reader_junior"] = table["reader_junior"].astype(object)
    table.loc[table["scan_id"].isin(["S060", "S061"]), "reader_junior"] = None
    table.loc[table["scan_id"] == "S062", "reader_junior"] = "unsure"
    table.loc[table["scan_id"] == "S063", "reader_junior_seconds"] = -5
    junior, senior = reader_study(method(table))["readers"]
    assert (junior["n"], junior["n_not_read"]) == (117, 3)
    assert junior["versus_model"]["sensitivity"]["n"] == 39
    assert "1 value of reader_junior left out, such as 'unsure'" in junior["remark"]
    assert "1 times in reader_junior_seconds" in junior["remark"]
    assert junior["seconds"]["n"] == 119
    assert senior["n"] == 120


def test_no_reader_and_a_time_without_calls_are_said(cohort: Cohort, method: MethodOf) -> None:
    table = cohort()
    bare = table.drop(columns=[name for name in table.columns if name.startswith("reader_")])
    study = reader_study(method(bare))
    assert study["readers"] == []
    assert study["statement"].startswith("There is no reader's column in the table.")
    assert study["seconds"]["value"] is None
    timed = bare.assign(reader_a_seconds=table["reader_junior_seconds"])
    (record,) = reader_study(method(timed))["readers"]
    assert "there is no column reader_a" in record["remark"]
    assert record["sensitivity"]["value"] is None
    assert record["seconds"]["n"] == 120


def test_readers_of_nothing_of_one_class_and_of_the_same_calls(
    cohort: Cohort, method: MethodOf
) -> None:
    table = cohort()
    test = table["part"] == "test"
    own = method(table)
    table["reader_junior"] = np.nan
    cases_only = test & (table["target"] == 1)
    table["reader_senior"] = np.where(cases_only, 1.0, np.nan)
    table["reader_model"] = (table["score"] >= own.points[None].threshold).astype(int)
    nothing, one_class, same = reader_study(method(table))["readers"]
    assert nothing["remark"] == "the column reader_junior is empty"
    assert nothing["sensitivity"]["value"] is None
    assert nothing["versus_model"]["sensitivity"]["p_value"] is None
    assert one_class["sensitivity"]["value"] == 1.0
    assert one_class["specificity"]["reason"] == "no read negative scan"
    at = one_class["versus_model"]["at_reader_specificity"]
    assert at["difference"]["reason"] == "no read negative scan"
    test_of_same = same["versus_model"]["sensitivity"]
    assert test_of_same["difference"]["value"] == 0.0
    assert test_of_same["p_value"] is None
