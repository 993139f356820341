"""What a comparison says of weak thresholds and scores, as the report of one run does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from covidlit.evaluation.compare import compare

Predictions = Callable[..., pd.DataFrame]


def notes(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, str]:
    tables = {"csacnet": first, "svm": second}
    found = compare(tables, n_bootstrap=100).results["notes"]
    return {note["code"]: note["text"] for note in found}


def test_thresholds_chosen_on_few_scans_are_named_by_model(predictions: Predictions) -> None:
    few, many = predictions(n_validation=60), predictions(n_validation=300)
    few.loc[few["part"] == "test"] = many[many["part"] == "test"].to_numpy()
    # Two of five scans are positive: 24 of 60, the rarer class, and 120 of 300.
    text = notes(few, many)["threshold_uncertain"]
    assert "csacnet 24" in text
    assert "svm" not in text
    assert "threshold_uncertain" not in notes(many, many)


def test_a_model_without_validation_is_named(predictions: Predictions) -> None:
    table = predictions()
    found = notes(table, table[table["part"] == "test"])
    assert found["no_validation"].startswith("Without a validation part: svm. ")
    assert {"threshold_fixed", "threshold_uncertain"} <= found.keys()
    assert "no_validation" not in notes(table, table)


def test_scores_that_do_not_spread_are_named_by_model(predictions: Predictions) -> None:
    table = predictions()
    constant = table.assign(score=0.25)
    decisions = table.assign(score=np.where(table["score"] > 0.5, 0.9, 0.1))
    text = notes(constant, decisions)["no_spread"]
    assert "of csacnet, all 120 scans have the score 0.25" in text
    assert "of svm, all 120 scans have one of two scores (0.1 and 0.9)" in text
    assert "no_spread" not in notes(table, table)
