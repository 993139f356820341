"""From DICOM files to the cache and back to the patient, however the slices lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from covidlit.dicom import Checks, header
from covidlit.preprocess import Geometry, VolumeCache, prepare_cohort
from covidlit.preprocess.index import decoder_versions

ROWS, COLUMNS, SLICES = 48, 52, 24
PIXEL, STEP = 2.0, 4.0
LANDMARK = np.array([17.0, -21.0, 133.0])  # LPS mm
GEOMETRY = Geometry((5, 2.5, 2.5), (20, 40, 40))

SUPINE = (np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
PRONE = (np.array([-1.0, 0, 0]), np.array([0, -1.0, 0]))
ANGLE = np.deg2rad(4)
OBLIQUE = (np.array([1.0, 0, 0]), np.array([0, np.cos(ANGLE), np.sin(ANGLE)]))
TURNED = (np.array([np.cos(ANGLE), np.sin(ANGLE), 0]), np.array([-np.sin(ANGLE), np.cos(ANGLE), 0]))


def write_series(
    folder: Path, row: NDArray[np.float64], column: NDArray[np.float64], sign: int
) -> None:
    """A ball about the landmark in air, slices stepping along or against the normal."""
    folder.mkdir()
    normal = np.cross(row, column) * sign
    centre = np.array([5.0, -10.0, 140.0])
    corner = centre - (row * (COLUMNS - 1) + column * (ROWS - 1)) * PIXEL / 2
    series, study, frame = (generate_uid() for _ in range(3))
    r, c = np.mgrid[:ROWS, :COLUMNS]
    for k in range(SLICES):
        origin = corner + normal * STEP * (k - (SLICES - 1) / 2)
        place = origin + row * (c * PIXEL)[..., None] + column * (r * PIXEL)[..., None]
        hu = np.where(np.linalg.norm(place - LANDMARK, axis=-1) < 14, 1000, -1000)
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.Modality, ds.PatientID, ds.PatientName = "CT", "MRN-4711", "Doe^Jane"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.ImagePositionPatient = [round(float(v), 8) for v in origin]
        ds.ImageOrientationPatient = [round(float(v), 12) for v in (*row, *column)]
        ds.PixelSpacing, ds.SliceThickness = [PIXEL, PIXEL], STEP
        ds.InstanceNumber, ds.Rows, ds.Columns = k + 1, ROWS, COLUMNS
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, 1
        ds.RescaleSlope, ds.RescaleIntercept = 1, 0
        ds.PixelData = hu.astype("<i2").tobytes()
        ds.save_as(folder / f"{k:03d}", enforce_file_format=True)


def prepare(folder: Path, cache: Path, checks: Checks) -> pd.DataFrame:
    manifest = pd.DataFrame({"scan_id": ["S1"], "path": [str(folder)]})
    return prepare_cohort(
        manifest, cache, GEOMETRY, checks=checks, n_jobs=1, progress=False
    ).table  # fmt: skip


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("axes", [SUPINE, PRONE, OBLIQUE, TURNED])
def test_a_landmark_keeps_its_place_in_the_patient(
    axes: tuple[NDArray[np.float64], NDArray[np.float64]], sign: int, tmp_path: Path
) -> None:
    write_series(tmp_path / "series", *axes, sign)
    table = prepare(tmp_path / "series", tmp_path / "cache", Checks())
    assert table["reason"].isna().all()
    array, sidecar = VolumeCache(tmp_path / "cache").open(table["key"][0])
    weight = np.clip(np.asarray(array, dtype=float) + 1000, 0, None)
    index = np.stack(np.nonzero(weight), axis=-1)
    found = np.average(index, axis=0, weights=weight[weight > 0])
    place = np.array(sidecar.target_affine) @ [*found, 1]
    assert np.linalg.norm(place[:3] - LANDMARK) < 0.3
    np.testing.assert_allclose(
        np.array(sidecar.source_affine) @ [*sidecar.to_source(found), 1], place, atol=1e-9
    )


def test_nothing_of_the_patient_is_in_the_cache(tmp_path: Path) -> None:
    write_series(tmp_path / "series", *SUPINE, 1)
    prepare(tmp_path / "series", tmp_path / "cache", Checks())
    files = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert len(files) == 5
    for path in files:
        content = path.read_bytes()
        assert b"MRN-4711" not in content
        assert b"Doe" not in content


@pytest.mark.parametrize("override", [frozenset(), frozenset({"missing_slice"})])
def test_file_names_do_not_get_into_the_cache(tmp_path: Path, override: frozenset[str]) -> None:
    write_series(tmp_path / "series", *SUPINE, 1)
    (tmp_path / "series" / "010").unlink()
    for path in list((tmp_path / "series").iterdir()):
        path.rename(path.with_name(f"Doe_{path.name}.dcm"))
    table = prepare(tmp_path / "series", tmp_path / "cache", Checks(override=override))
    assert table["status"][0] == ("ok" if override else "refused")
    files = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    texts = [p.read_text() for p in files if p.suffix in (".json", ".csv")]
    assert any("8 mm between a file at" in text for text in texts)
    assert not any("Doe" in text for text in texts)


def test_a_refusal_holds_until_a_decoder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_series(tmp_path / "series", *SUPINE, 1)
    arguments = (tmp_path / "series", tmp_path / "cache", Checks())
    monkeypatch.setattr(header, "damage_of", lambda *_: "undecodable")
    assert prepare(*arguments)["status"][0] == "refused"
    monkeypatch.undo()
    assert prepare(*arguments)["status"][0] == "refused"
    versions = {**decoder_versions(), "pylibjpeg-libjpeg": "2.4"}
    monkeypatch.setattr("covidlit.preprocess.prepare.decoder_versions", lambda: versions)
    assert prepare(*arguments)["status"][0] == "ok"


def test_a_missing_slice_is_refused_with_its_reason_unless_overridden(tmp_path: Path) -> None:
    write_series(tmp_path / "series", *SUPINE, 1)
    (tmp_path / "series" / "010").unlink()
    table = prepare(tmp_path / "series", tmp_path / "cache", Checks())
    assert table["status"][0] == "refused"
    assert "missing_slice" in table["reason"][0]
    lenient = Checks(override=frozenset({"missing_slice", "non_uniform_spacing"}))
    assert prepare(tmp_path / "series", tmp_path / "cache", lenient)["status"][0] == "ok"
    assert prepare(tmp_path / "series", tmp_path / "cache", Checks())["status"][0] == "refused"
