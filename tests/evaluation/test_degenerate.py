"""Tables with next to nothing in them: a clear statement on the page, no exception, no number."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from covidlit.evaluation import evaluate, write_report

pytestmark = pytest.mark.slow

Predictions = Callable[..., pd.DataFrame]

NAMES = ("sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy", "f1", "mcc")


@dataclass(frozen=True)
class Case:
    """A degenerate table and what must be said of it.

    Attributes:
        change: makes the table out of an ordinary one.
        says: statements on the page.
        undefined: paths below the test part's metrics that must have no value.
        no_interval: paths that have a value and no interval.
        subgroups: columns to analyse.
    """

    change: Callable[[pd.DataFrame], pd.DataFrame]
    says: tuple[str, ...]
    undefined: tuple[str, ...] = ()
    no_interval: tuple[str, ...] = ()
    subgroups: tuple[str, ...] | None = None


def _test(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["part"] == "test"]


def _one_class(target: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda table: table[(table["part"] == "validation") | (table["target"] == target)]


def _two_scans(table: pd.DataFrame) -> pd.DataFrame:
    rows = _test(table)
    return pd.concat([rows[rows["target"] == 1].head(1), rows[rows["target"] == 0].head(1)])


def _class_missing_in_centre_4(table: pd.DataFrame) -> pd.DataFrame:
    in_test = (table["part"] == "test") & (np.arange(len(table)) % 2 == 0)
    table["centre"] = table["centre"].where(~in_test, "4")
    return table[(table["centre"] != "4") | (table["target"] == 0)]


def _at(*names: str) -> tuple[str, ...]:
    return tuple(f"at_operating_point/{name}" for name in names)


_NOT_OF_ONE_CLASS = (
    *("auc", "auc_logit", "calibration/slope", "calibration/intercept", "calibration/scaled_brier"),
    *("calibration/calibration_in_the_large", *_at("ppv", "npv", "balanced_accuracy", "f1", "mcc")),
    *(f"threshold_table/{row}/{name}" for row in range(9) for name in ("ppv", "npv")),
)

CASES = {
    "only negative test scans": Case(
        _one_class(0),
        ("The AUC is undefined: no positive scan.", "undefined: only one class"),
        (*_NOT_OF_ONE_CLASS, "threshold_table/4/sensitivity", *_at("sensitivity")),
    ),
    "only positive test scans": Case(
        _one_class(1),
        ("The AUC is undefined: no negative scan.", "undefined: only one class"),
        (*_NOT_OF_ONE_CLASS, "threshold_table/4/specificity", *_at("specificity")),
    ),
    "ties everywhere": Case(
        lambda table: table.assign(score=0.4),
        (
            "of the test part, all 120 scans have the score 0.4, so the AUC of 0.5 comes from ties",
            "because the 60 validation scans all have the score 0.4",
            "undefined: the scores do not vary",
            "undefined: all scans have the score 0.4: it cannot tell anything apart",
        ),
        ("calibration/slope", "calibration/intercept", *_at("ppv", "mcc")),
    ),
    "two scans": Case(
        _two_scans,
        (
            "2 scans of 2 patients from centre 3: 1 positive, 1 negative",
            "below 100 of each, results are uncertain",
            "no centre has at least 5 scans",
            "DeLong needs two scans of each class",
        ),
        ("calibration/slope", "calibration/intercept"),
    ),
    "one scan": Case(
        lambda table: _test(table).head(1),
        ("The AUC is undefined",),
        ("auc", "auc_logit", *_at("ppv", "npv", "balanced_accuracy", "f1", "mcc")),
    ),
    "an empty subgroup": Case(
        lambda table: table.assign(kernel=pd.NA, age=np.nan),
        ("Reconstruction kernel", "undefined: none of the 120 scans has a value in this column"),
        tuple(f"subgroups/{row}/{name}" for row in (0, 1) for name in ("auc", *NAMES[:2])),
        subgroups=("kernel", "age"),
    ),
    "a class missing in one centre": Case(
        _class_missing_in_centre_4,
        (
            "undefined: only negative scans in this group",
            "Left out: 4 (no scan)",
        ),
        ("subgroups/1/auc", "subgroups/1/sensitivity"),
        subgroups=("centre",),
    ),
    "one patient only": Case(
        lambda table: _test(table).assign(patient_id="P1"),
        (
            "All 120 test scans are of one patient: there are no intervals",
            "(no interval: all scans are of one patient)",
            "without intervals, because all scans are of one patient",
        ),
        ("auc_logit",),
        ("auc", "prevalence", "refused/share", *_at(*NAMES), "threshold_table/4/sensitivity"),
    ),
    "one patient with ties": Case(
        lambda table: _test(table).assign(patient_id="P1", score=0.7),
        ("All 120 test scans are of one patient", "all 120 scans have the score 0.7"),
        ("auc_logit", "calibration/slope", *_at("npv", "mcc")),
        ("auc", *_at("sensitivity", "specificity")),
    ),
}


def _estimates(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    if isinstance(value, dict) and {"value", "low", "high"} <= set(value):
        yield path, value
        return
    for key, child in items:
        if isinstance(child, dict | list):
            yield from _estimates(child, f"{path}/{key}" if path else str(key))


def _refuse_constant(name: str) -> float:
    raise AssertionError(f"metrics.json holds {name}")


@pytest.mark.filterwarnings(
    "error", "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("name", CASES)
def test_degenerate_tables_are_described_and_give_no_number_where_there_is_none(
    name: str, predictions: Predictions, tmp_path: Path
) -> None:
    case = CASES[name]
    table = case.change(predictions())
    evaluation = evaluate(table, n_bootstrap=100, subgroups=case.subgroups)
    path = write_report(table, tmp_path, evaluation=evaluation)
    text = (tmp_path / "metrics.json").read_text(encoding="utf-8")
    metrics = json.loads(text, parse_constant=_refuse_constant)
    found = dict(_estimates(metrics["parts"]["test"]))
    for record in dict(_estimates(metrics)).values():
        numbers = [record[key] for key in ("value", "low", "high")]
        assert all(number is None or math.isfinite(number) for number in numbers)
        assert None not in numbers or record["reason"]
        assert record["value"] is not None or numbers == [None] * 3
    assert [path for path in case.undefined if found[path]["value"] is not None] == []
    for key in case.no_interval:
        assert found[key]["value"] is not None, key
        assert (found[key]["low"], found[key]["high"]) == (None, None), key
    page = re.sub(r"<style>.*?</style>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    shown = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())
    for statement in case.says:
        assert statement in shown, statement
    for wrong in ("nan", "None", "inf"):
        assert re.search(rf"\b{wrong}\b", shown) is None, wrong


@pytest.mark.parametrize("nothing", [np.nan, None, pd.NA])
@pytest.mark.parametrize("marked", [True, False])
def test_a_scan_marked_ok_without_a_score_counts_as_refused(
    nothing: object, marked: bool, predictions: Predictions
) -> None:
    table = predictions().astype({"score": object}).drop(columns=["status"], errors="ignore")
    if marked:
        table["status"] = "ok"
    table.loc[[3, 100, 101], "score"] = nothing
    known = table.drop(index=[3, 100, 101])
    found, without = evaluate(table, n_bootstrap=100), evaluate(known, n_bootstrap=100)
    assert found.estimate("auc") == without.estimate("auc")
    refused = found.metrics["parts"]["test"]["refused"]
    assert refused["reasons"] == {"marked ok without a score": 2}
    assert refused["counted_as_errors"]["auc"]["value"] < found.estimate("auc").value
    caution = [one["text"] for one in found.metrics["cautions"] if one["code"] == "without_score"]
    assert caution[0].startswith("2 test scans and 1 validation scan not marked as refused")
    assert "without_score" not in {one["code"] for one in without.metrics["cautions"]}


def test_a_scan_without_the_score_of_a_class_counts_as_refused(predictions: Predictions) -> None:
    table = predictions()
    table["score_np"] = table["score_cap"] = (1 - table["score"]) / 2
    table["score_covid"] = table["score"]
    table["target"] = 2 * table["target"]
    table.loc[100, "score_cap"] = np.nan
    found = evaluate(table, n_bootstrap=100)
    assert found.metrics["without_score"] == {"test": 1}
    assert found.metrics["parts"]["test"]["n_scored"] == 119
