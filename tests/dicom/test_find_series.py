"""Finding series: nested folders, odd names, mixed content, DICOMDIR, other encodings."""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet
from pydicom.sequence import Sequence

from covidlit.dicom import Checks, find_series, judge, pseudonym_uid, read_series
from covidlit.errors import DicomError

Write = Callable[..., Path]
Slice = Callable[..., Dataset]
Save = Callable[[Dataset, Path], Path]


def test_mixed_series_other_files_and_nesting(
    write_ct: Write, one_slice: Slice, save_as: Save, tmp_path: Path
) -> None:
    write_ct(folder="deep/er/ct", series="a")
    write_ct(folder="deep/er/ct", series="b")
    scout = one_slice(0, series="scout")
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    save_as(scout, tmp_path / "deep" / "scout.jpg")
    report = one_slice(0, series="report")
    report.Modality, report.SOPClassUID = "SR", "1.2.840.10008.5.1.4.1.1.88.11"
    for name in ("Rows", "Columns", "PixelData"):
        delattr(report, name)
    save_as(report, tmp_path / "report.dcm")
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    found = find_series(tmp_path)
    verdicts = {series.images[0].path.name[0]: judge(series) for series in found.series}
    assert [verdicts[name].accepted for name in "abs"] == [True, True, False]
    assert verdicts["s"].findings[0].check == "localizer"
    assert (found.n_files, found.n_other, found.problems) == (32, 3, [])


def test_one_series_split_over_folders(write_ct: Write, tmp_path: Path) -> None:
    write_ct(folder="root/one", edit=lambda ds, k: k % 2 == 0)
    write_ct(folder="root/two", edit=lambda ds, k: k % 2 == 1)
    (series,) = find_series(tmp_path / "root").series
    assert series.folder == tmp_path / "root"
    assert np.array_equal(read_series(series).hu[:, 0, 0], 100 * np.arange(14))


