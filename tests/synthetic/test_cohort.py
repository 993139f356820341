"""The synthetic cohort on the disk: real DICOM, the same bytes every time, nothing given away."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest

from covidlit.cohort.clinical import read_clinical
from covidlit.cohort.scan_ids import scan_id_of
from covidlit.dicom import find_series, judge, read_series
from covidlit.dicom.facts import metadata_of
from covidlit.errors import ConfigError, CovidlitError
from covidlit.scans.lesion_labels import read_labels
from covidlit.synthetic import CohortPaths, make, make_cohort, plan_cohort
from covidlit.synthetic.dicom_writer import write_series
from covidlit.synthetic.grid import Grid, grid_of
from covidlit.synthetic.render import render
from covidlit.tables import read_table

pytestmark = pytest.mark.slow

SMALL = {"n_scans": 12, "seed": 0, "matrix": 48, "thickness_mm": 10.0, "progress": False}


def digest(root: Path) -> dict[str, str]:
    """Hash of every file under a folder by its relative path."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> CohortPaths:
    return make_cohort(tmp_path_factory.mktemp("cohort") / "mild", n_jobs=1, **SMALL)


def test_the_same_bytes_for_any_number_of_processes(cohort: CohortPaths, tmp_path: Path) -> None:
    other = make_cohort(tmp_path / "again", n_jobs=2, **SMALL)
    first, second = digest(cohort.root), digest(other.root)
    assert len(first) > 12 * 30
    assert first == second


def test_a_finished_cohort_is_left_alone(cohort: CohortPaths) -> None:
    times = {path: path.stat().st_mtime_ns for path in cohort.root.rglob("*")}
    make_cohort(cohort.root, n_jobs=1, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in cohort.root.rglob("*")} == times


def test_a_cohort_for_its_owner_alone_under_such_a_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        paths = make_cohort(tmp_path / "mild", n_jobs=1, **(SMALL | {"n_scans": 1}))
    finally:
        os.umask(before)
    assert not any(stat.S_IMODE(p.stat().st_mode) & 0o077 for p in (paths.root.rglob("*")))


