"""Contract of the predictions table: what is written is read, what breaks it is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidlit.errors import PredictionsError
from covidlit.evaluation import read_predictions, validate_predictions, write_predictions
from covidlit.evaluation.predictions import REQUIRED, is_synthetic

Predictions = Callable[..., pd.DataFrame]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_round_trip(predictions: Predictions, tmp_path: Path, ending: str) -> None:
    table = predictions()
    table.loc[100, ["score", "status", "reason"]] = [np.nan, "refused", "missing slice"]
    path = write_predictions(table, tmp_path / f"predictions.{ending}")
    read = read_predictions(path)
    pd.testing.assert_frame_equal(read[list(REQUIRED)], validate_predictions(table)[list(REQUIRED)])
    assert read.loc[100, "reason"] == "missing slice"
    assert is_synthetic(read) is True


def test_identifiers_that_look_like_numbers_stay_text(
    predictions: Predictions, tmp_path: Path
) -> None:
    table = predictions().assign(patient_id=[f"{index:04d}" for index in range(180)])
    read = read_predictions(write_predictions(table, tmp_path / "predictions.csv"))
    assert read["patient_id"].iloc[7] == "0007"


def test_a_minimal_table_is_completed(predictions: Predictions) -> None:
    table = validate_predictions(predictions()[list(REQUIRED)])
    assert (table["status"] == "ok").all()
    assert table["fold"].isna().all()
    assert is_synthetic(table) is None


@pytest.mark.parametrize("column", REQUIRED)
def test_a_missing_column_is_named(predictions: Predictions, column: str) -> None:
    with pytest.raises(PredictionsError, match=f"'{column}'"):
        validate_predictions(predictions().drop(columns=column))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("score", 1.2, "probability from 0 to 1"),
        ("score", "high", "row 4"),
        ("target", -1, "class index"),
        ("part", "train", "'validation' or 'test'"),
        ("score", np.nan, "marked ok but without a score: row 4"),
        ("status", "refused", "refused but with a score"),
        ("scan_id", "S000", "more than once"),
        ("patient_id", "P100", "both the validation and the test part"),
        ("patient_id", None, "patient_id"),
    ],
)
def test_a_wrong_value_is_named_with_its_row(
    predictions: Predictions, column: str, value: object, message: str
) -> None:
    table = predictions()
    table[column] = table[column].astype(object)
    table.loc[3, column] = value
    with pytest.raises(PredictionsError, match=message):
        validate_predictions(table)


def test_a_refused_scan_needs_a_reason(predictions: Predictions) -> None:
    table = predictions()
    table.loc[100, ["score", "status"]] = [np.nan, "refused"]
    with pytest.raises(PredictionsError, match="without a reason"):
        validate_predictions(table)


def test_a_run_may_not_write_what_is_read_as_refused(
    predictions: Predictions, tmp_path: Path
) -> None:
    table = predictions()
    table.loc[100, "score"] = np.nan
    with pytest.raises(PredictionsError, match="marked ok but without a score"):
        write_predictions(table.assign(status="ok"), tmp_path / "predictions.csv")
    table.assign(status="ok").to_csv(tmp_path / "elsewhere.csv", index=False)
    row = read_predictions(tmp_path / "elsewhere.csv").loc[100]
    assert (row["status"], row["reason"]) == ("refused", "marked ok without a score")


def test_the_same_scan_may_stand_in_several_folds(predictions: Predictions) -> None:
    both = pd.concat([predictions().assign(fold=0), predictions().assign(fold=1)])
    assert len(validate_predictions(both)) == 360


def test_nothing_is_left_of_a_table_that_breaks_the_contract(
    predictions: Predictions, tmp_path: Path
) -> None:
    with pytest.raises(PredictionsError):
        write_predictions(predictions().assign(score=2.0), tmp_path / "predictions.parquet")
    assert list(tmp_path.iterdir()) == []


def test_empty_and_absent_tables(predictions: Predictions, tmp_path: Path) -> None:
    with pytest.raises(PredictionsError, match="no rows"):
        validate_predictions(predictions().head(0))
    with pytest.raises(PredictionsError, match="no such file"):
        read_predictions(tmp_path / "absent.parquet")
