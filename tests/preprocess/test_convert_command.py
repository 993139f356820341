"""`covidlit convert`: NIfTI with the right HU in the right place, resumed, and a way back."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort.converted import VERDICTS, read_verdict
from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.scan_sources import find_scans
from covidlit.dicom import Checks
from covidlit.preprocess.conversion import convert_scans


@pytest.fixture(scope="module")
def rows(tiny_data: Path) -> pd.DataFrame:
    """Two rows of a manifest of synthetic DICOM series."""
    return read_manifest((tiny_data / "manifest_path").read_text()).iloc[[0, 25]]


@pytest.fixture
def folder(rows: pd.DataFrame, tmp_path: Path) -> Path:
    """Two good series, the first slices of a third, a file that is no image."""
    root = tmp_path / "dicom"
    for name, path in zip(("one", "two"), rows["path"], strict=True):
        shutil.copytree(path, root / name)
    (root / "short").mkdir()
    read = [pydicom.dcmread(file) for file in (root / "one").iterdir()]
    for k, short in enumerate(sorted(read, key=lambda ds: ds.ImagePositionPatient[2])[:3]):
        short.SeriesInstanceUID = "1.2.3.4"
        short.SOPInstanceUID = short.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{k}"
        short.PatientName, short.PatientID = "Secret^Name", "SECRET-ID"
        short.save_as(root / "short" / f"{k}.dcm")
    (root / "empty.dcm").touch()
    return root


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


def test_every_voxel_stands_where_dicom_says(
    folder: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    code, output = run(folder, tmp_path / "nifti")
    assert code == 0, output
    for name, scan_id in zip(("one", "two"), rows["scan_id"], strict=True):
        image = nib.load(tmp_path / "nifti" / f"{scan_id}.nii.gz")
        assert image.get_data_dtype() == np.int16
        np.testing.assert_allclose(image.get_sform(), image.get_qform(), atol=1e-4)
        voxels = np.asarray(image.dataobj)
        files = [pydicom.dcmread(file) for file in (folder / name).rglob("*") if file.is_file()]
        assert voxels.size == sum(file.Rows * file.Columns for file in files)
        for file in files:
            hu = file.pixel_array * float(file.RescaleSlope) + float(file.RescaleIntercept)
            across, down = np.reshape(np.array(file.ImageOrientationPatient, float), (2, 3))
            between_rows, between_columns = map(float, file.PixelSpacing)
            for row, column in ((3, 5), (20, 11), (40, 44)):
                lps = (
                    np.array(file.ImagePositionPatient, float)
                    + across * between_columns * column
                    + down * between_rows * row
                )
                at = np.linalg.inv(image.affine) @ [-lps[0], -lps[1], lps[2], 1]
                np.testing.assert_allclose(at, np.rint(at), atol=1e-3)
                assert voxels[tuple(np.rint(at[:3]).astype(int))] == max(hu[row, column], -1024)


def test_every_series_is_listed_and_nobody_is_named(
    folder: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    out = tmp_path / "nifti"
    _, output = run(folder, out)
    assert "2 series are NIfTI now, 2 refused" in output
    table = pd.read_csv(out / "series.csv").set_index("path")
    assert sorted(table.index) == ["empty.dcm", "one", "short", "two"]
    assert set(table["scan_id"][table["accepted"]]) == set(rows["scan_id"])
    assert "too_few_slices" in table.loc["short", "reason"]
    assert pd.isna(table.loc["short", "nifti"])
    assert "empty" in table.loc["empty.dcm", "reason"]
    short = read_verdict(out, table.loc["short", "scan_id"])
    assert short is not None
    assert not short.accepted
    written = "".join(path.read_text() for path in out.rglob("*.json")) + output
    written += (out / "series.csv").read_text()
    for secret in ("Secret", "SECRET-ID", "1.2.3.4"):
        assert secret not in written
    assert run(folder, out, "--strict")[0] == 2
    _, output = run(folder, out, "--override", "too_few_slices")
    assert "3 series are NIfTI now, 1 refused" in output
    assert nib.load(out / f"{short.scan_id}.nii.gz").shape[2] == 3


def test_the_verdict_leads_back_to_the_series(
    folder: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    out = tmp_path / "nifti"
    convert_scans(folder, out)
    for scan_id, name in zip(rows["scan_id"], ("one", "two"), strict=True):
        verdict = read_verdict(out, scan_id)
        assert verdict is not None
        assert (folder / verdict.path).is_relative_to(folder / name)
        (back,) = find_scans(out / f"{scan_id}.nii.gz", Checks())
        (dicom,) = find_scans(folder / verdict.path, Checks())
        assert (back.scan_id, back.series_uid) == (dicom.scan_id, dicom.series_uid)
        one, other = back.read(), dicom.read()
        np.testing.assert_array_equal(one.hu, other.hu)
        np.testing.assert_allclose(one.affine, other.affine, atol=1e-3)
        np.testing.assert_allclose(np.array(verdict.affine), other.affine)
    renamed = (out / f"{rows['scan_id'].iloc[0]}.nii.gz").rename(out / "4711.nii.gz")
    assert [source.scan_id for source in find_scans(renamed, Checks())] == [""]


def test_a_stopped_conversion_goes_on_and_mends_what_changed(
    folder: Path, rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "nifti"
    first, second = (out / f"{scan_id}.nii.gz" for scan_id in rows["scan_id"])
    whole = convert_scans(folder, out)
    before = {path: path.stat().st_mtime_ns for path in (first, second)}
    (out / "series.csv").unlink()
    pd.testing.assert_frame_equal(convert_scans(folder, out), whole)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    content = first.read_bytes()
    first.write_bytes(content[:1000])  # copied by halves
    second.unlink()
    pd.testing.assert_frame_equal(convert_scans(folder, out), whole)
    for path in (first, second):
        assert np.isfinite(nib.load(path).get_fdata()).all()  # it reads to its end
    assert not list(out.rglob(".*"))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    first.unlink()
    monkeypatch.setattr("covidlit.preprocess.conversion.nib.save", stop)
    with pytest.raises(KeyboardInterrupt):
        convert_scans(folder, out)
    assert not first.exists()
    assert not list(out.rglob(".*"))


def test_a_folder_within_the_source_is_no_source(folder: Path) -> None:
    out = folder / "nifti"
    table = convert_scans(folder, out)
    again = convert_scans(folder, out)
    pd.testing.assert_frame_equal(again, table)
    assert (out / VERDICTS).is_dir()


def test_another_table_is_not_written_over(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "nifti"
    out.mkdir()
    (out / "series.csv").write_text("patient,ward\n1,2\n")
    code, output = run(folder, out)
    assert code == 2
    assert "write over a file that it did not write" in output
    assert (out / "series.csv").read_text() == "patient,ward\n1,2\n"
    assert len(list(out.iterdir())) == 1


def test_the_folder_that_is_read_is_no_place_to_write(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    code, said = run(folder, folder)
    assert code == 2
    assert "the NIfTI files would lie among the DICOM files that they are made of" in said
    assert sorted(folder.rglob("*")) == before


def test_a_folder_inside_or_around_works_and_no_scan_counts_twice(folder: Path) -> None:
    for out in (folder / "nifti", folder.parent):
        for again in range(2):
            code, said = run(folder, out)
            assert code == 0, said
            assert "2 series are NIfTI now" in said, again
        names = [path.name for path in out.glob("*.nii.gz")]
        assert len(names) == 2
    sources = find_scans(folder, Checks())
    readable = [one for one in sources if one.read is not None]
    assert len(readable) == 2
    assert {one.path for one in readable} == {"one", "two"}
    for one in readable:
        assert one.read is not None
        (note,) = (note for note in one.read().notes if "as NIfTI too" in note)
        assert f"nifti/{one.scan_id}.nii.gz" in note
    # Without the series their images are scans of their own.
    assert len([s for s in find_scans(folder / "nifti", Checks()) if s.read is not None]) == 2


def test_an_image_that_convert_did_not_write_stays(folder: Path, tmp_path: Path) -> None:
    scan_id = next(s.scan_id for s in find_scans(folder, Checks()) if s.path == "one")
    mine = tmp_path / "out" / f"{scan_id}.nii.gz"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    code, _ = run(folder, mine.parent)
    assert code == 0
    assert mine.read_bytes() == b"mine"
    reason = pd.read_csv(mine.parent / "series.csv").set_index("path").loc["one", "reason"]
    assert reason == "`covidlit convert` would write over a file that it did not write."
