"""`covidlit inspect`: table, exit code, and no identifiers."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from chests import LAS, hu_on, save
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.dicom import find_series, pseudonym_uid
from covidlit.tables import write_table

Write = Callable[..., Path]


@pytest.fixture
def folder(write_ct: Write, tmp_path: Path) -> Path:
    """One good series, one short one, one damaged file."""
    write_ct(folder="all/good", series="a")
    write_ct(folder="all/short", series="b", n=3)
    (tmp_path / "all" / "empty.dcm").touch()
    return tmp_path / "all"


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and output of `covidlit inspect`."""
    done = CliRunner().invoke(app, ["inspect", *map(str, arguments)])
    return done.exit_code, done.output


def test_series_and_problems_are_listed(folder: Path, tmp_path: Path) -> None:
    code, output = run(folder, "--csv", tmp_path / "out.csv")
    assert code == 0
    assert "1 accepted, 1 refused" in output.replace("\n", " ")
    table = pd.read_csv(tmp_path / "out.csv").set_index("folder")
    assert table.loc["good", "accepted"]
    assert table.loc["good", ["n_slices", "slice_spacing_mm"]].tolist() == [14, 2.5]
    assert table.loc["short", "checks"] == "too_few_slices"
    assert "fewer than 12" in table.loc["short", "reason"]
    assert "empty" in table.loc["empty.dcm", "reason"]


def test_pixels_are_decoded_where_asked_for(write_ct: Write, tmp_path: Path) -> None:
    def overflowing(ds: Dataset, k: int) -> None:
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, 0
        ds.PixelData = np.where((np.arange(120) == 7) & (k == 3), 5000, 100).astype("u2").tobytes()

    write_ct(folder="all/good", series="a")
    write_ct(folder="all/metal", series="b", edit=overflowing)
    accepted = {}
    for options in ([], ["--pixels"], ["--pixels", "--override", "unreadable_file"]):
        run(tmp_path / "all", "--csv", tmp_path / "out.csv", *options)
        table = pd.read_csv(tmp_path / "out.csv").set_index("folder")
        accepted[len(options)] = table["accepted"].to_dict()
        reason = table.loc["metal", "reason"]
    assert accepted[0] == {"good": True, "metal": True}
    assert accepted[1] == {"good": True, "metal": False}
    assert accepted[3] == {"good": True, "metal": False}  # now a slice is missing
    assert reason.startswith("missing_slice")


