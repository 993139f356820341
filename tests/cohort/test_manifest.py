from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from covidlit.cohort import (
    REQUIRED,
    read_manifest,
    resolve_path,
    scan_id_of,
    validate_manifest,
    write_manifest,
)
from covidlit.errors import ManifestError


def good() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient_id": ["007", "008", "008"],
            "scan_id": ["a", "b", "c"],
            "path": ["1", "2", "2"],
            "class_name": ["covid", "np", None],
            "centre": ["1", "1", "2"],
            "series_uid": ["1.2.3", "1.2.4", "1.2.5"],
            "acquisition_date": ["2020-02-01", "20190101", None],
            "target": [1, 0, None],
            "age": [50.5, None, 80],
            "sex": ["F", "M", None],
            "rtpcr_initial": ["negative", None, "positive"],
            "rtpcr_round": [2, None, 1],
            "scanner_room": ["x", "y", "z"],
            "synthetic": [True, False, None],
        }
    )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_comes_back_as_it_was_written(tmp_path: Path, ending: str) -> None:
    table = write_and_read(good(), tmp_path / f"m.{ending}")
    assert table["patient_id"].tolist() == ["007", "008", "008"]  # leading zeros are kept
    assert table["centre"].tolist() == ["1", "1", "2"]
    assert table["path"].tolist() == ["1", "2", "2"]
    assert table["acquisition_date"].tolist()[:2] == [
        pd.Timestamp(2020, 2, 1),
        pd.Timestamp(2019, 1, 1),
    ]
    assert table["target"].tolist() == [1, 0, pd.NA]
    assert table["scanner_room"].tolist() == ["x", "y", "z"]
    assert table["synthetic"].sum() == 1


def test_the_required_columns_are_enough(tmp_path: Path) -> None:
    good()[list(REQUIRED)].iloc[:2].to_csv(tmp_path / "m.csv", index=False)
    table = read_manifest(tmp_path / "m.csv")
    assert list(table.columns) == [*REQUIRED, "centre"]
    assert table["centre"].isna().all()


def test_a_centre_may_be_unknown() -> None:
    table = validate_manifest(good().assign(centre=["1", None, " "]))
    assert table["centre"].isna().tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("column", "row", "value", "rule"),
    [
        ("age", 2, "old", "must be a number"),
        ("age", 2, 300, "must be 0 to 120 years"),
        ("sex", 1, "female", "must be F or M"),
        ("rtpcr_initial", 3, "pos", "must be positive or negative"),
        ("rtpcr_round", 1, 0, "whole number of at least 1"),
        ("target", 2, 0.5, "must be a whole number"),
        ("target", 2, "covid", "must be a whole number"),
        ("acquisition_date", 1, "2020-02-30", "must be a date written YYYY-MM-DD"),
        ("acquisition_date", 1, "01/02/2020", "must be a date written YYYY-MM-DD"),
        ("acquisition_date", 2, "0001-01-01", "of the years 1678 to 2261"),
        ("acquisition_date", 2, "99991231", "of the years 1678 to 2261"),
        ("patient_id", 2, None, "must not be empty"),
        ("path", 1, None, "must not be empty"),
        ("synthetic", 1, "perhaps", "must be true or false"),
        ("split", 1, "holdout", "must be train or validation or test"),
        ("status", 1, "bad", "must be ok or refused"),
    ],
)
def test_a_wrong_value_is_named_with_row_column_and_rule(
    tmp_path: Path, column: str, row: int, value: Any, rule: str
) -> None:
    table = good().astype("object")
    if column not in table:
        table[column] = None
    table.loc[row - 1, column] = value
    table.to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(ManifestError) as caught:
        read_manifest(tmp_path / "m.csv")
    message = str(caught.value)
    assert f"row {row}, column {column!r}: value" in message
    assert rule in message
    assert ("(empty)" if value is None else str(value)) in message
    assert "m.csv" in message
    assert "1 problem(s)" in message  # nothing else is complained about


def test_a_year_out_of_range_is_named_with_its_row_where_dates_are_typed() -> None:
    dates = pd.Series(["2020-02-01", "9999-12-31", None]).astype("datetime64[us]")
    with pytest.raises(ManifestError, match=r"row 2, column 'acquisition_date'.*1678 to 2261"):
        validate_manifest(good().assign(acquisition_date=dates))


def test_several_wrong_values_are_named_at_once() -> None:
    table = good().astype("object")
    table.loc[0, "age"], table.loc[1, "sex"] = "old", "?"
    with pytest.raises(ManifestError, match=r"2 problem.*row 1, column 'age'.*row 2, column 'sex'"):
        write_manifest(table, "unused.csv")


@pytest.mark.parametrize("column", REQUIRED)
def test_a_missing_column_is_named_with_those_there(tmp_path: Path, column: str) -> None:
    good().drop(columns=column).to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(ManifestError, match=f"column '{column}' is missing .the table has: "):
        read_manifest(tmp_path / "m.csv")


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    good().iloc[:0].to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(ManifestError, match=r"no row"):
        read_manifest(tmp_path / "m.csv")


def test_a_repeated_scan_id_is_refused(tmp_path: Path) -> None:
    good().assign(scan_id=["a", "b", "a"]).to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(ManifestError, match=r"row 1, column 'scan_id'.*row 3.*one row only"):
        read_manifest(tmp_path / "m.csv")


def test_two_rows_for_one_series_are_refused(tmp_path: Path) -> None:
    table = good().assign(series_uid=["1.2.3", "1.2.4", "1.2.4"])
    table.to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(ManifestError, match=r"rows 2, 3 are the same scan"):
        read_manifest(tmp_path / "m.csv")
    table.drop(columns="series_uid").to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(ManifestError, match=r"rows 2, 3 are the same scan"):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize(("initial", "turn"), [("positive", 2), ("negative", 1)])
def test_contradicting_rtpcr_columns_are_refused(initial: str, turn: int) -> None:
    table = good()
    table.loc[0, ["rtpcr_initial", "rtpcr_round"]] = [initial, turn]
    with pytest.raises(ManifestError, match=r"row 1, column 'rtpcr_round'"):
        write_manifest(table, "unused.csv")


def test_paths_start_from_the_manifest_and_follow_it(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    first = write_and_read(good(), tmp_path / "m.csv")
    assert resolve_path(first, first["path"][0]) == tmp_path / "1"
    moved = write_and_read(first, tmp_path / "deep" / "er" / "m.csv")
    assert moved["path"][0] == "../../1"
    assert resolve_path(moved, moved["path"][0]).resolve() == tmp_path / "1"
    assert resolve_path(moved, "/elsewhere") == Path("/elsewhere")
    with pytest.raises(ManifestError, match=r"no folder to start from"):
        resolve_path(good(), "1")


def test_scan_ids_are_stable_and_do_not_show_the_uid() -> None:
    # Fixed: truth volumes and predictions of earlier runs are named by it.
    assert scan_id_of("1.2.840.1") == "S427715b2b28c"
    assert scan_id_of("1.2.840.1") != scan_id_of("1.2.840.2")
    with pytest.raises(ManifestError):
        scan_id_of("")


def write_and_read(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    return read_manifest(write_manifest(table, path))
