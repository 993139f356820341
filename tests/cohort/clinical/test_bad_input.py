"""What cannot be read or cannot be, named with row, column, value and mend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import clinical_tables as hospital
import numpy as np
import pandas as pd
import pytest

from covidlit.cohort.clinical import read_clinical_source
from covidlit.errors import ManifestError


def refused(folder: Path, table: pd.DataFrame, mapping: dict[str, Any] | None = None) -> str:
    with pytest.raises(ManifestError) as caught:
        hospital.read(folder, table, mapping)
    assert caught.value.fix
    assert "labs.csv" in str(caught.value)
    return str(caught.value)


def with_cell(column: str, row: int, value: Any) -> pd.DataFrame:
    table = hospital.frame()
    table.loc[row, column] = value
    return table


@pytest.mark.parametrize(
    ("column", "row", "value", "unit", "said"),
    [
        ("Hb", 2, 1200, ("haemoglobin_g_per_l", "g/L"), ["1200 g/L", "20 to 260 g/L"]),
        ("Hb", 1, 133, ("haemoglobin_g_per_l", "g/dL"), ["1330 g/L", "20 to 260 g/L"]),
        ("LYM%", 3, 140, ("lymphocyte_percent", "%"), ["140 percent", "0 to 100 percent"]),
        ("WBC", 0, -4, ("leukocytes_1e9_per_l", "/uL"), ["'-4'", "0.01 to 500"]),
        ("Hb", 0, "12 or 13", ("haemoglobin_g_per_l", "g/dL"), ["'12 or 13'"]),
        ("Hb", 3, "see below", ("haemoglobin_g_per_l", "g/dL"), ["'see below'", "no number"]),
        ("WBC", 3, "1-2", ("leukocytes_1e9_per_l", "/uL"), ["'1-2'"]),
    ],
)
def test_a_value_that_cannot_be(
    tmp_path: Path, column: str, row: int, value: Any, unit: tuple[str, str], said: list[str]
) -> None:
    table = hospital.frame()
    if unit == ("haemoglobin_g_per_l", "g/L"):
        table["Hb"] = [v * 10 for v in table["Hb"]]
    if unit == ("lymphocyte_percent", "%"):
        table["LYM%"] = [v * 100 for v in table["LYM%"]]
    table.loc[row, column] = value
    text = refused(tmp_path, table, hospital.with_unit(*unit))
    for part in [f"line {row + 2} of the file", f"column {column!r}", *said, "Fix:"]:
        assert part in text


@pytest.mark.parametrize(
    ("name", "unit", "looks"),
    [
        ("haemoglobin_g_per_l", "g/L", "g/dL"),
        ("lymphocyte_percent", "%", "fraction"),
        ("leukocytes_1e9_per_l", "10^9/L", "/uL"),
        ("alt_u_per_l", "U/L", "ukat/L"),
    ],
)
def test_a_column_in_another_unit_than_was_said(
    tmp_path: Path, name: str, unit: str, looks: str
) -> None:
    table = hospital.frame()
    table["ALT"] = [0.5, 1.0, 0.75, 0.6]
    text = refused(tmp_path, table, hospital.with_unit(name, unit))
    assert f"look like {looks} (" in text or f" or {looks} (" in text
    assert name in text
    assert "check_units: false" in text


@pytest.mark.parametrize(
    ("column", "scale", "name", "unit", "looks"),
    [
        ("Hb", 10, "haemoglobin_g_per_l", "g/dL", "g/L"),
        ("LYM%", 100, "lymphocyte_percent", "fraction", "%"),
        ("WBC", 0.001, "leukocytes_1e9_per_l", "/uL", "10^9/L"),
        ("ALT", 60, "alt_u_per_l", "ukat/L", "U/L"),
    ],
)
def test_a_column_in_the_unit_of_contract_9_that_is_said_to_be_in_another(
    tmp_path: Path, column: str, scale: float, name: str, unit: str, looks: str
) -> None:
    table = hospital.frame()
    table[column] = [None if value is None else value * scale for value in table[column]]
    text = refused(tmp_path, table, hospital.with_unit(name, unit))
    assert f"cannot be {unit}: they look like {looks} (" in text


def test_haemoglobin_in_mmol_that_is_said_to_be_in_g_per_dl(tmp_path: Path) -> None:
    rows = [[f"P{k}", *hospital.ROWS[2][1:]] for k in range(40)]
    table = hospital.frame(rows).assign(Hb=[7.5 + k / 20 for k in range(40)])
    assert "mmol/L (median 136.6 g/L then)" in refused(tmp_path, table)


def test_implausible_values_are_emptied_where_that_is_said(tmp_path: Path) -> None:
    table = with_cell("Hb", 2, 133)
    source = hospital.read(tmp_path, table, hospital.changed(implausible="missing"))
    assert source.table["haemoglobin_g_per_l"].isna().tolist() == [False, False, True, False]
    rules = source.counts.loc[source.counts["column"] == "haemoglobin_g_per_l", "rule"].tolist()
    assert "not 20 to 260 g/L, missing" in rules


@pytest.mark.parametrize(
    ("dates", "said"),
    [
        (["31.01.2020", "02.03.2020", "01/25/2020", "05.02.2020"], ["31.01.2020", "01/25/2020"]),
        (["2020-02-01", "13/02/2020", "2020-02-02", "2020-02-05"], ["2020-02-01", "13/02/2020"]),
        (["01/02/2020", "03/02/2020", "02/02/2020", "05/02/2020"], ["whether day or month"]),
        (["31.02.2020", "13.02.2020", "14.02.2020", "15.02.2020"], ["31.02.2020", "no day"]),
        (["2020-02-01", "soon", "2020-02-02", "2020-02-05"], ["'soon'", "line 3", "no date"]),
        (["2020-02-01", "", "2020-02-02", "2020-02-05"], ["(empty)", "line 3"]),
    ],
)
def test_dates(tmp_path: Path, dates: list[str], said: list[str]) -> None:
    text = refused(tmp_path, hospital.frame().assign(Sampled=dates))
    for part in [*said, "'Sampled'", ": 1 problem: "]:
        assert part in text


TWO_ORDERS = ["31.01.2020", "02.03.2020", "01/25/2020", "05.02.2020"]


def test_dates_in_two_orders_are_one_problem_wherever_they_stand(tmp_path: Path) -> None:
    further = {"ferritin": {"names": "CRP", "unit": "mg/L", "date": "Sampled at"}}
    text = refused(
        tmp_path, hospital.frame().assign(**{"Sampled at": TWO_ORDERS}),
        hospital.changed(further=further),
    )  # fmt: skip
    assert ": 1 problem: column 'Sampled at' (M) holds dates in two orders" in text
    people = hospital.frame()[["MRN", "Age", "Sex", "Status"]].assign(Admitted=TWO_ORDERS)
    people.assign(MRN=list("ABCD")).to_csv(tmp_path / "people.csv", index=False)
    values = hospital.frame()[["MRN", "Hb", "WBC", "LYM%", "ALT", "CRP"]].assign(MRN=list("ABCD"))
    mapping = hospital.changed(patients={"file": "people.csv", "patient": "MRN"}, date=None)
    with pytest.raises(ManifestError, match=r": 1 problem: column 'Admitted'"):
        hospital.read(tmp_path, values, mapping)


def test_dates_that_a_spreadsheet_turned_and_texts_that_it_left(tmp_path: Path) -> None:
    rows = [list(row) for row in hospital.ROWS]
    for row, day in zip(rows, [pd.Timestamp(2020, 1, 2).to_pydatetime(), "13/02/2020",
                               pd.Timestamp(2020, 2, 2).to_pydatetime(), "15/02/2020"],
                        strict=True):  # fmt: skip
        row[1] = day
    path = hospital.workbook(tmp_path / "d.xlsx", [hospital.COLUMNS, *rows])
    for order in ("auto", "dmy"):
        with pytest.raises(ManifestError, match="spreadsheet may have taken days"):
            read_clinical_source(path, hospital.changed(date_order=order))


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_a_patient_twice_on_one_date(tmp_path: Path, layout: str) -> None:
    rows = [*hospital.ROWS, [*hospital.ROWS[2][:7], 10.0, *hospital.ROWS[2][8:]]]
    table, mapping = hospital.frame(rows), hospital.MAPPING
    said = ["rows 3, 5 (lines 4, 6 of the file)", "patient B", "2020-02-02"]
    if layout == "long":
        keys = hospital.COLUMNS[:7]
        table = table.melt(keys, ["Hb"], "Test", "Result")
        mapping = hospital.changed(layout="long", long={"test": "Test", "value": "Result"})
        said = ["patient B", "haemoglobin_g_per_l 2 times", "'11.0'", "'10.0'", "line 4", "line 6"]
    text = refused(tmp_path, table, mapping)
    for part in [*said, "same_moment"]:
        assert part in text
    for rule, value in (("first", 110.0), ("last", 100.0), ("mean", 105.0)):
        source = hospital.read(tmp_path, table, {**mapping, "same_moment": rule})
        own = source.table[source.table["patient_id"] == "B"]
        assert own["haemoglobin_g_per_l"].tolist() == [value]
    with pytest.raises(ManifestError, match="patient B"):
        hospital.read(tmp_path, table, {**mapping, "same_moment": "merge"})


def test_an_empty_patient(tmp_path: Path) -> None:
    text = refused(tmp_path, with_cell("MRN", 1, None))
    for part in ("line 3 of the file", "'MRN'", "(empty)", "fill_down"):
        assert part in text


def test_two_values_where_a_patient_has_one(tmp_path: Path) -> None:
    text = refused(tmp_path, with_cell("Sex", 1, 2))
    for part in ("line 3 of the file", "'Sex'", "patient A", "line 2 of the file"):
        assert part in text


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("Age", 700, "0 to 120 years"), ("Age", "old", "no number"),
        ("Left", "2020-01-01", "before the index date"), ("LYM%", "5 %", "is in %"),
    ],
)  # fmt: skip
def test_what_cannot_be_of_a_patient(tmp_path: Path, column: str, value: Any, said: str) -> None:
    text = refused(tmp_path, with_cell(column, 2, value))
    assert "line 4 of the file" in text
    assert said in text


def test_fractions_among_percentages(tmp_path: Path) -> None:
    table = hospital.frame()
    table["LYM%"] = [25, 10, 0.05, 0.3]
    text = refused(tmp_path, table, hospital.with_unit("lymphocyte_percent", "%"))
    assert "2 of 4 values look like fractions" in text


def differential(eosinophils: list[float], counts: bool) -> tuple[pd.DataFrame, dict[str, Any]]:
    """White cells in percent, and eosinophils as they are given."""
    rng = np.random.default_rng(0)
    n = len(eosinophils)
    own = np.array(eosinophils)
    percent = 100 * own if own.max() < 0.2 else own
    parts = rng.dirichlet([65, 25, 7], n) * (100 - percent - rng.uniform(0.1, 1.0, n))[:, None]
    table = pd.DataFrame(parts.round(1), columns=["N", "L", "M"])
    table = table.assign(E=own, MRN=[f"P{k}" for k in range(n)], Sampled="2020-02-01")
    labs = {
        f"{name}_percent": {"names": name[0].upper(), "unit": "%"}
        for name in ("neutrophil", "lymphocyte", "monocyte", "eosinophil")
    }
    if counts:
        table = table.drop(columns=["N", "L", "M"]).assign(WBC=7.0, EOS=(0.07 * percent).round(4))
        labs = {"eosinophil_percent": labs["eosinophil_percent"],
                "leukocytes_1e9_per_l": {"names": "WBC", "unit": "G/L"},
                "eosinophils_1e9_per_l": {"names": "EOS", "unit": "G/L"}}  # fmt: skip
    return table, {"patient": "MRN", "date": "Sampled", "labs": labs}


FRACTIONS = [0.021, 0.0, 0.013, 0.034, 0.008, 0.015, 0.027]


@pytest.mark.parametrize("counts", [False, True])
def test_eosinophils_as_fractions_beside_percentages(tmp_path: Path, counts: bool) -> None:
    table, mapping = differential(FRACTIONS, counts)
    text = refused(tmp_path, table, mapping)
    for part in ("column 'E'", "'0.021'", "look like fractions", "unit: fraction"):
        assert part in text
    mapping["labs"]["eosinophil_percent"]["unit"] = "fraction"
    values = hospital.read(tmp_path, table, mapping).table["eosinophil_percent"]
    assert values.tolist() == pytest.approx([100 * e for e in FRACTIONS])
    # Few eosinophils, as in severe disease, are percentages.
    for percent in ([0.1, 0.0, 0.3, 0.5, 0.2, 0.9, 0.4], [0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]):
        table, mapping = differential(percent, counts)
        assert hospital.read(tmp_path, table, mapping).table["eosinophil_percent"].tolist() == (
            percent
        )


def test_a_row_of_units_below_the_header(tmp_path: Path) -> None:
    units = [*[None] * 7, "g/dL", "/µL", "fraction", "ukat/L", "mg/dl"]
    path = hospital.workbook(tmp_path / "u.xlsx", [hospital.COLUMNS, units, *hospital.ROWS])
    source = read_clinical_source(path, hospital.MAPPING)
    assert source.table["haemoglobin_g_per_l"].tolist() == [135, 120, 110, 142]
    assert any("Row 2 holds units" in note for note in source.notes)
    with pytest.raises(ManifestError, match=r"'Hb': the table states 'g/dL'.*says 'g/L'"):
        read_clinical_source(path, hospital.with_unit("haemoglobin_g_per_l", "g/L"))
    # A first patient with flags alone is no row of units.
    rows = [["P1", "1", "1"], ["P2", "0", "1"]]
    (tmp_path / "flags.csv").write_text("MRN,DM,HTN\n" + "\n".join(map(",".join, rows)) + "\n")
    mapping = {
        "patient": "MRN", "date": {"origin": "2020-01-01"},
        "comorbidities": {"flags": {"diabetes": "DM", "hypertension": "HTN"}},
    }  # fmt: skip
    found = read_clinical_source(tmp_path / "flags.csv", mapping)
    assert found.patients["comorbidity_count"].tolist() == [2, 1]


def test_a_code_without_a_meaning(tmp_path: Path) -> None:
    text = refused(tmp_path, with_cell("Status", 2, "transferred"))
    for part in ("line 4 of the file", "'Status'", "'transferred'", "outcome.map"):
        assert part in text


def test_labels_of_unknown_patients(tmp_path: Path) -> None:
    people = hospital.frame()[["MRN", "Age", "Sex", "Status"]].drop_duplicates("MRN")
    people["MRN"] = ["A", "B", "X"]
    people.to_csv(tmp_path / "people.csv", index=False)
    with pytest.raises(ManifestError) as caught:
        hospital.read(
            tmp_path, hospital.frame(),
            hospital.changed(patients={"file": "people.csv", "patient": "MRN"}),
        )  # fmt: skip
    text = str(caught.value)
    for part in ("people.csv", "rows 3 (line 4 of the file)", "'X'", "unknown: keep"):
        assert part in text


def test_merged_cells(tmp_path: Path) -> None:
    rows = [list(row) for row in hospital.ROWS]
    path = hospital.workbook(tmp_path / "m.xlsx", [hospital.COLUMNS, *rows], ["H2:H3"])
    with pytest.raises(ManifestError) as caught:
        read_clinical_source(path, hospital.MAPPING)
    text = str(caught.value)
    for part in ("rows 2 to 3", "'Hb'", "H2:H3", "13.5", "merged_cells: fill", "Unnamed"):
        assert (part in text) == (part != "Unnamed")
    source = read_clinical_source(path, hospital.changed(merged_cells="fill"))
    assert source.table["haemoglobin_g_per_l"].tolist()[:2] == [135.0, 135.0]
    # Merged cells of a column that the mapping does not name harm nobody.
    rows = [[*row, f"note {k}"] for k, row in enumerate(rows)]
    path = hospital.workbook(tmp_path / "n.xlsx", [[*hospital.COLUMNS, "Note"], *rows], ["M2:M4"])
    assert len(read_clinical_source(path, hospital.MAPPING).table) == 4


def test_a_number_that_a_spreadsheet_made_a_date(tmp_path: Path) -> None:
    rows = [list(row) for row in hospital.ROWS]
    rows[2][7] = pd.Timestamp(2020, 5, 3).to_pydatetime()
    path = hospital.workbook(tmp_path / "m.xlsx", [hospital.COLUMNS, *rows])
    with pytest.raises(ManifestError, match=r"line 4 of the file.*'Hb'.*is a date where"):
        read_clinical_source(path, hospital.MAPPING)


def test_two_rows_that_may_be_the_header(tmp_path: Path) -> None:
    rows = [hospital.COLUMNS, hospital.COLUMNS, *hospital.ROWS]
    path = hospital.workbook(tmp_path / "h.xlsx", rows)
    with pytest.raises(ManifestError, match=r"rows 1, 2 may all be the header.*header_row: 1"):
        read_clinical_source(path, hospital.MAPPING)
    assert len(read_clinical_source(path, hospital.changed(header_row=2)).table) == 4


def test_a_table_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "labs.csv"
    hospital.frame().to_csv(path, index=False)
    whole = path.read_text()
    path.write_text(whole.rstrip("\n"))  # that alone is no cut
    assert len(read_clinical_source(path, hospital.MAPPING).table) == 4
    path.write_text(whole.rstrip("\n").rpartition(",")[0])
    with pytest.raises(ManifestError, match=r"last line, 5, ends after .* cut off"):
        read_clinical_source(path, hospital.MAPPING)


def test_another_table_altogether(tmp_path: Path) -> None:
    (tmp_path / "labs.csv").write_text("id,hb\n1,2\n")
    with pytest.raises(ManifestError, match="no row has any of the column names"):
        read_clinical_source(tmp_path / "labs.csv", {**hospital.MAPPING, "labs": {}})


def test_a_column_that_must_be_there(tmp_path: Path) -> None:
    table = hospital.frame().rename(columns={"Sampled": "Samplled"})
    assert "did you mean Samplled?" in refused(tmp_path, table)


def test_commas_of_which_nothing_tells_what_they_are(tmp_path: Path) -> None:
    table = hospital.frame().assign(WBC=["5,000", "8,000", "12,000", "6,500"])
    assert "decimal or of thousands" in refused(tmp_path, table)
    source = hospital.read(tmp_path, table, hospital.changed(decimal="point"))
    assert source.table["leukocytes_1e9_per_l"].tolist() == [5, 8, 12, 6.5]


def test_points_of_thousands(tmp_path: Path) -> None:
    table = hospital.frame().assign(WBC=["12.400", "9800", "11.000", "4200"])
    per_ul = {"leukocytes_1e9_per_l": {"names": "WBC", "unit": "/uL"}}
    said = refused(tmp_path, table, hospital.changed(labs=per_ul))
    assert "point of which it cannot be told" in said
    mapping = hospital.changed(decimal="comma", labs=per_ul)
    source = hospital.read(tmp_path, table, mapping)
    assert source.table["leukocytes_1e9_per_l"].tolist() == [12.4, 9.8, 11, 4.2]


@pytest.mark.parametrize(
    ("decimal", "cell"),
    [
        ("point", "3,5"),  # not 35
        ("comma", "1.2.2020"),  # not 122020
        ("comma", "1.2,5"),
        ("auto", "12 5"),  # not 125
        ("comma", "12.400"),  # beside 5.5
    ],
)
def test_marks_where_no_number_has_them(tmp_path: Path, decimal: str, cell: str) -> None:
    table = hospital.frame().assign(WBC=[cell, "5.5", "6.5", "7.5"])
    assert repr(cell) in refused(tmp_path, table, hospital.changed(decimal=decimal))


def test_thousands_apart_as_usual(tmp_path: Path) -> None:
    table = hospital.frame().assign(WBC=["1'200.5", "2,34,000", "12,400", "9 800"])
    per_ul = {"leukocytes_1e9_per_l": {"names": "WBC", "unit": "/uL"}}
    source = hospital.read(tmp_path, table, hospital.changed(decimal="point", labs=per_ul))
    assert source.table["leukocytes_1e9_per_l"].tolist() == [1.2005, 234, 12.4, 9.8]
