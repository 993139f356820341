"""What DICOMweb gives: searches, files, frames and pictures, equal to what is stored."""

from __future__ import annotations

import email.parser
import io
import json
import shutil
from typing import Any

import numpy as np
import pytest
from dicomweb_world import ct_slices, names, new_uid, stored_dicom, write
from django.conf import settings
from django.test import Client
from django.urls import reverse
from PIL import Image
from platform_world import N_SLICES, SIZE, Hospital, hospital, volume
from pydicom import Dataset, dcmread
from pydicom.uid import (
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)
from sending_world import write_object

from covidlit.dicom import Checks, pseudonym_uid, read_series
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.dicomweb import index
from covidlit.platform.dicomweb.index import look_into, look_into_new
from covidlit.platform.dicomweb.models import StoredSeries, Waiting
from covidlit.platform.registry.models import Labelling, Scan

pytestmark = pytest.mark.django_db

FEW = Checks(min_slices=N_SLICES)


@pytest.fixture
def own() -> Hospital:
    own = hospital("north")
    for scan in own.scans:  # files do not outlive their rows
        results = settings.FOLDER.results / scan.labellings.get().folder
        for folder in (settings.FOLDER.scans / scan.folder, results):
            shutil.rmtree(folder / "dicom", ignore_errors=True)
    return own


def get(client: Client, path: str, accept: str = "*/*", **query: str) -> Any:
    return client.get(f"/dicom-web/{path}", query, headers={"accept": accept})


def parts_of(answer: Any) -> list[tuple[str, bytes]]:
    """Media types and contents, by Python's parser of e-mails."""
    head = f"Content-Type: {answer['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser().parsebytes(head + answer.getvalue())
    return [(p["Content-Type"], p.get_payload(decode=True)) for p in message.get_payload()]


def ct_of(scan: Scan) -> StoredSeries:
    look_into_new()
    return scan.series.get(modality="CT")


def value(item: dict[str, Any], tag: str) -> Any:
    return item[tag].get("Value", [None])[0]


def test_a_search_tells_studies_series_and_objects_by_pseudonym(own: Hospital) -> None:
    series = ct_of(stored_dicom(own))
    client = own.client(Role.READER)
    (study,) = get(client, "studies").json()
    assert value(study, "00100020") == value(study, "00100010")["Alphabetic"] == "P-north"
    assert value(study, "0020000D") == pseudonym_uid(series.study_uid)
    assert study["00080061"]["Value"] == ["CT", "OT"]
    assert value(study, "00080020") == "20200301"
    assert value(study, "00100030") is None
    path = f"studies/{pseudonym_uid(series.study_uid)}"
    assert value(study, "00081190") == f"http://testserver/dicom-web/{path}"
    found = get(client, f"{path}/series", Modality="CT").json()
    assert [value(each, "0020000E") for each in found] == [pseudonym_uid(series.series_uid)]
    assert value(found[0], "00201209") == N_SLICES
    instances = get(client, f"{path}/series/{value(found[0], '0020000E')}/instances").json()
    assert [value(each, "00200013") for each in instances] == list(range(1, N_SLICES + 1))
    assert {(value(each, "00280010"), value(each, "00280011")) for each in instances} == {
        (SIZE,) * 2
    }
    assert Entry.objects.filter(action="looked at").count() == 0  # nothing of a patient was opened
    physician = own.client(Role.PHYSICIAN)
    (known,) = get(physician, "studies").json()
    assert value(known, "0020000D") == series.study_uid
    assert value(known, "00100020") == "P-north"


