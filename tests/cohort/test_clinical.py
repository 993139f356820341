from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from covidlit.cohort.clinical import INDICATORS, read_clinical, validate_clinical, write_clinical
from covidlit.errors import ManifestError


def good() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient_id": ["P1", "P1", "P2"],
            "date": ["2020-02-01", "2020-02-05", "2020-02-01"],
            "age": [60, 60, 45],
            "sex": ["F", "F", "M"],
            "smoker": [True, True, None],
            "comorbidity_count": [2, 2, 0],
            "symptom_fever": [True, False, None],
            "epidemiology": ["contact", None, "travel"],
            "severity": ["mild", "severe", None],
            "severity_at_admission": ["mild", "mild", "moderate"],
            "progressed": [True, True, False],
            "outcome": ["died", "died", "survived"],
            "event_time_days": [20, 20, 31.5],
            **{name: [(i.low + i.high) / 2, None, i.low] for name, i in INDICATORS.items()},
            "ferritin_ug_per_l": [300.0, None, 200.0],
        }
    )


def test_the_papers_seventeen_indicators_are_there() -> None:
    assert len(INDICATORS) == 17


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_comes_back_as_it_was_written(tmp_path: Path, ending: str) -> None:
    table = read_clinical(write_clinical(good(), tmp_path / f"c.{ending}"))
    assert table["date"].tolist()[1] == pd.Timestamp(2020, 2, 5)
    assert table["pao2_mmhg"].isna().tolist() == [False, True, False]
    assert table["smoker"].tolist() == [True, True, pd.NA]
    assert table["symptom_fever"].tolist() == [True, False, pd.NA]
    assert table["ferritin_ug_per_l"].sum() == 500


def test_patient_and_date_are_enough() -> None:
    assert len(validate_clinical(good()[["patient_id", "date"]])) == 3


@pytest.mark.parametrize(
    ("column", "row", "value", "rule"),
    [
        ("haemoglobin_g_per_l", 1, 13.5, "must be 20 to 260 g/L"),  # that is g/dL
        ("platelets_1e9_per_l", 3, -1, "must be 0 to 3000 10^9/L"),
        ("lymphocyte_percent", 2, 120, "must be 0 to 100 percent"),
        ("pao2_mmhg", 1, "high", "must be a number"),
        ("severity", 2, "bad", "must be mild or moderate or severe or critical"),
        ("outcome", 1, 1, "must be survived or died"),
        ("comorbidity_count", 3, 1.5, "must be a whole number"),
        ("event_time_days", 2, -3, "must be 0 to"),
        ("date", 2, "5.2.2020", "must be a date written YYYY-MM-DD"),
        ("date", 1, None, "must not be empty"),
        ("patient_id", 3, None, "must not be empty"),
        ("symptom_fever", 1, "a bit", "must be true or false"),
    ],
)
def test_a_wrong_value_is_named(
    tmp_path: Path, column: str, row: int, value: Any, rule: str
) -> None:
    table = good().astype("object")
    table.loc[row - 1, column] = value
    table.to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(ManifestError) as caught:
        read_clinical(tmp_path / "c.csv")
    assert f"row {row} (line {row + 1} of the file), column {column!r}: value" in str(caught.value)
    assert rule in str(caught.value)


@pytest.mark.parametrize("column", ["patient_id", "date"])
def test_a_missing_column_is_named(column: str) -> None:
    with pytest.raises(ManifestError, match=f"column '{column}' is missing"):
        validate_clinical(good().drop(columns=column))


def test_one_row_per_patient_and_date() -> None:
    with pytest.raises(ManifestError, match=r"rows 1, 2, columns .*P1 has 2 rows of 2020-02-01"):
        validate_clinical(good().assign(date=["2020-02-01", "20200201", "2020-02-01"]))


def test_implausible_values_can_be_emptied_and_are_counted() -> None:
    table = good()
    table.loc[0, "haemoglobin_g_per_l"] = 13.5
    checked = validate_clinical(table, implausible="null")
    assert checked["haemoglobin_g_per_l"].isna().tolist() == [True, True, False]
    assert checked.attrs["implausible"] == {"haemoglobin_g_per_l": 1}
