"""Real results freed of their patient: segmentations, reports and captures stay what they were."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import highdicom as hd
import numpy as np
import pandas as pd
import pytest
from dicomweb_world import ct_slices, names, new_uid, write
from pydicom import Dataset, dcmread

from covidlit.dicom import Checks, find_series, pseudonym_uid, read_series
from covidlit.dicom.out import write_objects
from covidlit.platform.dicomweb.deidentify import Stranger
from covidlit.platform.dicomweb.encode import file_without_identity, header_of
from covidlit.platform.dicomweb.kept import IMAGES_AND_REPORTS
from covidlit.scans.lesion_labels import LESION_CLASSES

PROGRAM = next(
    (p for p in (Path(sys.executable).parent / "dciodvfy", shutil.which("dciodvfy"))
     if p and Path(p).is_file()), None,
)  # fmt: skip
N_SLICES = 14
STRANGER = Stranger("P-north", frozenset({"secret-north", "secret", "19500102"}), is_own=True)
CHECKS = Checks(override=frozenset({"no_lungs", "not_chest"}))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The objects of a series whose headers name the patient wherever they can."""
    root = tmp_path_factory.mktemp("results")
    study, series_uid = new_uid(), new_uid()
    (root / "ct").mkdir()
    for k in range(N_SLICES):
        each = ct_slices("north", study, series_uid, seed=k, n=1)[0]
        each.SOPInstanceUID, each.InstanceNumber = f"{series_uid}.{k + 1}", k + 1
        each.ImagePositionPatient = [0, 0, 5.0 * k]
        each.ReferencedImageSequence = []
        each.AccessionNumber = "secret-north"
        write(each, root / "ct" / f"{k}.dcm")
    (series,) = find_series(root / "ct").series
    scan = read_series(series, CHECKS)
    classes = np.zeros(scan.hu.shape, np.uint8)
    instances = np.zeros(scan.hu.shape, np.int32)
    classes[1:-1, 2:30, 2:30] = 1
    rows = []
    for number, (place, kind) in enumerate((((3, 8, 9), 3), ((9, 20, 15), 2)), start=1):
        z, y, x = place
        box = (slice(z, z + 2), slice(y, y + 3), slice(x, x + 5))
        classes[box], instances[box] = kind, number
        rows.append({"patient_id": "P1", "scan_id": "S1", "lesion_id": number,
                     "class_name": LESION_CLASSES[kind], "volume_ml": 0.15})  # fmt: skip
    factors = {"patient_id": "P1", "scan_id": "S1", "n_lesions": 2, "total_volume_ml": 0.3}
    write_objects(
        series, scan, classes, instances, factors, pd.DataFrame(rows), root / "out",
        checks=CHECKS, absent_as_empty=True, independent=False,
    )  # fmt: skip
    return root


@pytest.fixture
def freed(written: Path, tmp_path: Path) -> Path:
    """The same without who the patient is; a PDF is not given at all."""
    for path in _objects(written):
        (tmp_path / path.name).write_bytes(file_without_identity(path, STRANGER, as_stored=False))
    return tmp_path


def _objects(root: Path) -> Iterator[Path]:
    for path in sorted((root / "out").glob("*.dcm")):
        if dcmread(path, stop_before_pixels=True).SOPClassUID in IMAGES_AND_REPORTS:
            yield path


def _told(dataset: Dataset, name: str) -> list[str]:
    """All values of an attribute, at whatever depth."""
    return [str(each.value) for each in dataset.iterall() if each.keyword == name]


def test_no_object_names_the_patient_and_all_did(written: Path, freed: Path) -> None:
    n = 0
    for path in _objects(written):
        assert names(path.read_bytes())
        for as_stored in (True, False):
            assert not names(file_without_identity(path, STRANGER, as_stored))
        assert not names(header_of(path, STRANGER).to_json().encode())
        n += 1
    assert n >= 4
    assert n == len(list(freed.iterdir()))


def test_segmentations_are_read_by_highdicom_where_they_were(written: Path, freed: Path) -> None:
    for name in ("classes.dcm", "lesions-1.dcm"):
        before = hd.seg.segread(written / "out" / name)
        after = hd.seg.segread(freed / name)
        old, new = before.get_volume(), after.get_volume()
        assert np.array_equal(old.array, new.array)
        assert np.allclose(old.affine, new.affine)
        assert [s.segment_label for s in (after.get_segment_description(n) for n in
                after.segment_numbers)] == [before.get_segment_description(n).segment_label
                                            for n in before.segment_numbers]  # fmt: skip
        sources = [each[2] for each in before.get_source_image_uids()]
        assert [each[2] for each in after.get_source_image_uids()] == list(
            map(pseudonym_uid, sources)
        )
        assert after.StudyInstanceUID == pseudonym_uid(before.StudyInstanceUID)
        assert after.FrameOfReferenceUID == pseudonym_uid(before.FrameOfReferenceUID)


def test_reports_keep_their_values_and_lead_to_what_strangers_get(
    written: Path, freed: Path
) -> None:
    def content(report: Dataset) -> Dataset:
        found = Dataset()
        found.ContentSequence = report.ContentSequence
        return found

    before, after = (dcmread(root / "factors.dcm") for root in (written / "out", freed))
    hd.sr.srread(freed / "factors.dcm")
    assert before.PatientID == "secret-north"
    assert after.PatientID == "P-north"
    for name in ("NumericValue", "CodeValue", "CodeMeaning", "ValueType", "RelationshipType"):
        old, new = (_told(content(each), name) for each in (before, after))
        assert new == old, name
        assert new
    known = {pseudonym_uid(each) for each in _told(before, "ReferencedSOPInstanceUID")}
    assert set(_told(after, "ReferencedSOPInstanceUID")) == known
    tracked = {str(pseudonym_uid(each)) for each in _told(before, "UID")}
    assert set(_told(after, "UID")) == tracked


@pytest.mark.skipif(PROGRAM is None, reason="dciodvfy (dicom3tools) is not installed")
def test_dciodvfy_finds_no_more_errors_than_before(written: Path, freed: Path) -> None:
    def errors(path: Path) -> set[str]:
        done = subprocess.run([str(PROGRAM), str(path)], capture_output=True, check=False)
        said = (done.stdout + done.stderr).decode("latin-1").splitlines()
        return {line for line in said if line.startswith("Error")}

    for path in freed.iterdir():
        assert errors(path) <= errors(written / "out" / path.name), path.name
    ct = file_without_identity(written / "ct" / "3.dcm", STRANGER, as_stored=False)
    place = freed / "ct.dcm"
    place.write_bytes(ct)
    assert errors(place) <= errors(written / "ct" / "3.dcm")
    assert not names(ct)
    assert np.array_equal(
        dcmread(io.BytesIO(ct)).pixel_array, dcmread(written / "ct" / "3.dcm").pixel_array
    )
