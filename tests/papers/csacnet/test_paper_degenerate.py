"""Input without an answer gets a statement in the place of the number, and no exception."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from covidlit.papers.csacnet import Paper, paper, write_paper

pytestmark = pytest.mark.slow

Cohort = Callable[..., pd.DataFrame]


def _written(tables: pd.DataFrame | dict[str, pd.DataFrame], folder: Path) -> tuple[Paper, str]:
    """The results and the page's text; what is undefined must be null, and say why."""
    found = paper(tables, n_bootstrap=100)
    page = write_paper(found, folder).read_text()
    written = json.loads((folder / "paper.json").read_text(), parse_constant=pytest.fail)
    for estimate in _estimates(written):
        if estimate["value"] is None or estimate["low"] is None:
            assert estimate["reason"]
    assert "nan" not in page.lower().replace("nano", "").replace("(nan)", "")
    return found, page


def _estimates(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        own = [value] if {"value", "low", "high"} <= set(value) else []
        return own + [found for child in value.values() for found in _estimates(child)]
    if isinstance(value, list):
        return [found for child in value for found in _estimates(child)]
    return []


@pytest.mark.parametrize("target", [0, 1])
def test_one_class_only(cohort: Cohort, tmp_path: Path, target: int) -> None:
    table = cohort()
    table = table[(table["target"] == target) | (table["part"] == "validation")]
    found, page = _written(table, tmp_path)
    for record in found.results["figure2_left"]:
        assert record["auc"]["value"] is None
        assert record["roc"] is None
    record = found.results["figure2_right"][0]
    assert record["auc_test"]["p_value"] is None
    if target:
        assert "no negative scan" in page
        assert record["sensitivity_test"]["p_value"] is not None
    else:
        assert record["statement"] == "There is no scored case in the test part."
        assert record["statement"] in page
    assert "The AUC is undefined: no" in page
    assert "<svg" not in page


def test_ties_everywhere(cohort: Cohort, tmp_path: Path) -> None:
    found, page = _written(cohort().assign(score=0.4), tmp_path)
    overall = found.results["figure2_left"][0]
    assert overall["auc"]["value"] == 0.5
    assert overall["auc"]["low"] < 0.5 < overall["auc"]["high"]
    test = found.results["figure2_right"][0]["auc_test"]
    assert test["difference"]["value"] == 0.0
    assert test["p_value"] is None
    assert "all 120 scans have the score" in page


def test_scores_that_are_not_numbers(cohort: Cohort, tmp_path: Path) -> None:
    table = cohort()
    table.loc[table["scan_id"].isin(["S010", "S100", "S101"]), "score"] = np.nan
    found, page = _written(table, tmp_path)
    assert found.results["figure2_left"][0]["auc"]["n"] == 118
    assert "2 test scans and 1 validation scan without a score (NaN), taken as refused." in page
    every, page = _written(table.assign(score=np.nan), tmp_path)
    assert every.results["figure2_left"][0]["auc"]["value"] is None
    assert every.results["methods"][0]["n_scored"] == 0
    assert "every test scan was refused: there is no number." in page


def test_two_scans(cohort: Cohort, tmp_path: Path) -> None:
    table = cohort()
    found, page = _written(table[table["scan_id"].isin(["S060", "S061"])], tmp_path)
    overall, _, s3 = found.results["figure2_left"]
    assert overall["auc"]["n"] == 2
    assert overall["auc"]["high"] - overall["auc"]["low"] > 0.5
    assert overall["operating_points"][0]["threshold"] == 0.5
    assert s3["auc"]["reason"] == "no negative scan"
    assert "There is no validation part" in page
    assert "The threshold 0.5 was fixed, not chosen on data" in page


def test_an_empty_subgroup(cohort: Cohort, tmp_path: Path) -> None:
    table = cohort()
    table = table[(table["class_name"] != "np") & (table["rtpcr_initial"] != "negative")]
    found, page = _written(table, tmp_path)
    _, s2, s3 = found.results["figure2_left"]
    assert s2["auc"]["value"] is None
    assert s2["sensitivity"]["value"] is not None
    assert s3["auc"]["value"] is not None
    record = found.results["figure2_right"][0]
    assert record["groups"]["negative"]["auc"]["reason"] == "no positive scan"
    assert record["sensitivity_test"]["p_value"] is None
    assert "No scored case has a negative first RT-PCR: the groups cannot be compared." in page
    late = found.results["table3"]["thresholds"][0]["sensitivity_initially_negative"]
    assert late["reason"] == "no positive scan with a negative first RT-PCR"


def test_columns_that_are_not_there_and_a_method_without_scores(
    cohort: Cohort, tmp_path: Path
) -> None:
    table = cohort()
    needed = ["part", "patient_id", "scan_id", "centre", "class_name", "target", "score"]
    bare = table[needed].assign(centre=None)
    refused = table.assign(score=np.nan, status="refused", reason="blurred")
    few = table[table["scan_id"] != "S100"]
    found, page = _written({"bare": bare, "refused": refused, "few": few}, tmp_path)
    statements = [record["statement"] for record in found.results["figure2_right"]]
    assert statements[0].startswith("The table has no column rtpcr_initial")
    assert statements[1] == "There is no scored case in the test part."
    assert statements[2] is None
    assert "refused: every test scan was refused: there is no number." in page
    assert "few: its 119 test scans are not the 120 of bare (119 in common)" in page
    assert "There is no reader&#39;s column in the table." in page
    assert "120 refused: blurred" in page