@pytest.mark.parametrize(
    ("query", "n"),
    [
        ({}, 3), ({"PatientID": "P-north"}, 3), ({"PatientID": "p-NORTH"}, 3),
        ({"PatientName": "P-*"}, 3), ({"PatientID": "P-nort?"}, 3), ({"PatientID": "north"}, 0),
        ({"PatientID": "P?*north"}, 3), ({"PatientID": "P-north*?"}, 0),
        ({"PatientID": "P-n??t?"}, 3), ({"PatientID": "*?" * 50}, 0), ({"PatientID": "P.nor*"}, 0),
        ({"PatientID": "secret-north"}, 0), ({"PatientName": "Secret^north"}, 0),
        ({"StudyDate": "20200302"}, 1), ({"StudyDate": "20200302-"}, 2), ({"StudyDate": "-"}, 3),
        ({"StudyDate": "-20200301"}, 1), ({"00080020": "20200301-20200302"}, 2),
        ({"limit": "2"}, 2), ({"limit": "2", "offset": "2"}, 1), ({"limit": "0"}, 0),
        ({"offset": "7"}, 0), ({"ModalitiesInStudy": "CT"}, 3), ({"ModalitiesInStudy": "MR"}, 0),
        ({"includefield": "all"}, 3), ({"fuzzymatching": "true", "PatientName": "P-nrth"}, 0),
        ({"AccessionNumber": "secret-north"}, 0), ({"AccessionNumber": ""}, 3),
        ({"PatientBirthDate": "19500102"}, 0), ({"PatientSex": "M"}, 3),
    ],
)  # fmt: skip
def test_searches_match_as_the_standard_says(query: dict[str, str], n: int, own: Hospital) -> None:
    for number in range(3):
        scan = Scan.objects.create(
            patient=own.patient, scan_id=f"X{number}", n_slices=1, spacing_mm=[5, 1, 1],
            folder=f"P-north/X{number}",
        )  # fmt: skip
        folder = settings.FOLDER.scans / scan.folder / "dicom"
        folder.mkdir(parents=True, exist_ok=True)
        (image,) = ct_slices("north", new_uid(), new_uid(), n=1)
        image.StudyDate = f"2020030{number + 1}"
        write(image, folder / "00001.dcm")
    answer = get(own.client(Role.READER), "studies", **query)
    assert answer.status_code == 200
    days = [value(each, "00080020") for each in answer.json()]
    assert len(days) == n
    assert days == sorted(days, reverse=True)
    told = answer.headers.get("Warning", "")
    assert ("fuzzymatching" in told) == ("fuzzymatching" in query)
    assert ("PatientSex" in told) == ("PatientSex" in query)


@pytest.mark.parametrize(
    "query", [{"limit": "x"}, {"offset": "-1"}, {"StudyDate": "today"}, {"nothing": "1"},
              {"StudyInstanceUID": "1.2'"}, {"limit": "9" * 30}, {"00100099": "1"}],
)  # fmt: skip
def test_a_search_that_is_none_is_refused(query: dict[str, str], own: Hospital) -> None:
    answer = get(own.client(Role.READER), "studies", **query)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["fix"]


@pytest.mark.parametrize("kind", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless])
@pytest.mark.parametrize("role", [Role.READER, Role.PHYSICIAN])
def test_files_are_the_stored_images_in_the_same_place(
    role: Role, kind: str, own: Hospital, tmp_path: Any
) -> None:
    scan = stored_dicom(own, kind)
    series = ct_of(scan)
    named = role is Role.PHYSICIAN
    study = series.study_uid if named else series.study_pseudonym
    uid = series.series_uid if named else series.series_pseudonym
    answer = get(own.client(role), f"studies/{study}/series/{uid}")
    files = parts_of(answer)
    assert len(files) == N_SLICES
    for number, (said, content) in enumerate(files):
        assert said == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
        data = dcmread(io.BytesIO(content))
        assert data.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert data.PatientID == ("secret-north" if named else "P-north")
        assert data.SeriesInstanceUID == uid
        write_to = tmp_path / f"{number}.dcm"
        write_to.write_bytes(content)
    # Read as covidlit reads any series, and as it was drawn: voxels and geometry.
    read, drawn = read_series(tmp_path, FEW), volume(1)
    assert np.array_equal(read.hu, drawn.hu.clip(-1024, None))
    assert np.allclose(read.affine, drawn.affine)


@pytest.mark.parametrize("how", ["big endian", "no preamble", "deflated", "trailing bytes"])
@pytest.mark.parametrize("role", [Role.READER, Role.PHYSICIAN])
def test_files_of_odd_encodings_come_as_plain_ones(how: str, role: Role, own: Hospital) -> None:
    scan = stored_dicom(own)
    (image,) = ct_slices("north", new_uid(), new_uid(), n=1)
    pixels = np.frombuffer(image.PixelData, "<u2").reshape(SIZE, SIZE)
    folder = settings.FOLDER.scans / scan.folder / "dicom"
    for old in folder.glob("*"):
        old.unlink()
    path = folder / "00001.dcm"
    image.ensure_file_meta()
    if how == "no preamble":
        del image.file_meta
        image.save_as(path, implicit_vr=True, little_endian=True)
    elif how == "big endian":
        image.PixelData = pixels.astype(">u2").tobytes()
        image.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        image.save_as(path, enforce_file_format=True)
    else:
        image.PixelData += b"Secret^north" * (how == "trailing bytes")
        deflated = DeflatedExplicitVRLittleEndian
        image.file_meta.TransferSyntaxUID = (
            deflated if how == "deflated" else ExplicitVRLittleEndian
        )
        image.save_as(path, enforce_file_format=True)
    look_into(scan)
    series = ct_of(scan)
    named = role is Role.PHYSICIAN
    study = series.study_uid if named else series.study_pseudonym
    ((_, content),) = parts_of(get(own.client(role), f"studies/{study}"))[:1]
    data = dcmread(io.BytesIO(content))
    assert data.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(data.pixel_array, pixels)
    assert named or not names(content)


