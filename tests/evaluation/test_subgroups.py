"""Subgroups, and the comparison that the paper makes for groups of one class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from covidlit.errors import PredictionsError
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.subgroups import subgroup_labels, subgroups

Predictions = Callable[..., pd.DataFrame]


def _records(table: pd.DataFrame, columns: list[str] | None = None) -> dict[tuple[str, str], dict]:
    called = table["score"].to_numpy() >= 0.5
    sampling = Sampling(table["patient_id"].to_numpy(str))
    rows = subgroups(table, called, sampling, columns)
    return {(row["column"], row["group"]): row for row in rows}


def test_a_group_of_both_classes_is_judged_by_itself(predictions: Predictions) -> None:
    table = predictions()
    row = _records(table)["sex", "F"]
    inside = table[table["sex"] == "F"]
    assert row["n"] == len(inside)
    assert row["auc"]["value"] == pytest.approx(roc_auc_score(inside["target"], inside["score"]))
    positive = inside[inside["target"] == 1]
    assert row["sensitivity"]["value"] == pytest.approx((positive["score"] >= 0.5).mean())
    assert row["compared_with"] == "within the group"


def test_class_groups_are_compared_with_the_other_class_as_in_the_paper(
    predictions: Predictions,
) -> None:
    table = predictions()
    records = _records(table)
    row = records["class_name", "np"]
    pair = table[table["class_name"].isin(["np", "covid"])]  # S1 vs S2
    assert row["auc"]["value"] == pytest.approx(roc_auc_score(pair["target"], pair["score"]))
    assert row["compared_with"] == "all positives"
    assert row["sensitivity"]["value"] is None
    row = records["rtpcr_initial", "negative"]
    pair = table[(table["rtpcr_initial"] == "negative") | (table["target"] == 0)]
    assert row["auc"]["value"] == pytest.approx(roc_auc_score(pair["target"], pair["score"]))
    assert row["n"] == (table["rtpcr_initial"] == "negative").sum()


def test_a_centre_of_one_class_has_no_auc_and_says_so(predictions: Predictions) -> None:
    table = predictions()
    table = table[(table["centre"] != "2") | (table["target"] == 0)].reset_index(drop=True)
    row = _records(table)["centre", "2"]
    assert row["auc"]["value"] is None
    assert row["auc"]["reason"] == "only negative scans in this group"
    assert row["specificity"]["value"] is not None


def test_ages_are_cut_and_missing_values_kept() -> None:
    ages = pd.Series([20.0, 39.9, 40.0, 79.0, 80.0, np.nan])
    labels = subgroup_labels(ages, "age").tolist()
    assert labels == [
        "below 40",
        "below 40",
        "40 to below 60",
        "60 to below 80",
        "80 and above",
        "missing",
    ]


def test_numbers_are_cut_at_tertiles_and_rare_texts_joined() -> None:
    counts = subgroup_labels(pd.Series(np.arange(90.0)), "kvp").value_counts()
    assert counts.tolist() == [30, 30, 30]
    kernels = pd.Series([f"kernel {index}" for index in range(20)] + ["B30f"] * 5)
    labels = subgroup_labels(kernels, "kernel")
    assert labels.nunique() == 12
    assert "all others" in set(labels)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([1234567.0, 1234568.0, None], ["1234567", "1234568", "missing"]),
        ([1.25, 5.0, 0.1], ["1.25", "5", "0.1"]),
        (np.array([0.1, 5.0], dtype=np.float32), ["0.1", "5"]),
        (pd.array([2**60, 2**60 + 1], dtype="Int64"), [str(2**60), str(2**60 + 1)]),
        ([0.3, 0.1 + 0.2, np.inf], ["0.3", "0.30000000000000004", "missing"]),
    ],
)
def test_distinct_numbers_are_distinct_groups(values: list[float], labels: list[str]) -> None:
    assert subgroup_labels(pd.Series(values), "kvp").tolist() == labels


def test_a_boundary_between_groups_is_a_value_of_the_column() -> None:
    values = pd.Series(np.arange(9) + 1234567)
    assert subgroup_labels(values, "device_number").unique().tolist() == [
        "below 1234570", "1234570 to below 1234573", "1234573 and above",
    ]  # fmt: skip


def test_any_column_can_be_asked_for_and_an_unknown_one_is_named(predictions: Predictions) -> None:
    table = predictions().assign(ward=lambda rows: np.where(rows.index % 2, "A", "B"))
    assert {group for column, group in _records(table, ["ward"])} == {"A", "B"}
    with pytest.raises(PredictionsError, match="wards"):
        _records(table, ["wards"])
