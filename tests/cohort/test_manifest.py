from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covidlit.cohort import (
    REQUIRED,
    read_manifest,
    scan_id_of,
    validate_manifest,
    write_manifest,
)
from covidlit.errors import ManifestError
from covidlit.names import is_name
from covidlit.tables import read_table

NAMES = ("scan_id", "class_name")
"""Columns that become names of files."""


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
    assert table["path"].tolist() == [str(tmp_path / name) for name in "122"]
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
        ("scan_id", 1, "../x", "keep the other one in a column original_id"),
        ("scan_id", 2, "a/b", "letters A-Z"),
        ("scan_id", 2, "CON", "no device of Windows"),
        ("scan_id", 3, "\u00e9", "letters A-Z"),
        ("scan_id", 1, "-rf", "begin with a letter or a digit"),
        ("class_name", 1, "$x$ $y$", "letters A-Z"),
        ("class_name", 2, "ground glass", "ground_glass"),
        ("class_name", 2, "../covid", "letters A-Z"),
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
    assert f"row {row} (line {row + 1} of the file), column {column!r}: value" in message
    assert rule in message
    assert ("(empty)" if value is None else str(value)) in message
    assert "m.csv" in message
    assert "1 problem:" in message  # nothing else is complained about


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])), column=st.sampled_from(NAMES))
def test_any_text_is_a_name_of_a_file_or_refused(text: str, column: str) -> None:
    table = good().astype("object")
    table.loc[1, column] = text
    if is_name(text) and text not in "ac":
        assert validate_manifest(table)[column].tolist()[1].lower() == text.lower()
    elif is_name(text) or (column == "class_name" and is_name(text.strip() or "x")):
        return  # a repeated id; blanks around a class
    else:
        with pytest.raises(ManifestError, match=rf"row 2.*column '{column}': value "):
            validate_manifest(table)


def test_a_long_value_is_not_printed_whole() -> None:
    table = good().assign(scan_id=["a", "b", "x/" * 50_000])
    with pytest.raises(ManifestError, match=r"row 3.*100000 characters") as caught:
        validate_manifest(table)
    assert len(str(caught.value)) < 1000


def test_a_year_out_of_range_is_named_with_its_row_where_dates_are_typed() -> None:
    dates = pd.Series(["2020-02-01", "9999-12-31", None]).astype("datetime64[us]")
    with pytest.raises(ManifestError, match=r"row 2.*column 'acquisition_date'.*1678 to 2261"):
        validate_manifest(good().assign(acquisition_date=dates))


def test_several_wrong_values_are_named_at_once() -> None:
    table = good().astype("object")
    table.loc[0, "age"], table.loc[1, "sex"] = "old", "?"
    with pytest.raises(ManifestError, match=r"2 problem.*row 1, column 'age'.*row 2.*column 'sex'"):
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
    with pytest.raises(ManifestError, match=r"row 1.*column 'scan_id'.*row 3.*one row only"):
        read_manifest(tmp_path / "m.csv")


def test_two_rows_for_one_series_are_refused(tmp_path: Path) -> None:
    table = good().assign(series_uid=["1.2.3", "1.2.4", "1.2.4"])
    table.to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(
        ManifestError, match=r"rows 2, 3 \(lines 3, 4 of the file\) are the same scan"
    ):
        read_manifest(tmp_path / "m.csv")
    table.drop(columns="series_uid").to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(
        ManifestError, match=r"rows 2, 3 \(lines 3, 4 of the file\) are the same scan"
    ):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize(("initial", "turn"), [("positive", 2), ("negative", 1)])
def test_contradicting_rtpcr_columns_are_refused(initial: str, turn: int) -> None:
    table = good()
    table.loc[0, ["rtpcr_initial", "rtpcr_round"]] = [initial, turn]
    with pytest.raises(ManifestError, match=r"row 1.*column 'rtpcr_round'"):
        write_manifest(table, "unused.csv")


def test_paths_start_from_the_manifest_and_follow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write_and_read(good(), tmp_path / "m.csv")
    assert first["path"][0] == str(tmp_path / "1")
    write_manifest(first, tmp_path / "deep" / "er" / "m.csv")
    assert read_table(tmp_path / "deep" / "er" / "m.csv")["path"][0] == "../../1"
    # Whatever is done to the table in between, and wherever the program runs.
    monkeypatch.chdir(tmp_path / "deep")
    some = pd.DataFrame(pd.concat([first.iloc[1:], first.iloc[:1]]).to_dict("list"))
    moved = write_and_read(some, Path("er") / "some.csv")
    assert moved["path"].tolist() == [str(tmp_path / name) for name in "221"]


def test_a_path_with_nothing_in_common_stays_absolute(tmp_path: Path) -> None:
    table = good().assign(path=["/elsewhere/1", "/elsewhere/../2", str(tmp_path / "2")])
    write_manifest(table, tmp_path / "m.csv")
    assert read_table(tmp_path / "m.csv")["path"].tolist() == [*table["path"][:2], "2"]
    assert read_manifest(tmp_path / "m.csv")["path"].tolist()[:2] == ["/elsewhere/1", "/2"]


def test_scan_ids_are_stable_and_do_not_show_the_uid() -> None:
    # Fixed: truth volumes and predictions of earlier runs are named by it.
    assert scan_id_of("1.2.840.1") == "S427715b2b28c"
    assert scan_id_of("1.2.840.1") != scan_id_of("1.2.840.2")
    with pytest.raises(ManifestError):
        scan_id_of("")


def write_and_read(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    return read_manifest(write_manifest(table, path))