def test_what_a_stranger_gets_is_whole_and_says_that_it_was_freed(own: Hospital) -> None:
    series = ct_of(stored_dicom(own))
    path = f"studies/{series.study_pseudonym}/series/{series.series_pseudonym}"
    answer = get(own.client(Role.READER), f"{path}/metadata")
    assert answer["Content-Type"] == "application/dicom+json"
    first, *others = json.loads(answer.getvalue())
    assert len(others) == N_SLICES - 1
    data = Dataset.from_json(first)
    assert data.PatientIdentityRemoved == "YES"
    codes = [each.CodeValue for each in data.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113106"]
    for name in ("StudyDate", "Manufacturer", "KVP", "ImagePositionPatient", "PixelSpacing",
                 "RescaleIntercept", "WindowCenter", "Rows", "SliceThickness"):  # fmt: skip
        assert name in data, name
    for name in ("PixelData", "StudyDescription", "InstitutionName", "OtherPatientIDsSequence",
                 "DeviceSerialNumber", "ProcedureCodeSequence", "StationName"):  # fmt: skip
        assert name not in data, name
    # References lead to what the same person gets.
    second = Dataset.from_json(others[0])
    (reference,) = data.ReferencedImageSequence
    assert reference.ReferencedSOPInstanceUID == second.SOPInstanceUID
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121311"
    assert data.FrameOfReferenceUID == second.FrameOfReferenceUID


@pytest.mark.parametrize("kind", [ExplicitVRLittleEndian, JPEG2000Lossless])
def test_frames_and_pictures_are_those_of_the_slice(kind: str, own: Hospital) -> None:
    scan = stored_dicom(own, kind)
    series = ct_of(scan)
    client = own.client(Role.READER)
    uids = [pseudonym_uid(each.uid) for each in series.instances]
    path = f"studies/{series.study_pseudonym}/series/{series.series_pseudonym}/instances"
    drawn = volume(1).hu
    for k in (0, 4):
        ((said, content),) = parts_of(get(client, f"{path}/{uids[k]}/frames/1"))
        assert said.startswith("application/octet-stream")
        stored = np.frombuffer(content, "<u2").reshape(SIZE, SIZE).astype(int) - 1024
        assert np.array_equal(stored, drawn[k].clip(-1024, None))
        answer = get(client, f"{path}/{uids[k]}/rendered", "image/png", window="-600,1500,linear")
        page = client.get(reverse("slice", args=[scan.pk, k]))
        shown, paged = (np.array(Image.open(io.BytesIO(a.content)).convert("L")) for a in
                        (answer, page))  # fmt: skip
        inside = np.zeros((SIZE, SIZE), bool)
        inside[6:9, 6:9] = True  # where no outline is
        assert np.array_equal(shown[inside], paged[inside])
    whole = get(client, f"{path}/{uids[0]}/rendered", viewport="16,16")
    picture = Image.open(io.BytesIO(whole.content))
    assert (whole["Content-Type"], picture.size) == ("image/jpeg", (16, 16))
    for wrong, status in (("frames/2", 404), ("frames/0", 404), ("frames/1,,1", 404),
                          ("frames/2/rendered", 404), ("rendered?window=1", 400),
                          ("rendered?window=1,x", 400), ("rendered?viewport=0,5", 400),
                          ("rendered?viewport=1e9,5", 400),
                          ("rendered?quality=nan", 400)):  # fmt: skip
        assert client.get(f"/dicom-web/{path}/{uids[0]}/{wrong}").status_code == status, wrong
    for accept, status in (("image/gif", 406), ("text/html", 406), ("image/*;q=0.5", 200)):
        assert get(client, f"{path}/{uids[0]}/rendered", accept).status_code == status


def test_results_of_the_newest_version_stand_beside_the_scan(own: Hospital) -> None:
    scan = stored_dicom(own)
    ct = ct_of(scan)
    labelling = scan.labellings.get()
    client = own.client(Role.PHYSICIAN)
    files = {
        str(dcmread(p).SOPInstanceUID): p
        for p in (settings.FOLDER.results / labelling.folder / "dicom").glob("*.dcm")
    }
    star = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    parts = [content for _, content in parts_of(get(client, f"studies/{ct.study_uid}", star))]
    got = {str(dcmread(io.BytesIO(each)).SOPInstanceUID): each for each in parts}
    assert len(got) == N_SLICES + len(files) == N_SLICES + 4
    for uid, path in files.items():
        assert got[uid] == path.read_bytes()
    # Another version takes their place.
    Labelling.objects.create(
        scan=scan, version=2, labelled_by="masks", folder=f"{labelling.folder}-2", factors={}
    )
    look_into_new()
    again = parts_of(get(client, f"studies/{ct.study_uid}", star))
    assert len(again) == N_SLICES


def test_scans_and_versions_are_looked_into_as_they_come(
    own: Hospital, django_capture_on_commit_callbacks: Any
) -> None:
    folder = settings.FOLDER.scans / "P-north/X" / "dicom"
    folder.mkdir(parents=True, exist_ok=True)
    (image,) = ct_slices("north", new_uid(), new_uid(), n=1)
    write(image, folder / "00001.dcm")
    with django_capture_on_commit_callbacks(execute=True):
        scan = Scan.objects.create(
            patient=own.patient, scan_id="X", n_slices=1, spacing_mm=[5, 1, 1], folder="P-north/X"
        )
    (found,) = scan.series.all()
    assert (found.study_uid, found.n_instances) == (image.StudyInstanceUID, 1)
    results = settings.FOLDER.results / "P-north/X1" / "dicom"
    write_object(results / "factors.dcm", ComprehensiveSRStorage, study=image.StudyInstanceUID)
    with django_capture_on_commit_callbacks(execute=True):
        labelling = Labelling.objects.create(
            scan=scan, version=1, labelled_by="masks", folder="P-north/X1", factors={}
        )
    assert [each.labelling for each in scan.series.all()] == [None, labelling]
    # What has no UIDs, or is no DICOM at all, is left out and harms nothing.
    (folder / "00002.dcm").write_bytes(b"no DICOM")
    del image.SOPInstanceUID
    image.save_as(folder / "00003.dcm", enforce_file_format=False)
    look_into(scan)
    assert scan.series.get(labelling=None).n_instances == 1


def test_scans_that_nobody_has_looked_into_are_found_without_a_look_at_others(
    own: Hospital, django_assert_num_queries: Any
) -> None:
    scan = stored_dicom(own)  # whose process was lost before it looked into all of them
    assert look_into_new()
    newest = scan.labellings.get()
    assert scan.series.filter(labelling=newest).exists()
    with django_assert_num_queries(1) as asked:
        assert look_into_new()
    assert "registry_scan" not in asked[0]["sql"]
    # A version without objects comes and goes.
    gone = Labelling.objects.create(
        scan=scan, version=2, labelled_by="masks", folder="P-north/none", factors={}
    )
    assert look_into_new()
    assert not scan.series.exclude(labelling=None).exists()
    gone.delete()
    assert look_into_new()
    assert scan.series.filter(labelling=newest).exists()
    scan.labellings.all().delete()
    assert look_into_new()
    scan.delete()
    assert not Waiting.objects.exists()


def test_a_version_that_comes_while_files_are_read_is_looked_into(
    own: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = stored_dicom(own)
    look_into_new()
    newest, read = scan.labellings.get(), index._series_in

    def slow(*args: Any) -> Any:
        monkeypatch.setattr(index, "_series_in", read)
        version = scan.labellings.count() + 1
        Labelling.objects.create(
            scan=scan, version=version, labelled_by="masks", folder="P-north/none", factors={}
        )
        if version == 3:  # another process is faster, too
            assert look_into_new()
        return read(*args)

    for objects in (True, False):
        monkeypatch.setattr(index, "_series_in", slow)
        look_into(scan)
        assert scan.series.filter(labelling=newest).exists() is objects
        assert look_into_new()
        assert not scan.series.exclude(labelling=None).exists()
        assert not Waiting.objects.exists()


def test_a_file_that_is_gone_is_not_found(own: Hospital) -> None:
    scan = stored_dicom(own)
    series = ct_of(scan)
    for path in (settings.FOLDER.scans / scan.folder / "dicom").glob("*"):
        path.unlink()
    path = f"studies/{series.study_uid}/series/{series.series_uid}"
    client = own.client(Role.PHYSICIAN)
    for end in ("", "/metadata", f"/instances/{series.instances[0].uid}/rendered"):
        assert get(client, path + end).status_code == 404
    look_into(scan)
    assert not scan.series.filter(labelling=None).exists()