def test_a_folder_stands_on_one_line_of_a_narrow_terminal(
    write_ct: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = "hospital_b/patient_000123/study_2020-02-03/series_4_lung"
    write_ct(folder=f"all/{long}", series="a")
    write_ct(folder="all/short", series="b", n=3)
    lines = run(tmp_path / "all", "--csv", tmp_path / "out.csv")[1].splitlines()
    assert max(map(len, lines[:-3])) <= 80
    verdicts = {
        name: line.split("│")[1].strip()
        for line in lines
        for name in (long, "short")
        if f"│ {name} " in line
    }
    assert verdicts == {long: "accepted", "short": "refused"}
    assert any("14 slices, 2.5 mm apart, pixels of 0.8 mm" in line for line in lines)
    assert any("3 slices" in line and "fewer than 12" in line for line in lines)


def test_strict_exits_non_zero_when_something_is_refused(folder: Path, tmp_path: Path) -> None:
    assert run(folder, "--csv", tmp_path / "a.csv", "--strict")[0] == 1
    (folder / "empty.dcm").unlink()
    arguments = (folder, "--csv", tmp_path / "b.csv", "--strict")
    assert run(*arguments)[0] == 1
    assert run(*arguments, "--override", "too_few_slices")[0] == 0
    assert run(*arguments, "--min-slices", 3)[0] == 0


def test_a_table_that_cannot_be_written_is_said_before_the_headers_are_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covidlit.dicom.find_series", lambda _: pytest.fail("headers were read"))
    code, output = run(folder, "--csv", tmp_path / "series.xlsx")
    assert code == 2
    assert "not '.xlsx'" in output


def test_an_unknown_check_is_named(folder: Path) -> None:
    code, output = run(folder, "--override", "no_such_check")
    assert code == 2
    assert "no_such_check" in output


@pytest.mark.parametrize("keep", [False, True])
def test_nothing_identifies_the_patient_unless_asked(
    write_ct: Write, tmp_path: Path, keep: bool
) -> None:
    def edit(ds: Dataset, k: int) -> None:
        if k == 3:  # findings must not name identifiers either
            ds.PatientID, ds.FrameOfReferenceUID = "OTHER-ID", "1.2.3.4.5.6"

    (series,) = find_series(write_ct(edit=edit)).series
    arguments = ["--keep-identifiers"] if keep else []
    _, output = run(series.folder, "--csv", tmp_path / "out.csv", *arguments)
    text = (tmp_path / "out.csv").read_text() + output + repr(series) + repr(series.images[0])
    table = (tmp_path / "out.csv").read_text() + output
    for secret in ("SECRET-ID", "Secret", "19500615", "OTHER-ID", "1.2.3.4.5.6"):
        assert secret not in (text if not secret.startswith("1.2") else table)
    assert (series.series_uid in table) == keep
    assert (pseudonym_uid(series.series_uid) in table) != keep


def test_one_slice_is_no_slices(write_ct: Write, tmp_path: Path) -> None:
    write_ct(folder="all/one", series="a", n=1)
    output = " ".join(run(tmp_path / "all", "--csv", tmp_path / "out.csv")[1].split())
    assert "1 slice, fewer than 12" in output
    assert "1 series in 1 file:" in output
    assert "1 slices" not in output


IMAGE = "1 image file, ward/4711.nii.gz (NIfTI and the like)"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("images", [IMAGE, "covidlit predict CHECKPOINT", "--labels labels.csv --images"]),
        ("images/ward/4711.nii.gz", ["1 image file, 4711.nii.gz", "covidlit predict CHECKPOINT"]),
        ("labels.csv", ["1 table, labels.csv: maybe labels", "manifest DIR --labels"]),
        ("manifest.parquet", ["1 table, manifest.parquet: a manifest", "data.source.path="]),
        ("predictions.csv", ["scores of a run", "covidlit evaluate"]),
        ("tables", ["2 tables, such as a.csv: of no use"]),
        ("nothing", ["There is no DICOM image series here"]),
    ],
)
def test_what_is_no_dicom_is_named_with_the_command_that_takes_it(
    tmp_path: Path, what: str, said: list[str]
) -> None:
    for name in ("images/ward", "tables", "nothing"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "images" / "ward" / "4711.nii.gz").write_bytes(gzip.compress(bytes(400)))
    (tmp_path / "tables" / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "tables" / "b.parquet").write_bytes(b"no parquet")
    tables = {
        "labels.csv": ["patient_id", "class_name"],
        "manifest.parquet": ["patient_id", "scan_id", "path", "class_name", "centre"],
        "predictions.csv": ["run_id", "scan_id", "target", "score"],
    }
    for name, columns in tables.items():
        write_table(pd.DataFrame([["x"] * len(columns)], columns=columns), tmp_path / name)
    code, output = run(tmp_path / what, "--csv", tmp_path / "out.csv")
    assert code == 0
    output = " ".join(output.split())
    assert "There is no DICOM image series here" in output
    assert "Verdict" not in output
    for text in said:
        assert text in output


def test_images_beside_dicom_are_named_too(folder: Path, tmp_path: Path) -> None:
    output = run(folder, "--csv", tmp_path / "out.csv")[1]
    assert "image file" not in output.replace("DICOM image", "")
    (folder / "ward").mkdir()
    (folder / "ward" / "4711.nii.gz").write_bytes(gzip.compress(bytes(400)))
    output = " ".join(run(folder, "--csv", tmp_path / "out.csv")[1].split())
    assert IMAGE in output
    assert "There is no DICOM" not in output


def test_many_series_take_a_line_each_and_what_is_refused_comes_first(
    write_ct: Write, tmp_path: Path
) -> None:
    for k in range(24):
        write_ct(folder=f"all/s{k:02d}", series=f"s{k}")
    write_ct(folder="all/zz_short", series="short", n=3)
    code, output = run(tmp_path / "all")
    assert code == 0
    assert "25 series" in output
    lines = output.splitlines()
    assert len(lines) < 24 + 15
    assert output.index("zz_short") < output.index("s00")
    assert sum("14 slices, 2.5 mm" in line for line in lines) == 24


def test_an_archive_counts_once_and_a_refused_image_is_no_example(
    folder: Path, tmp_path: Path
) -> None:
    with ZipFile(folder / "more.zip", "w") as archive:
        archive.write(next((folder / "good").iterdir()), "a.dcm")
    output = " ".join(run(folder)[1].split())
    assert "2 files damaged or unread beside these; 0 files of another kind" in output
    images = tmp_path / "images"
    values = hu_on(LAS).astype(np.int16)
    save(images / "a_empty.nii.gz", np.zeros_like(values))
    save(images / "b_chest.nii.gz", values)
    output = " ".join(run(images, "--pixels")[1].split())
    assert "2 image files: 1 accepted, 1 refused" in output
    assert "such as b_chest.nii.gz" in output
