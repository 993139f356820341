"""Scans are stored once, for the patient that they are of, and open nobody else's."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from platform_world import N_SLICES, Hospital, hospital, volume
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    generate_uid,
)

from covidlit.errors import DicomError
from covidlit.platform.accounts.models import StudyGroup
from covidlit.platform.accounts.people import give_role
from covidlit.platform.accounts.rights import Right, Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.intake import storing
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import UploadRefused, waiting_of
from covidlit.platform.intake.storing import store
from covidlit.platform.registry.models import Identity, Patient, Scan
from covidlit.scans.scan import Scan as Volume

pytestmark = pytest.mark.django_db


@pytest.fixture
def own() -> Hospital:
    own = hospital("north")
    give_role(own.upload.owner, Role.PHYSICIAN, own.centre, own.group)
    return own


def header(folder: Path, name: str = "Doe^Jane", born: str = "19500102") -> Path:
    """A file with the headers that say who a patient is."""
    found = Dataset()
    found.PatientName, found.PatientBirthDate, found.PatientID = name, born, "H-1"
    found.SOPClassUID, found.SOPInstanceUID = CTImageStorage, generate_uid()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / f"{name}-{born}.dcm"
    found.save_as(path, enforce_file_format=True)
    return path


def stored(upload: Upload, file: Path, scan_id: str = "S1", scan: Volume | None = None) -> bool:
    own = scan if scan is not None else volume()
    return store(upload, scan_id, own, [file], "P-new", "H-1", date(2020, 3, 1)).is_new


def test_a_scan_twice_is_one(own: Hospital, tmp_path: Path) -> None:
    file = header(tmp_path)
    assert stored(own.upload, file)
    assert not stored(own.upload, file)
    scan = Scan.objects.get(scan_id="S1")
    assert scan.n_slices == N_SLICES
    identity = Identity.objects.get(patient=scan.patient)
    assert (identity.name, identity.birth_date) == ("Doe^Jane", date(1950, 1, 2))


def test_a_part_of_a_scan_does_not_stand_for_it(own: Hospital, tmp_path: Path) -> None:
    whole = volume()
    part = Volume(np.ascontiguousarray(whole.hu[:2]), whole.affine)
    file = header(tmp_path)
    stored(own.upload, file, scan=part)
    with pytest.raises(UploadRefused, match="here with 2 slices, and has 6 now"):
        stored(own.upload, file)


def test_another_part_of_as_many_slices_is_not_taken_for_it(own: Hospital, tmp_path: Path) -> None:
    stored(own.upload, header(tmp_path))
    with pytest.raises(UploadRefused, match="here with other slices"):
        stored(own.upload, header(tmp_path))  # a SOPInstanceUID of its own


@pytest.mark.parametrize(
    ("name", "born", "said"),
    [("Roe^Richard", "19500102", "PatientName"), ("Doe^Jane", "19510203", "PatientBirthDate")],
)
def test_another_person_of_the_same_number_is_refused(
    name: str, born: str, said: str, own: Hospital, tmp_path: Path
) -> None:
    stored(own.upload, header(tmp_path))
    with pytest.raises(UploadRefused, match=said):
        stored(own.upload, header(tmp_path, name, born), "S2")


def test_a_file_with_a_number_does_not_open_the_patient(own: Hospital, tmp_path: Path) -> None:
    stored(own.upload, header(tmp_path))
    other = StudyGroup.objects.create(name="trial")
    stranger = hospital("elsewhere").upload.owner
    give_role(stranger, Role.PHYSICIAN, own.centre, other)
    forged = Upload.objects.create(owner=stranger, centre=own.centre, study_group=other)
    with pytest.raises(UploadRefused, match="another study group"):
        stored(forged, header(tmp_path), "S2")
    assert not Patient.objects.seen_by(stranger, Right.VIEW).filter(pseudonym="P-new").exists()


def test_who_may_see_a_patient_may_put_him_into_another_group(
    own: Hospital, tmp_path: Path
) -> None:
    stored(own.upload, header(tmp_path))
    other = StudyGroup.objects.create(name="trial")
    give_role(own.upload.owner, Role.PHYSICIAN, own.centre, other)
    both = Upload.objects.create(owner=own.upload.owner, centre=own.centre, study_group=other)
    assert stored(both, header(tmp_path), "S2")
    groups = Patient.objects.get(pseudonym="P-new").study_groups.values_list("name", flat=True)
    assert set(groups) == {"clinic", "trial"}
    assert Entry.objects.filter(action="put into a study group").count() == 2


@pytest.mark.parametrize(
    ("number", "scan_id", "said"),
    [("9" * 65, "S1", "PatientID has 65"), ("H-1", "S" * 129, "name has 129")],
)
def test_identifiers_that_the_database_cannot_hold_are_refused(
    number: str, scan_id: str, said: str, own: Hospital, tmp_path: Path
) -> None:
    with pytest.raises(UploadRefused, match=said):
        store(own.upload, scan_id, volume(), [header(tmp_path)], "P-new", number, None)
    assert not Patient.objects.filter(pseudonym="P-new").exists()


@pytest.mark.parametrize("first", ["S1", "S0"])
def test_who_comes_second_at_the_same_time_opens_nobody(
    first: str, own: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two study groups bring the same number in at once: the patient is of who was first."""
    other = StudyGroup.objects.create(name="trial")
    stranger = hospital("elsewhere").upload.owner
    give_role(stranger, Role.PHYSICIAN, own.centre, other)
    forged = Upload.objects.create(owner=stranger, centre=own.centre, study_group=other)
    file, written = header(tmp_path), storing.write_planes
    kept: list[bytes] = []

    def meanwhile(*given: Any) -> None:
        written(*given)
        if not kept:
            kept.append(b"")
            stored(own.upload, file, first)
            kept[0] = planes_of("P-new", first)

    monkeypatch.setattr(storing, "write_planes", meanwhile)
    with pytest.raises(UploadRefused, match="another study group"):
        stored(forged, file, "S1", volume(7))
    patient = Patient.objects.get(pseudonym="P-new")
    assert [str(each) for each in patient.study_groups.all()] == ["clinic"]
    assert not Patient.objects.seen_by(stranger, Right.VIEW).filter(pk=patient.pk).exists()
    assert [each.scan_id for each in patient.scans.all()] == [first]
    assert planes_of("P-new", first) == kept[0]
    assert not list(waiting_of(forged).glob("*"))


def planes_of(pseudonym: str, scan_id: str) -> bytes:
    return (settings.FOLDER.scans / pseudonym / scan_id / "planes.zip").read_bytes()


def test_a_small_file_that_is_large_when_it_is_inflated_is_refused(
    own: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages and DICOMweb inflate stored files whole."""
    monkeypatch.setenv("COVIDLIT_MAX_GIB", str(4 / 1024))  # a file may hold a quarter of it

    def deflated(n: int) -> Path:
        data = dcmread(header(tmp_path, born="19500102"))
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        data.DataSetTrailingPadding = bytes(n)
        data.save_as(tmp_path / f"{n}.dcm", enforce_file_format=True)
        return tmp_path / f"{n}.dcm"

    large = deflated(3 << 20)
    assert large.stat().st_size < 1 << 14
    with pytest.raises(DicomError, match="holds more than 1 MiB"):
        stored(own.upload, large)
    assert not Patient.objects.filter(pseudonym="P-new").exists()
    assert stored(own.upload, deflated(1 << 19))
