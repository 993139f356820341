"""Where only the names of slices are damaged, they are read and it is told; joined where asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort.manifest import read_manifest
from covidlit.dicom import Checks, SeriesRefused, find_series, judge, pseudonym_uid, read_series
from covidlit.preprocess import Geometry, prepare_cohort

Write = Callable[..., Path]
Save = Callable[[Dataset, Path], Path]
JOINED = Checks(override=frozenset({"damaged_series_uid"}))


def own_series(ds: Dataset, k: int) -> None:
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=["own", str(k)])


def own_everything(ds: Dataset, k: int) -> None:
    own_series(ds, k)
    ds.StudyInstanceUID = generate_uid(entropy_srcs=["own study", str(k)])
    ds.FrameOfReferenceUID = generate_uid(entropy_srcs=["own frame", str(k)])


def no_series(ds: Dataset, k: int) -> None:
    del ds.SeriesInstanceUID


def empty_series(ds: Dataset, k: int) -> None:
    ds.SeriesInstanceUID = ""


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (own_series, "each of the 14 files has a SeriesInstanceUID of its own"),
        (own_everything, "replaced file by file"),
        (no_series, "the 14 files have no SeriesInstanceUID: it was removed"),
        (empty_series, "the 14 files have no SeriesInstanceUID"),
    ],
)
def test_damaged_series_uids_are_named_and_joined_when_asked(
    write_ct: Write, edit: Callable[..., None], words: str
) -> None:
    folder = write_ct(edit=edit)
    (series,) = find_series(folder).series
    verdict = judge(series)
    assert [finding.check for finding in verdict.findings] == ["damaged_series_uid"]
    assert words in verdict.reason
    assert "override damaged_series_uid" in verdict.reason
    with pytest.raises(SeriesRefused, match="damaged_series_uid"):
        read_series(folder)
    scan = read_series(folder, JOINED)
    assert np.array_equal(scan.hu[:, 0, 0], 100 * np.arange(14))
    assert scan.affine[:3, 0] == pytest.approx([0, 0, 2.5])
    assert scan.affine[:3, 3] == pytest.approx([-20, -30, 100])
    assert any(note.startswith("damaged_series_uid overridden") for note in scan.notes)


def test_slices_that_an_exporter_sorted_by_their_new_uids_are_joined(
    one_slice: Callable[..., Dataset], save_as: Save, tmp_path: Path
) -> None:
    for k in range(14):
        ds = one_slice(k)
        own_series(ds, k)
        save_as(ds, tmp_path / "study" / f"series{k}" / "1.dcm")
    assert np.array_equal(read_series(tmp_path, JOINED).hu[:, 0, 0], 100 * np.arange(14))


def test_two_series_of_one_study_are_joined_each_for_itself(
    write_ct: Write, tmp_path: Path
) -> None:
    for number, kernel in ((2, "B31f"), (3, "B70f")):

        def edit(ds: Dataset, k: int, number: int = number, kernel: str = kernel) -> None:
            ds.SeriesInstanceUID = generate_uid(entropy_srcs=[str(number), str(k)])
            ds.SeriesNumber, ds.ConvolutionKernel = number, kernel
            ds.RescaleIntercept = -1000 + number

        write_ct(edit=edit, folder="study", series=str(number))
    found = find_series(tmp_path).series
    assert [len(one.files) for one in found] == [14, 14]
    assert sorted(read_series(one, JOINED).hu[0, 0, 0] for one in found) == [2, 3]


def test_single_images_of_different_places_and_sizes_are_not_joined(write_ct: Write) -> None:
    def monitoring(ds: Dataset, k: int) -> None:
        own_series(ds, k)
        ds.ImagePositionPatient = [-20, -30, 113]

    assert len(find_series(write_ct(edit=monitoring, folder="one place")).series) == 14

    def directions(ds: Dataset, k: int) -> None:
        own_series(ds, k)
        ds.ImageOrientationPatient = [[1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]][k % 2]
        ds.PixelSpacing = [0.5 + k // 2 / 10] * 2

    assert len(find_series(write_ct(edit=directions, folder="kinds")).series) == 14


def test_one_slice_without_a_series_uid_is_a_stray_of_the_series_beside_it(
    write_ct: Write,
) -> None:
    folder = write_ct(edit=lambda ds, k: no_series(ds, k) if k == 13 else None)
    verdict = judge(find_series(folder).series[0])
    assert [finding.check for finding in verdict.findings] == ["stray_file"]
    assert "a001: damaged: no SeriesInstanceUID" in verdict.reason


def test_joined_series_go_through_the_commands(write_ct: Write, tmp_path: Path) -> None:
    folder, manifest = write_ct(edit=own_everything), tmp_path / "manifest.csv"
    option = ["--override", "damaged_series_uid"]
    run = CliRunner().invoke
    table = ["--csv", str(tmp_path / "series.csv")]
    assert run(app, ["inspect", str(folder), *table, "--strict"]).exit_code == 1
    assert run(app, ["inspect", str(folder), *table, "--strict", *option]).exit_code == 0
    uid = find_series(folder).series[0].series_uid
    assert pd.read_csv(tmp_path / "series.csv")["series_uid"].tolist() == [pseudonym_uid(uid)]
    done = run(app, ["manifest", str(folder), "--out", str(manifest), *option])
    assert done.exit_code == 0, done.output
    rows = read_manifest(manifest)
    assert rows["status"].tolist() == ["ok"]
    prepared = prepare_cohort(
        rows, tmp_path / "cache", Geometry((2.5, 1, 1), (14, 16, 16)), checks=JOINED, n_jobs=1,
        progress=False,
    )  # fmt: skip
    assert prepared.table["status"].tolist() == ["ok"]


def test_a_frame_of_reference_per_slice_is_read_and_told(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.FrameOfReferenceUID = generate_uid(entropy_srcs=["own frame", str(k)])

    scan = read_series(write_ct(edit=edit))
    assert np.array_equal(scan.hu[:, 0, 0], 100 * np.arange(14))
    assert any("14 FrameOfReferenceUIDs in 14 slices" in note for note in scan.notes)

    def halves(ds: Dataset, k: int) -> None:
        ds.FrameOfReferenceUID = f"1.2.{k // 7}"

    verdict = judge(find_series(write_ct(edit=halves, folder="halves")).series[0])
    assert [finding.check for finding in verdict.findings] == ["mixed_frame_of_reference"]
    assert "and 4 more); use" in verdict.reason
    assert "None" not in verdict.reason


def test_one_instance_uid_for_all_slices_is_read_and_told(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"

    scan = read_series(write_ct(edit=edit))
    assert np.array_equal(scan.hu[:, 0, 0], 100 * np.arange(14))
    assert any("14 of 14 files share a SOPInstanceUID" in note for note in scan.notes)


@pytest.mark.parametrize("charset", ["", "UTF-8", "ISO_IR 192", "ISO_IR 13", "nonsense"])
def test_bytes_that_fit_no_character_set_keep_two_patients_apart(
    write_ct: Write, tmp_path: Path, charset: str
) -> None:
    for letter in "üö":

        def edit(ds: Dataset, k: int, letter: str = letter) -> None:
            ds.PatientID = "XXXXXX"
            ds.SpecificCharacterSet = "ISO_IR 100"
            ds.StudyInstanceUID = generate_uid(entropy_srcs=["charset", letter])

        folder = write_ct(edit=edit, series=f"{ord(letter)}", folder=f"all/{ord(letter)}")
        for path in folder.iterdir():
            raw = path.read_bytes().replace(b"XXXXXX", f"M{letter}l 12".encode("latin-1"))
            path.write_bytes(raw.replace(b"ISO_IR 100", charset.ljust(10).encode()))
    assert {one.patient_id for one in find_series(tmp_path).series} == {"Mül 12", "Möl 12"}
    manifest = tmp_path / "manifest.csv"
    done = CliRunner().invoke(app, ["manifest", str(tmp_path / "all"), "--out", str(manifest)])
    assert done.exit_code == 0, done.output
    assert read_manifest(manifest)["patient_id"].nunique() == 2
    told = [judge(one).notes for one in find_series(tmp_path).series]
    assert all(bool(notes) is bool(charset) for notes in told)


def saved_screen(ds: Dataset) -> None:
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 0, -1], [-20, 0, 110]


def without_place(ds: Dataset) -> None:
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(ds, name)


def capture(ds: Dataset) -> None:
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    without_place(ds)
    del ds.RescaleSlope, ds.RescaleIntercept


def of_a_ct(ds: Dataset) -> None:
    ds.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    without_place(ds)


def in_colour(ds: Dataset) -> None:
    capture(ds)
    ds.Modality, ds.SamplesPerPixel, ds.PhotometricInterpretation = "OT", 3, "RGB"


@pytest.mark.parametrize("edit", [saved_screen, capture, of_a_ct, in_colour])
def test_a_saved_screen_in_a_series_is_left_out_by_name(
    write_ct: Write, one_slice: Callable[..., Dataset], save_as: Save, edit: Callable[..., None]
) -> None:
    folder = write_ct()
    ds = one_slice(60)
    edit(ds)
    save_as(ds, folder / "screen")
    scan = read_series(folder)
    assert np.array_equal(scan.hu[:, 0, 0], 100 * np.arange(14))
    note = scan.notes[0]
    assert "1 of 15" in note
    assert "(screen)" in note
    assert "left out" in note
