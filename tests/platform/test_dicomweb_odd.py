"""DICOMweb asked oddly, and with odd files in the store: nobody waits for it, nothing is told."""

from __future__ import annotations

import fnmatch
import json
import re
import time
from pathlib import Path

import pytest
from dicomweb_world import names, stored_dicom
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st
from platform_world import N_SLICES, Hospital, hospital
from pydicom import DataElement, Dataset, dcmread
from pydicom.config import IGNORE
from test_dicomweb import get

from covidlit.platform.accounts.rights import Role
from covidlit.platform.dicomweb.deidentify import Stranger, shown_uid, without_identity
from covidlit.platform.dicomweb.index import look_into, look_into_new
from covidlit.platform.dicomweb.models import Waiting
from covidlit.platform.dicomweb.query import _pattern
from covidlit.platform.registry.models import Patient, Scan

pytestmark = pytest.mark.django_db

MADE = "P0123456789ab"
"""As long as pseudonyms are made."""


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


def files_of_scan(scan: Scan) -> list[Path]:
    return sorted((settings.FOLDER.scans / scan.folder / "dicom").glob("*.dcm"))


@pytest.mark.parametrize("asked", ["*" * 60 + "x", "*?" * 30 + "x", "?*?*" * 20 + "-"])
def test_no_row_of_wildcards_keeps_the_server_busy(asked: str, own: Hospital) -> None:
    stored_dicom(own)
    Patient.objects.filter(pk=own.patient.pk).update(pseudonym=MADE)
    client = own.client(Role.READER)
    assert len(get(client, "studies").json()) == 1
    began = time.process_time()  # others may keep the processors busy
    assert get(client, "studies", PatientID=asked).json() == []
    assert time.process_time() - began < 5


@given(st.text("*?Pn-", max_size=10), st.text("Pn-", max_size=8))
def test_neighbouring_wildcards_match_as_one_by_one(asked: str, text: str) -> None:
    found = re.fullmatch(_pattern(asked), text) is not None
    assert found == fnmatch.fnmatchcase(text, asked)


@pytest.mark.parametrize("damaged", ["StudyDate", "SeriesNumber", "InstanceNumber", "Modality"])
def test_a_damaged_header_keeps_nobody_from_searching(damaged: str, own: Hospital) -> None:
    scan = stored_dicom(own)
    for path in files_of_scan(scan):
        data = dcmread(path)
        tag = data[damaged].tag
        content = path.read_bytes()
        element = tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little")
        place = content.index(element, 132)
        length = int.from_bytes(content[place + 6 : place + 8], "little")
        odd = element + b"FD" + (3).to_bytes(2, "little") + b"abc"
        path.write_bytes(content[:place] + odd + content[place + 8 + length :])
    scan.series.all().delete()
    Waiting.objects.create(scan=scan)
    assert look_into_new()
    assert get(own.client(Role.READER), "studies").status_code == 200
    assert not Waiting.objects.exists()
    assert scan.series.filter(modality="CT").exists() is (damaged != "Modality")


def test_uids_that_no_database_can_hold_are_none(own: Hospital) -> None:
    scan = stored_dicom(own)
    path = files_of_scan(scan)[0]
    content = path.read_bytes()
    uid = dcmread(path).SOPInstanceUID.encode()
    path.write_bytes(content.replace(uid, uid[:3] + b"\0" + uid[4:]))
    look_into(scan)
    (series,) = scan.series.filter(modality="CT")
    assert series.n_instances == N_SLICES - 1
    assert "\\u0000" not in json.dumps(series.content)


@pytest.mark.parametrize("vr", ["PN", "OB", "UN"])
def test_an_odd_kind_of_value_hides_no_name(vr: str) -> None:
    data = Dataset()
    data.PatientName = "Secret^north"
    value = "a Secret^north b" if vr == "PN" else b"a Secret^north b"
    for tag in (0x00080070, 0x00181020):  # Manufacturer, SoftwareVersions
        data.add(DataElement(tag, vr, value, validation_mode=IGNORE))
    found = without_identity(data, Stranger("P-north", frozenset(), is_own=False))
    assert not names(str(found).encode())


def test_a_slice_that_lies_nowhere_has_no_picture(own: Hospital) -> None:
    scan = stored_dicom(own)
    for path in files_of_scan(scan):
        data = dcmread(path)
        data.add(DataElement(0x00200032, "DS", "nan\\0\\0", validation_mode=IGNORE))
        data.save_as(path, enforce_file_format=True)
    look_into(scan)
    series = scan.series.get(modality="CT")
    first = shown_uid(series.instances[0].uid)
    path = f"studies/{series.study_pseudonym}/series/{series.series_pseudonym}/instances/{first}"
    client = own.client(Role.READER)
    client.raise_request_exception = False
    assert get(client, f"{path}/rendered").status_code == 406
