"""Hospitals' tables as contract 9: the same values however they are written."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import clinical_tables as hospital
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covidlit.cohort.clinical import (
    ClinicalSource,
    read_clinical,
    read_clinical_source,
    write_clinical,
)
from covidlit.cohort.clinical.own_table import mapping_of_own
from covidlit.datamodules.tables.clinical_rows import rows_of_source

EXPECTED = {
    "haemoglobin_g_per_l": [135.0, 120.0, 110.0, 142.0],
    "leukocytes_1e9_per_l": [5.0, 8.0, 12.0, 6.5],
    "lymphocyte_percent": [25.0, 10.0, 5.0, 30.0],
    "alt_u_per_l": [30.0, 60.0, 45.0, np.nan],
    "crp_mg_per_l": [10.0, 125.0, np.nan, 3.0],
}


def check(source: ClinicalSource) -> None:
    table = source.table.sort_values(["patient_id", "date"])
    assert table["patient_id"].tolist() == ["A", "A", "B", "C"]
    assert table["date"].dt.strftime("%m-%d").tolist() == ["02-01", "02-03", "02-02", "02-05"]
    assert table["sex"].tolist() == ["M", "M", "F", "F"]
    assert table["outcome"].tolist() == ["survived", "survived", "died", "survived"]
    for name, values in EXPECTED.items():
        np.testing.assert_allclose(table[name].to_numpy(float), values, rtol=1e-9)


def test_a_wide_table_in_other_units_and_words(tmp_path: Path) -> None:
    source = hospital.read(tmp_path, hospital.frame())
    check(source)
    assert source.patients["event_time_days"].tolist() == [19, 8, 24]
    assert source.dates["outcome_date"].dt.day.tolist() == [20, 10, 28]
    features = source.features.set_index("name")
    assert features.loc["haemoglobin_g_per_l", ["unit", "worse"]].tolist() == ["g/L", "low"]
    assert features.loc["crp_mg_per_l", ["unit", "group"]].tolist() == ["mg/L", "further"]
    counted = source.counts.set_index("column")
    assert counted.loc["haemoglobin_g_per_l", "rule"] == "from g/dL to g/L"
    assert counted.loc["haemoglobin_g_per_l", "n"] == 4


def long_of(table: pd.DataFrame, units: dict[str, str]) -> pd.DataFrame:
    keys = ["MRN", "Sampled", "Admitted", "Left", "Age", "Sex", "Status"]
    long = table.melt(keys, list(units), "Test", "Result").dropna(subset="Result")
    return long.assign(Unit=long["Test"].map(units))


UNITS = {"Hb": "g/dL", "WBC": "/uL", "LYM%": "L/L", "ALT": "µkat/l", "CRP": "mg/dL"}
LONG = {"test": "Test", "value": "Result", "unit": "Unit"}


@settings(max_examples=15, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(seed=st.integers(0, 10**6))
def test_long_or_wide_in_any_order_is_the_same_table(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    wide = hospital.frame().sample(frac=1, random_state=seed)
    wide = wide[rng.sample(list(wide), len(wide.columns))]
    long = long_of(hospital.frame(), UNITS).sample(frac=1, random_state=seed)
    long = long[rng.sample(list(long), len(long.columns))]
    for source in (
        hospital.read(tmp_path, wide),
        hospital.read(tmp_path, long, hospital.changed(layout="long", long=LONG)),
    ):
        check(source)


def test_each_row_of_a_long_table_has_its_own_unit(tmp_path: Path) -> None:
    long = long_of(hospital.frame(), UNITS)
    hb = long["Test"] == "Hb"
    long.loc[hb & (long["MRN"] == "A"), "Unit"] = "mmol/L"
    long.loc[hb & (long["MRN"] == "A"), "Result"] = [8.0, 7.0]
    source = hospital.read(tmp_path, long, hospital.changed(layout="long", long=LONG))
    found = source.table.sort_values(["patient_id", "date"])["haemoglobin_g_per_l"].tolist()
    assert found == pytest.approx([8 * 16.114, 7 * 16.114, 110, 142])


def test_excel_csv_and_parquet_read_alike(tmp_path: Path) -> None:
    rows = [hospital.COLUMNS, *hospital.ROWS]
    check(read_clinical_source(hospital.workbook(tmp_path / "a.xlsx", rows), hospital.MAPPING))
    table = hospital.frame()
    for name in ("Sampled", "Admitted", "Left"):
        table[name] = pd.to_datetime(table[name])
    table.infer_objects().to_parquet(tmp_path / "a.parquet")
    check(read_clinical_source(tmp_path / "a.parquet", hospital.MAPPING))


def test_decimal_commas_semicolons_and_dates_of_another_land(tmp_path: Path) -> None:
    table = hospital.frame()
    for name in ("Hb", "LYM%", "ALT", "CRP"):
        table[name] = [None if v is None else f"{v:g}".replace(".", ",") for v in table[name]]
    for name in ("Sampled", "Admitted", "Left"):
        table[name] = pd.to_datetime(table[name]).dt.strftime("%d.%m.%Y")
    source = hospital.read(tmp_path, table, sep=";")
    check(source)
    assert any("day first" in note for note in source.notes)


def test_chinese_headers_in_gb18030(tmp_path: Path) -> None:
    table = hospital.frame().rename(columns={"MRN": "病案号", "Hb": "血红蛋白"})
    check(hospital.read(tmp_path, table, hospital.changed(encoding="gb18030"),
                        encoding="gb18030"))  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_a_title_above_the_header_is_found_and_said(tmp_path: Path, ending: str) -> None:
    rows = [["Laboratory export, City Hospital"], [], hospital.COLUMNS, *hospital.ROWS]
    if ending == "xlsx":
        path = hospital.workbook(tmp_path / "t.xlsx", rows, ["A1:F1"])
    else:
        path = tmp_path / "t.csv"
        text = hospital.frame().to_csv(index=False)
        path.write_text(f"Laboratory export, City Hospital\n\n{text}")
    source = read_clinical_source(path, hospital.MAPPING)
    check(source)
    assert any("header is row 3" in note and "Laboratory" in note for note in source.notes)


def test_patients_in_merged_cells_or_in_their_first_row_alone(tmp_path: Path) -> None:
    rows = [list(row) for row in hospital.ROWS]
    rows[1][0] = None
    mapping = hospital.changed(patient={"column": "MRN", "fill_down": True})
    path = hospital.workbook(tmp_path / "m.xlsx", [hospital.COLUMNS, *rows], ["A2:A3"])
    check(read_clinical_source(path, mapping))
    check(hospital.read(tmp_path, hospital.frame(rows), mapping))


@pytest.mark.parametrize(
    ("text", "rules", "value"),
    [
        ("<6", {}, 30.0), ("< 6", {"below": "bound"}, 60.0), ("<6", {"below": "missing"}, None),
        (">20", {}, 200.0), (">20", {"above": "missing"}, None), ("neg", {}, None),
        ("Negative", {"negative": "zero"}, 0.0), ("pos", {}, None), ("hemolyzed", {}, None),
        ("溶血", {}, None), ("trace", {"words": {"Trace": 0.2}}, 2.0), ("3.5 H", {}, 35.0),
        ("3.5 mg/dL", {}, 35.0), ("*3.5", {}, 35.0), ("3.5↑", {}, 35.0), ("", {}, None),
        ("#DIV/0!", {}, None), ("3,5", {}, 35.0), ("3.5e0", {}, 35.0),
    ],
)  # fmt: skip
def test_texts_in_a_column_of_numbers(
    tmp_path: Path, text: str, rules: dict[str, Any], value: float | None
) -> None:
    table = hospital.frame()
    table["CRP"] = [text, "12.5", "", "0.3"] if "," not in text else [text, "12,5", "", "0,3"]
    source = hospital.read(tmp_path, table, hospital.changed(texts=rules))
    found = source.table["crp_mg_per_l"].iloc[0]
    assert pd.isna(found) if value is None else found == pytest.approx(value)
    counted = source.counts[source.counts["column"] == "crp_mg_per_l"]
    plain = text in ("", "3.5e0")
    assert len(counted) == (1 if plain else 2)  # the unit, and the rule


def test_times_of_day_become_one_row_per_date_and_stay_known(tmp_path: Path) -> None:
    rows = [list(row) for row in hospital.ROWS]
    rows[0][1], rows[1][1] = "2020-02-01 18:00", "2020-02-01 06:30"
    source = hospital.read(tmp_path, hospital.frame(rows))
    own = source.table[source.table["patient_id"] == "A"]
    assert own["haemoglobin_g_per_l"].tolist() == [120.0]  # of 06:30
    assert (source.measurements["patient_id"] == "A").sum() == 2


def test_a_hospital_that_lacks_columns_needs_no_other_mapping(tmp_path: Path) -> None:
    source = hospital.read(tmp_path, hospital.frame().drop(columns=["ALT", "CRP", "Sex"]))
    assert source.absent == ("alt_u_per_l", "crp_mg_per_l")
    assert "sex" not in source.table
    assert any("alt_u_per_l, crp_mg_per_l" in note for note in source.notes)


def test_a_column_spelt_much_like_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    labs = {"alt_u_per_l": {"names": "Transaminase", "unit": "ukat/L"}}
    table = hospital.frame().rename(columns={"ALT": "Transaminse"})
    source = hospital.read(tmp_path, table, hospital.changed(labs=labs))
    assert any("did you mean Transaminse?" in note for note in source.notes)


def test_one_row_per_patient_without_any_date(tmp_path: Path) -> None:
    table = hospital.frame([hospital.ROWS[0], *hospital.ROWS[2:]])
    table = table.drop(columns=["MRN", "Sampled", "Admitted", "Left"])
    mapping = hospital.changed(
        patient={"rows": True}, date={"origin": "2020-01-01"}, index_date=None, outcome_date=None
    )
    source = hospital.read(tmp_path, table, mapping)
    assert source.table["patient_id"].tolist() == ["1", "2", "3"]
    assert source.table["haemoglobin_g_per_l"].tolist() == [135, 110, 142]
    assert any("no dates" in note for note in source.notes)


def test_whole_numbers_are_the_same_patients_in_every_file(tmp_path: Path) -> None:
    table = hospital.frame().assign(MRN=["7.0", "7.0", "8.0", "9.0"])
    assert hospital.read(tmp_path, table).patients["patient_id"].tolist() == ["7", "8", "9"]
    rows = [[{"A": 7, "B": 8, "C": 9}[row[0]], *row[1:]] for row in hospital.ROWS]
    path = hospital.workbook(tmp_path / "n.xlsx", [hospital.COLUMNS, *rows])
    source = read_clinical_source(path, hospital.MAPPING)
    assert source.patients["patient_id"].tolist() == ["7", "8", "9"]


def test_days_as_a_spreadsheet_numbers_them(tmp_path: Path) -> None:
    table = hospital.frame().assign(Sampled=[43862, 43864, 43863, 43866])
    check(hospital.read(tmp_path, table))


def test_days_since_admission_as_numbers(tmp_path: Path) -> None:
    table = hospital.frame().assign(Sampled=[0, 2, 0, 1], Admitted=0, Left=[19, 19, 8, 24])
    days = {"origin": "2020-01-01", "unit": "days"}
    mapping = hospital.changed(
        date={"column": "Sampled", **days}, index_date={"column": "Admitted", **days},
        outcome_date={"column": "Left", **days},
    )  # fmt: skip
    source = hospital.read(tmp_path, table, mapping)
    assert source.table["date"].dt.day.tolist() == [1, 3, 1, 2]
    assert source.patients["event_time_days"].tolist() == [19, 8, 24]


def test_patients_in_a_table_of_their_own(tmp_path: Path) -> None:
    people = hospital.frame()[["MRN", "Age", "Sex", "Status", "Admitted", "Left"]]
    people = people.drop_duplicates("MRN")
    people.to_csv(tmp_path / "people.csv", index=False)
    values = hospital.frame()[["MRN", "Sampled", "Hb", "WBC", "LYM%", "ALT", "CRP"]]
    mapping = hospital.changed(patients={"file": "people.csv", "patient": "MRN"})
    check(hospital.read(tmp_path, values, mapping))
    # Whoever was never measured keeps a row, on the day of admission, where that is said.
    extra = pd.DataFrame([["D", 50, 1, "dead", "2020-02-07", "2020-02-09"]], columns=list(people))
    pd.concat([people, extra]).to_csv(tmp_path / "people.csv", index=False)
    kept = {"file": "people.csv", "patient": "MRN", "unknown": "keep"}
    source = hospital.read(tmp_path, values, hospital.changed(patients=kept))
    last = source.table[source.table["patient_id"] == "D"]
    assert last["date"].dt.day.tolist() == [7]
    assert last["outcome"].tolist() == ["died"]
    assert last[source.names].isna().all(axis=None)


def test_comorbidities_and_symptoms_as_flags_and_as_lists(tmp_path: Path) -> None:
    table = hospital.frame().assign(
        DM=["yes", "yes", "no", ""], HTN=["1", "1", "0", ""],
        Complaints=["Fever; dry cough", "none", "", "Husten"],
    )  # fmt: skip
    flags = {"flags": {"diabetes": "DM", "hypertension": "HTN"}}
    listed = {"column": "Complaints", "known": {"fever": "fever", "cough": ["cough", "Husten"]}}
    source = hospital.read(
        tmp_path, table, hospital.changed(comorbidities=flags, symptoms={"listed": listed})
    )
    counts = source.patients["comorbidity_count"]
    assert counts.iloc[:2].tolist() == [2, 0]
    assert counts.isna().tolist() == [False, False, True]
    assert source.table["symptom_cough"].tolist() == [True, False, pd.NA, True]
    assert source.table["symptom_fever"].tolist() == [True, False, pd.NA, False]


def test_a_disease_that_was_found_later_is_not_known_before(tmp_path: Path) -> None:
    table = hospital.frame().assign(DM=["no", "yes", "no", "yes"])
    mapping = hospital.changed(comorbidities={"flags": {"diabetes": "DM"}})
    source = hospital.read(tmp_path, table, mapping)
    assert source.table["comorbidity_count"].tolist() == [0, 1, 0, 1]
    assert "comorbidity_count" not in source.patients
    assert any("comorbidity_diabetes" in note for note in source.notes)
    rows = rows_of_source(source, "auto", "last", (None, 1.0))
    assert rows.values["comorbidity_diabetes"].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("written", "known"),
    [
        (["", "yes", "no", "yes"], [np.nan, 0, 1]),  # A's stands in a row of after the window
        (["yes", "", "no", "yes"], [1, 0, 1]),  # and here in the first alone
        (["yes", "yes", "no", ""], [1, 0, np.nan]),
    ],
)
def test_a_disease_that_was_written_down_later_is_not_known_before(
    tmp_path: Path, written: list[str], known: list[float]
) -> None:
    table = hospital.frame().assign(IRA=written, HTN=["yes", "yes", "no", "no"])
    flags = {"renal_failure": "IRA", "hypertension": "HTN"}
    source = hospital.read(
        tmp_path, table, hospital.changed(comorbidities={"flags": flags})
    )  # fmt: skip
    rows = rows_of_source(source, "auto", "first", (None, 1.0)).values
    np.testing.assert_array_equal(rows["comorbidity_renal_failure"], known)
    # The number of diseases is of the same rows.
    expected = [1 + np.nan_to_num(known[0]), 0, np.nan_to_num(known[2])]
    assert rows["comorbidity_count"].tolist() == expected


def test_symptoms_of_a_table_of_patients(tmp_path: Path) -> None:
    people = pd.DataFrame({"MRN": ["A", "B", "C"], "Fever": ["yes", "no", None]})
    people.to_csv(tmp_path / "people.csv", index=False)
    mapping = hospital.changed(
        patients={"file": "people.csv", "patient": "MRN"}, symptoms={"flags": {"fever": "Fever"}}
    )
    source = hospital.read(tmp_path, hospital.frame(), mapping)
    assert source.table["symptom_fever"].tolist() == [True, True, False, pd.NA]
    assert rows_of_source(source, "auto", "first", 0).values["symptom_fever"].tolist()[:2] == [1, 0]


def test_what_was_written_is_read_without_a_mapping(tmp_path: Path) -> None:
    source = hospital.read(tmp_path, hospital.frame())
    for ending in ("csv", "parquet"):
        path = write_clinical(source.table, tmp_path / f"own.{ending}")
        again = read_clinical_source(path, mapping_of_own(path))
        pd.testing.assert_frame_equal(
            again.table[source.names], source.table[source.names], check_dtype=False
        )
        assert read_clinical(path)["outcome"].tolist() == source.table["outcome"].tolist()
