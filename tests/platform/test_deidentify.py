"""Headers freed of who a patient is, whatever attribute of DICOM holds it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from dicomweb_world import names
from pydicom import DataElement, Dataset, dcmwrite
from pydicom.config import IGNORE
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from covidlit.platform.dicomweb.deidentify import Stranger, shown_uid, without_identity
from covidlit.platform.dicomweb.kept import (
    CODED_TERMS,
    CODES,
    DATES,
    NO_NUMBERS,
    OWN_TEXTS,
    SEQUENCES,
    TABLES,
    TEXTS,
)

NAME = "Secret^north"
OF_VR: dict[str, Any] = {
    "UI": "1.2.19500102.3", "DA": "19500102", "DT": "19500102", "TM": "101112", "AS": "061Y",
    "OB": b"Secret", "OW": b"Secret", "UN": b"Secret", "PN": NAME, "CS": "SECRET", "AE": "SECRET",
}  # fmt: skip
"""What stands under each attribute of a kind; of the others the name."""

NUMBERS = (
    "US",
    "SS",
    "UL",
    "SL",
    "FL",
    "FD",
    "AT",
    "SV",
    "UV",
    "OD",
    "OF",
    "OL",
    "OV",
    "SQ",
    "NONE",
)


def _all_attributes(known: bool) -> Dataset:
    """Every attribute that DICOM knows, with what tells who a patient is."""
    data = Dataset()
    for tag, (vr, *_) in DicomDictionary.items():
        kind = vr.split(" or ")[-1]
        wrong = kind in ("DS", "IS")  # a name under them breaks the rules, and comes all the same
        if kind in NUMBERS or tag >> 16 < 8 or tag >> 16 == 0x7FE0:
            continue
        if keyword_for_tag(tag) in TABLES:  # what pixels are shown by, as pixels stay
            continue
        value = OF_VR.get(kind, NAME)
        written = "LO" if wrong else kind
        data.add(DataElement(tag, written, value, validation_mode=IGNORE))
    if not known:
        for name in ("PatientName", "PatientID", "OtherPatientIDs", "PatientBirthDate"):
            delattr(data, name)
    return data


def _bytes(data: Dataset) -> bytes:
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, "1.2.3"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    dcmwrite(buffer, data, enforce_file_format=True)
    return buffer.getvalue() + str(data).encode()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_own", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_no_attribute_of_dicom_keeps_who_the_patient_is(is_own: bool, known: bool) -> None:
    """`known`: by the header itself; else by the registry alone."""
    data = _all_attributes(known)
    inner = _all_attributes(known)
    for name in CODED_TERMS if is_own else ():  # of its own terms covidlit wrote each
        delattr(inner, name)
        delattr(data, name)
    for name in sorted(SEQUENCES):
        setattr(data, name, [inner])
        setattr(inner, name, [])
    block = data.private_block(0x0029, "SECRET", create=True)
    block.add_new(1, "LO", NAME)
    assert len(data) > 2000
    telling = frozenset({"secret^north", "secret", "north", "secret-north", "19500102"})
    found = without_identity(data, Stranger("P-1", telling, is_own))
    left = [str(each) for each in found.iterall() if each.VR != "SQ" and names(str(each).encode())]
    assert left == []
    assert not names(_bytes(found))
    assert found.PatientName == found.PatientID == "P-1"


def test_a_uid_of_dicom_stays_and_others_are_hashes() -> None:
    assert shown_uid(CTImageStorage) == CTImageStorage
    for uid in ("1.2.3.4", f"{CTImageStorage}.19500102", "1.2.840.10008.19500102"):
        assert shown_uid(uid).startswith("2.25.")
        assert "19500102" not in shown_uid(uid)


def test_what_stays_is_known_to_dicom() -> None:
    known = {keyword_for_tag(tag) for tag in DicomDictionary}
    for names_ in (CODES, TEXTS, OWN_TEXTS, DATES, SEQUENCES, TABLES, NO_NUMBERS, CODED_TERMS):
        assert names_ <= known, names_ - known


def test_values_of_several_numbers_and_empty_ones_stay() -> None:
    data = Dataset()
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.GraphicData = [1.5, 2.5, 3.5]
    data.LUTDescriptor = [256, 0, 16]
    data.ImageType = ["DERIVED", "SECONDARY"]
    data.KVP = None
    data.PatientWeight, data.PatientSize = "70", "1.7"
    found = without_identity(data, Stranger("P-1", frozenset(), False))
    assert found.ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert list(found.GraphicData) == [1.5, 2.5, 3.5]
    assert list(found.ImageType) == ["DERIVED", "SECONDARY"]
    assert found.KVP is None
    assert "PatientWeight" not in found
    assert "PatientSize" not in found


def test_a_number_that_is_the_patients_goes() -> None:
    data = Dataset()
    data.PatientID, data.SeriesNumber, data.InstanceNumber = "123456", "123456", "7"
    found = without_identity(data, Stranger("P-1", frozenset(), False))
    assert "SeriesNumber" not in found
    assert found.InstanceNumber == 7