def test_what_may_not_be_opened_is_a_problem(
    write_ct: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ct(folder="root/open")
    shut, file = tmp_path / "root" / "shut", tmp_path / "root" / "open" / "other"
    shut.mkdir()
    file.touch()
    real_list, real_open = os.scandir, builtins.open

    def denied(path: object) -> OSError:
        return PermissionError(13, "Permission denied", str(path))

    def scandir(path: str) -> object:
        if Path(path) == shut:
            raise denied(path)
        return real_list(path)

    def opened(path: object, *args: object, **kwargs: object) -> object:
        if str(path) == str(file):
            raise denied(path)
        return real_open(path, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(builtins, "open", opened)
    monkeypatch.setattr(Path, "open", lambda path, *args: opened(path, *args))
    found = find_series(tmp_path / "root")
    assert {problem.path for problem in found.problems} == {shut, file}
    assert all("Permission denied" in problem.reason for problem in found.problems)
    verdict = judge(found.series[0])  # the file may be its last slice, so it is refused by name
    assert [finding.check for finding in verdict.findings] == ["stray_file"]
    assert "other: cannot be read: Permission denied" in verdict.reason


def test_two_stacks_under_one_uid_are_a_verdict(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        if k >= 14:
            ds.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]

    (series,) = find_series(write_ct(n=20, edit=edit)).series
    assert judge(series).findings[0].check == "mixed_orientation"
    assert "6 of 20" in judge(series).reason


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
@pytest.mark.parametrize("meta", [True, False])
def test_files_without_preamble(write_ct: Write, syntax: str, meta: bool) -> None:
    folder = write_ct()
    whole = read_series(folder)
    for path in folder.iterdir():
        ds = pydicom.dcmread(path)
        implicit = syntax == "1.2.840.10008.1.2"
        if meta:
            ds.file_meta.TransferSyntaxUID = syntax
            pydicom.dcmwrite(path, ds, implicit_vr=implicit, little_endian=True)
            path.write_bytes(path.read_bytes()[132:])
        else:
            del ds.file_meta
            ds.preamble = None
            pydicom.dcmwrite(path, ds, implicit_vr=implicit, little_endian=True)
        assert path.read_bytes()[128:132] != b"DICM"
    scan = read_series(folder)
    assert np.array_equal(scan.hu, whole.hu)
    assert scan.affine == pytest.approx(whole.affine)


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2"]
)
def test_other_uncompressed_encodings(write_ct: Write, syntax: str) -> None:
    folder = write_ct()
    whole = read_series(folder)
    for path in folder.iterdir():
        ds = pydicom.dcmread(path)
        big = syntax == "1.2.840.10008.1.2.2"
        if big:
            ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
        ds.file_meta.TransferSyntaxUID = syntax
        implicit = syntax == "1.2.840.10008.1.2"
        pydicom.dcmwrite(path, ds, implicit_vr=implicit, little_endian=not big)
    scan = read_series(folder)
    assert np.array_equal(scan.hu, whole.hu)
    assert scan.affine == pytest.approx(whole.affine)


def test_long_headers_and_sequences_are_walked_over(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        inner = Dataset()
        inner.CodeValue = "1"
        inner.RelatedSeriesSequence = Sequence([Dataset()])
        inner["RelatedSeriesSequence"].is_undefined_length = True
        inner.is_undefined_length_sequence_item = True
        ds.ReferencedImageSequence = Sequence([inner, inner])
        ds["ReferencedImageSequence"].is_undefined_length = True
        block = ds.private_block(0x0019, "SYNTHETIC", create=True)
        block.add_new(1, "OB", bytes(300_000 if k % 2 else 20_000))

    scan = read_series(write_ct(edit=edit))
    assert np.array_equal(scan.hu[:, 0, 0], 100 * np.arange(14))


def test_dicomdir_is_no_slice_and_its_missing_files_are_listed(
    write_ct: Write, tmp_path: Path
) -> None:
    source = write_ct()
    medium = FileSet()
    for path in source.iterdir():
        ds = pydicom.dcmread(path)
        ds.StudyDate, ds.StudyTime, ds.StudyID, ds.SeriesNumber = "20200301", "1200", "1", 1
        medium.add(ds)
    medium.write(tmp_path / "medium")
    assert judge(find_series(tmp_path / "medium").series[0]).accepted
    files = (tmp_path / "medium").rglob("IM*")
    lost = max(files, key=lambda path: pydicom.dcmread(path).ImagePositionPatient[2])
    lost.unlink()
    found = find_series(tmp_path / "medium")
    assert found.problems == []
    (note,) = found.notes
    assert "DICOMDIR refers to 1 of 14 files that are not here (PT000000" in note
    assert lost.name in note
    verdict = judge(found.series[0])
    assert [finding.check for finding in verdict.findings] == ["stray_file"]
    assert f"{lost.name}: missing: DICOMDIR lists it as one of this series" in verdict.reason
    assert len(found.series[0].files) == 13


def test_choosing_a_series(write_ct: Write, tmp_path: Path) -> None:
    write_ct(folder="all", series="a")
    write_ct(folder="all", series="b", n=13)
    write_ct(folder="all", series="c", n=3)
    uids = {len(one.files): one.series_uid for one in find_series(tmp_path / "all").series}
    with pytest.raises(DicomError, match="3 series, 2 of them accepted"):
        read_series(tmp_path / "all")
    for uid in (uids[13], pseudonym_uid(uids[13])):
        assert len(read_series(tmp_path / "all", series_uid=uid).hu) == 13
    with pytest.raises(DicomError, match="no series with the UID"):
        read_series(tmp_path / "all", series_uid="1.2.3")
    # A folder with a scan and its scout needs no choice.
    assert len(read_series(tmp_path / "all", Checks(min_slices=14)).hu) == 14


def test_pseudonyms_are_valid_uids_and_differ() -> None:
    names = {pseudonym_uid(f"1.2.{k}") for k in range(1000)}
    assert len(names) == 1000
    assert all(pydicom.uid.UID(name).is_valid for name in names)
    assert pseudonym_uid("1.2.3") == pseudonym_uid("1.2.3 ")


def test_missing_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DicomError, match="no such file or folder"):
        find_series(tmp_path / "nowhere")
    with pytest.raises(DicomError, match="no DICOM image series"):
        read_series(tmp_path)
