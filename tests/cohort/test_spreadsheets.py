"""Labels as a spreadsheet leaves them: separators, marks, encodings, workbooks, lost zeros."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort import read_manifest
from covidlit.errors import CovidlitError, ManifestError
from covidlit.tables import read_table

PLAIN = "patient_id,centre,class_name,age\n0017,a,covid,36.5\n0018,a,np,47.25\n"


def semicolons(path: Path) -> Path:
    path.write_text(PLAIN.replace(",", ";"))
    return path


def decimal_commas(path: Path) -> Path:
    path.write_text(PLAIN.replace(",", ";").replace(".", ","))
    return path


def byte_order_mark(path: Path) -> Path:
    path.write_bytes(b"\xef\xbb\xbf" + PLAIN.replace(",", ";").encode())
    return path


def unicode_text(path: Path) -> Path:
    path.write_text(PLAIN.replace(",", "\t"), encoding="utf-16")
    return path


def declared(path: Path) -> Path:
    path.write_text("sep=;\r\n" + PLAIN.replace(",", ";").replace("\n", "\r\n"), newline="")
    return path


def workbook(path: Path) -> Path:
    book = openpyxl.Workbook()
    for line in PLAIN.splitlines():
        patient, centre, name, age = line.split(",")
        book.active.append([patient, centre, name, float(age) if age != "age" else age])
    book.create_sheet("empty")
    book.save(path.with_suffix(".xlsx"))
    return path.with_suffix(".xlsx")


@pytest.fixture
def scans(write_series: Callable[..., Path]) -> Path:
    """Two patients whose PatientIDs begin with zeros."""
    for patient in ("0017", "0018"):
        folder = write_series(f"p{patient}", patient, f"1.2.{patient[2:]}", f"1.2.{patient[2:]}.1")
    return folder.parent


WAYS = [semicolons, decimal_commas, byte_order_mark, unicode_text, declared, workbook]


@pytest.mark.parametrize("write", WAYS)
def test_labels_of_a_spreadsheet_are_read_with_their_zeros(
    scans: Path, tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    labels, out = write(tmp_path / "labels.csv"), tmp_path / "out" / "manifest.csv"
    read = read_table(labels)
    assert read["patient_id"].tolist() == ["0017", "0018"]
    assert read["age"].tolist() == [36.5, 47.25]
    command = ["manifest", str(scans), "--labels", str(labels), "--out", str(out), "--strict"]
    command += ["--label-rule", "by-class", "--no-inclusion"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    rows = read_manifest(out).sort_values("age")
    assert rows["class_name"].tolist() == ["covid", "np"]
    assert rows["age"].tolist() == [36.5, 47.25]


def test_a_comma_decides_for_commas(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('patient_id,note\n1,"a;b;c"\n')
    assert read_table(path)["note"].tolist() == ["a;b;c"]


def test_a_table_in_another_encoding_says_how_to_save_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("patient_id\nMül\n".encode("latin-1"))
    with pytest.raises(CovidlitError, match="CSV UTF-8"):
        read_table(path)


def test_a_workbook_of_several_tables_is_not_guessed_at(tmp_path: Path) -> None:
    path = workbook(tmp_path / "labels.csv")
    book = openpyxl.load_workbook(path)
    book["empty"].append(["patient_id"])
    book.save(path)
    with pytest.raises(ManifestError, match=r"2 sheets with a table \(Sheet, empty\)"):
        read_table(path, ManifestError)


def test_zeros_that_a_spreadsheet_took_are_named_and_no_id(scans: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(PLAIN.replace("001", "1"))
    command = ["manifest", str(scans), "--labels", str(labels), "--out", str(tmp_path / "m.csv")]
    command += ["--label-rule", "by-class"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert "2 of the 2 ids" in done.output
    assert (
        "leading zeros that a spreadsheet dropped (row 1 (line 2 of the file) lacks 2, "
        in done.output
    )
    assert "0017" not in done.output
    # In one row only: the other is labelled, and it is told.
    labels.write_text(PLAIN.replace("0018", "18"))
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "1 of the 2 ids" in " ".join(done.output.split())


def test_workbooks_of_numbers_lose_zeros_and_are_told(scans: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.xlsx"
    table = pd.DataFrame({"patient_id": [17, 18], "class_name": ["covid", "np"]})
    table.to_excel(path, index=False)
    command = ["manifest", str(scans), "--labels", str(path), "--out", str(tmp_path / "m.csv")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert "row 1 (line 2 of the file) lacks 2" in done.output