def test_a_killed_run_goes_on_where_it_stopped(
    cohort: CohortPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import covidlit.synthetic.make as make

    real, calls = make.write_series, []

    def killed(folder: Path, *rest: object) -> None:
        calls.append(folder)
        real(folder, *rest)
        if len(calls) == 5:
            raise KeyboardInterrupt  # after all files, before the folder is in its place

    monkeypatch.setattr(make, "write_series", killed)
    with pytest.raises(KeyboardInterrupt):
        make_cohort(tmp_path / "c", n_jobs=1, **SMALL)
    assert len(find_series(tmp_path / "c" / "dicom").series) == 4
    assert not (tmp_path / "c" / "labels.csv").exists()
    monkeypatch.undo()
    done = make_cohort(tmp_path / "c", n_jobs=1, **SMALL)
    assert digest(done.root) == digest(cohort.root)


def test_another_process_may_write_the_same_scan_first(
    cohort: CohortPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import covidlit.synthetic.make as make

    case = plan_cohort("mild", 12, 0)[0]
    paths = replace(cohort, root=tmp_path, dicom=tmp_path / "dicom", truth=None)
    own = Path(case.centre, case.name)
    real = make.write_series

    def overtaken(folder: Path, *rest: object) -> None:
        real(folder, *rest)
        shutil.copytree(folder, paths.dicom / own)

    monkeypatch.setattr(make, "write_series", overtaken)
    make.make_scan(paths, case, grid_of(case, 48, 10.0))
    assert digest(paths.dicom / own) == digest(cohort.dicom / own)
    assert list(tmp_path.iterdir()) == [paths.dicom]


def test_nothing_is_left_beside_the_parts_of_a_cohort(cohort: CohortPaths) -> None:
    parts = {cohort.dicom, cohort.truth, cohort.labels, cohort.info}
    assert set(cohort.root.iterdir()) == parts


@pytest.mark.parametrize("change", [{"seed": 1}, {"n_scans": 11}, {"matrix": 64}])
def test_a_folder_with_another_cohort_is_refused(
    cohort: CohortPaths, change: dict[str, int]
) -> None:
    with pytest.raises(CovidlitError, match="another synthetic cohort"):
        make_cohort(cohort.root, n_jobs=1, **{**SMALL, **change})


def test_another_process_that_begins_meanwhile_is_no_reason_to_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {**SMALL, "n_scans": 1, "truth": False}
    look = make._holds_other

    def look_late(paths: CohortPaths) -> bool:
        monkeypatch.setattr(make, "_holds_other", look)
        make_cohort(tmp_path, **few)
        return look(paths)

    monkeypatch.setattr(make, "_holds_other", look_late)
    assert make_cohort(tmp_path, **few).dicom.is_dir()
    assert json.loads((tmp_path / "cohort.json").read_text())["complete"]


def test_other_folders_and_arguments_are_refused(tmp_path: Path) -> None:
    # What another process that makes the same cohort is just writing is no reason to refuse.
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / ".cohort.json.x7.part.json").touch()
    make_cohort(tmp_path / "both", **{**SMALL, "n_scans": 1, "truth": False})
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(CovidlitError, match="not empty"):
        make_cohort(tmp_path, **SMALL)
    (tmp_path / "cohort.json").write_text("[]")
    with pytest.raises(CovidlitError, match="not the description"):
        make_cohort(tmp_path, **SMALL)
    for wrong in ({"matrix": 8}, {"thickness_mm": 0.0}, {"preset": "all"}):
        with pytest.raises(ConfigError):
            make_cohort(tmp_path / "new", **{**SMALL, **wrong})
    assert not (tmp_path / "new").exists()


def test_labels_and_info_describe_the_cohort(cohort: CohortPaths) -> None:
    labels = read_table(cohort.labels)
    assert len(labels) == 12
    assert labels["synthetic"].all()
    assert set(labels.loc[labels["class_name"] == "covid", "centre"]) <= {"centre_1", "centre_4"}
    found = find_series(cohort.dicom)
    assert not found.problems
    assert {series.series_uid for series in found.series} == set(labels["series_uid"])
    info = json.loads(cohort.info.read_text())
    assert info["synthetic"] is True
    assert info["complete"] is True
    assert info["arguments"]["n_scans"] == 12


def test_every_series_is_accepted_and_holds_what_was_drawn(cohort: CohortPaths) -> None:
    cases = {case.series_uid: case for case in plan_cohort("mild", 12, 0)}
    models = set()
    for series in find_series(cohort.dicom).series:
        verdict = judge(series)
        assert verdict.accepted, verdict.reason
        assert not verdict.findings
        case = cases[series.series_uid]
        grid = grid_of(case, 48, 10.0)
        scan = read_series(series)
        drawn = render(case, grid)
        np.testing.assert_array_equal(scan.hu, np.maximum(drawn.hu, -1024))
        np.testing.assert_allclose(scan.affine, grid.affine, atol=2e-3)
        facts = metadata_of(series)
        assert facts["kernel"] == case.scanner.kernel
        assert facts["slice_thickness_mm"] == 10.0
        models.add(facts["scanner_model"])
    assert len(models) >= 3


def test_truth_lies_on_the_series_and_keeps_the_contract(cohort: CohortPaths) -> None:
    import cc3d

    labels = read_table(cohort.labels).set_index("series_uid")
    cases = {case.series_uid: case for case in plan_cohort("mild", 12, 0)}
    with_lesions = 0
    for series in find_series(cohort.dicom).series:
        scan = read_series(series)
        truth = read_labels(cohort.truth, scan_id_of(series.series_uid), scan)
        voxel_ml = float(np.prod(scan.spacing)) / 1000
        lung_ml = (truth.classes > 0).sum() * voxel_ml
        assert 1500 < lung_ml < 7500
        # An instance is a connected piece of one class.
        for number in range(1, truth.instances.max() + 1):
            piece = truth.instances == number
            assert piece.any()
            assert cc3d.connected_components(piece.astype(np.uint8)).max() == 1
        lesion_ml = (truth.classes > 1).sum() * voxel_ml
        wanted = cases[series.series_uid].lesion_volume_ml
        assert lesion_ml == pytest.approx(wanted, rel=0.1, abs=6 * voxel_ml)
        with_lesions += lesion_ml > 0
        if labels.loc[series.series_uid, "aetiology"] in ("healthy", "nodule"):
            assert lesion_ml == 0
    assert with_lesions >= 6


# What may differ between two scans of one scanner: identity, time and how it was scanned.
FREE = {
    "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
    "PatientName", "PatientID", "PatientSex", "PatientAge", "Exposure", "XRayTubeCurrent",
    "ReconstructionDiameter", "PixelSpacing", "ImagePositionPatient", "SliceLocation",
    "InstanceNumber", "PixelData", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate",
    "StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime",
}  # fmt: skip


def test_headers_are_synthetic_and_do_not_tell_the_class(cohort: CohortPaths) -> None:
    labels = read_table(cohort.labels).set_index("series_uid")
    seen: dict[tuple[str, str], dict[str, str]] = {}
    words = ("covid", "cap", "np", "pneumonia", "viral", "nodule", "healthy", "severe")
    for folder in sorted(cohort.dicom.glob("*/*")):
        header = pydicom.dcmread(next(iter(sorted(folder.iterdir()))))
        assert str(header.PatientName).startswith("SYNTHETIC^")
        assert header.PatientID.startswith("SYN")
        assert header.PatientIdentityRemoved == "YES"
        centre = labels.loc[header.SeriesInstanceUID, "centre"]
        assert folder.parent.name == centre
        fixed = {
            element.keyword: str(element.value) for element in header if element.keyword not in FREE
        }
        assert not any(element.tag.is_private for element in header)
        # One scanner of one centre: the same attributes with the same values, whatever the class.
        known = seen.setdefault((centre, header.ManufacturerModelName), fixed)
        assert fixed == known
        text = " ".join(fixed.values()).lower().replace("covidlit", "").split()
        assert not set(words) & set(text)


def test_a_uid_may_hold_any_digits(tmp_path: Path) -> None:
    # The mark that each slice's number takes the place of stands in this series' UID as well.
    case = next(case for case in plan_cohort("mild", 300, 10) if "9876" in case.series_uid)
    write_series(tmp_path, case, Grid((14, 16, 16), (5, 5, 5), (0, 0, 0)), np.zeros((14, 16, 16)))
    (series,) = find_series(tmp_path).series
    assert series.series_uid == case.series_uid
    assert judge(series).accepted


def test_dicom_is_conformant_ct_image_storage(cohort: CohortPaths) -> None:
    # Type 1 of the modules of CT Image Storage, PS3.3 A.3.
    type_1 = [
        "StudyInstanceUID", "Modality", "SeriesInstanceUID", "FrameOfReferenceUID", "PixelSpacing",
        "ImageOrientationPatient", "ImagePositionPatient", "SamplesPerPixel",
        "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
        "PixelRepresentation", "PixelData", "ImageType", "RescaleIntercept", "RescaleSlope",
        "RescaleType", "SOPClassUID", "SOPInstanceUID",
    ]  # fmt: skip
    type_2 = [
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
        "ReferringPhysicianName", "StudyID", "AccessionNumber", "SeriesNumber", "PatientPosition",
        "PositionReferenceIndicator", "Manufacturer", "InstanceNumber", "SliceThickness", "KVP",
        "AcquisitionNumber",
    ]  # fmt: skip
    for folder in sorted(cohort.dicom.glob("*/*")):
        uids = set()
        for path in folder.iterdir():
            with pydicom.config.disable_value_validation():
                header = pydicom.dcmread(path)
            assert all(getattr(header, name) not in ("", None) for name in type_1)
            assert all(name in header for name in type_2)
            assert header.file_meta.MediaStorageSOPInstanceUID == header.SOPInstanceUID
            assert pydicom.uid.UID(header.SOPInstanceUID).is_valid
            assert len(header.PixelData) == 2 * header.Rows * header.Columns
            uids.add(header.SOPInstanceUID)
            for element in header:
                if element.VR in ("DS", "IS"):
                    values = element.value if element.VM > 1 else [element.value]
                    assert all(len(str(value)) <= 16 for value in values)
        assert len(uids) == len(list(folder.iterdir()))


def test_severity_cohorts_have_a_clinical_table(tmp_path: Path) -> None:
    paths = make_cohort(
        tmp_path, preset="severity", n_scans=5, matrix=32, thickness_mm=10.0, truth=False,
        progress=False,
    )  # fmt: skip
    assert paths.truth is None
    assert paths.clinical is not None
    clinical, labels = read_clinical(paths.clinical), read_table(paths.labels)
    labels["date"] = pd.to_datetime(labels["acquisition_date"])
    both = labels.merge(clinical, on=["patient_id", "date"])
    assert len(both) == len(clinical) == 5
    assert labels["patient_id"].nunique() < 5
