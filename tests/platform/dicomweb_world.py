"""Scans with DICOM files that name their patient wherever a header can, and their results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from django.conf import settings
from platform_world import N_SLICES, SIZE, Hospital, volume
from pydicom import DataElement, Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import (
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    generate_uid,
)
from sending_world import LABEL_MAP, with_objects

from covidlit.platform.dicomweb.index import look_into
from covidlit.platform.registry.models import Scan

NAMES = {
    "PatientName": "Secret^{0}", "PatientID": "secret-{0}", "OtherPatientIDs": "secret-{0}",
    "PatientBirthName": "Secret^{0}", "PatientAddress": "Secret street", "StudyID": "secret-{0}",
    "AccessionNumber": "secret-{0}", "InstitutionName": "Secret {0} hospital",
    "ReferringPhysicianName": "Secret^Doctor", "OperatorsName": "Secret^{0}",
    "StudyDescription": "chest of Secret^{0}", "SeriesDescription": "Secret^{0}",
    "ProtocolName": "Secret^{0}", "StationName": "SECRET{0}", "ImageComments": "Secret^{0}",
    "PatientComments": "Secret^{0}, born 19500102", "RequestedProcedureDescription": "Secret^{0}",
    "DeviceSerialNumber": "secret-{0}", "BodyPartExamined": "SECRET", "SoftwareVersions":
    "v1 Secret^{0}", "ManufacturerModelName": "secret-{0}", "StackID": "secret-{0}",
}  # fmt: skip
"""What is written into each header; the scanner's own attributes too."""

TELLING = (b"secret", b"19500102", b"1950-01-02")
"""What tells who a patient is, in small letters."""


def new_uid() -> str:
    """A UID that leaves room for more components."""
    return generate_uid(prefix="1.2.3.")[:40]


def ct_slices(
    name: str, study: str, series: str, seed: int = 1, n: int = N_SLICES
) -> list[Dataset]:
    """The slices of a volume of `platform_world`, whose patient is called like a hospital's."""
    hu = volume(seed).hu[:n]
    return [_slice(name, study, series, k, hu[k]) for k in range(n)]


def stored_dicom(h: Hospital, kind: str = ExplicitVRLittleEndian) -> Scan:
    """A scan of a hospital with its files and objects of its labelling.

    Args:
        h: whose first scan gets them.
        kind: transfer syntax of the files.
    """
    scan = h.scans[0]
    with_objects(scan, **{"lesions-1.dcm": LABEL_MAP})
    folder = settings.FOLDER.scans / scan.folder / "dicom"
    for old in folder.glob("*"):
        old.unlink()
    study, series = new_uid(), new_uid()
    for number, each in enumerate(ct_slices(h.centre.name, study, series), start=1):
        write(each, folder / f"{number:05}.dcm", kind)
    for path in (settings.FOLDER.results / scan.labellings.get().folder / "dicom").glob("*.dcm"):
        _into_study(path, study, h.centre.name)
    look_into(scan)
    return scan


def write(data: Dataset, path: Path, kind: str = ExplicitVRLittleEndian) -> None:
    """A file whose head and tail name the patient too."""
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.SourceApplicationEntityTitle = "SECRET"
    data.preamble = b"Secret".ljust(128, b"\0")
    data.DataSetTrailingPadding = b"Secret\0\0"
    if kind == JPEG2000Lossless:
        data.compress(kind, generate_instance_uid=False)
    elif kind == ImplicitVRLittleEndian:
        data.file_meta.TransferSyntaxUID = kind
    data.save_as(path, enforce_file_format=True)


def names(content: bytes) -> bool:
    """Whether bytes say who a patient is."""
    small = content.lower()
    return any(each in small for each in TELLING)


def _slice(name: str, study: str, series: str, k: int, hu: np.ndarray) -> Dataset:
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    for keyword, text in NAMES.items():
        value = text.format(name)
        setattr(data, keyword, value[:16] if keyword in ("StationName", "StudyID") else value)
    data.PatientBirthDate, data.StudyDate, data.StudyTime = "19500102", "20200301", "101112"
    data.Manufacturer, data.Modality, data.ImageType = "ACME", "CT", ["ORIGINAL", "PRIMARY"]
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, f"{series}.{k + 1}"
    data.StudyInstanceUID, data.SeriesInstanceUID = study, series
    data.FrameOfReferenceUID = f"{study}.9"
    data.InstanceNumber, data.SeriesNumber, data.KVP = k + 1, 3, "120"
    data.ImagePositionPatient, data.SliceThickness = [0, 0, 5.0 * k], 5
    data.ImageOrientationPatient, data.PixelSpacing = [1, 0, 0, 0, 1, 0], [1, 1]
    item = Dataset()
    item.PatientID, item.CodeMeaning = f"secret-{name}", f"Secret^{name}"
    data.OtherPatientIDsSequence = data.ProcedureCodeSequence = [item]
    data.ReferencedImageSequence = [_reference(name, f"{series}.{k + 2}")]
    block = data.private_block(0x0029, f"Secret {name}", create=True)
    block.add_new(0x01, "LO", f"Secret^{name}")
    data.add(DataElement(Tag(0x60003000), "OW", f"Secret^{name}..".encode().ljust(128)[:128]))
    data.Rows = data.Columns = SIZE
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation, data.SamplesPerPixel = 0, 1
    data.PhotometricInterpretation, data.RescaleSlope = "MONOCHROME2", 1
    data.RescaleIntercept, data.RescaleType = -1024, "HU"
    data.WindowCenter, data.WindowWidth = -600, 1500
    data.PixelData = (hu.astype(np.int32) + 1024).clip(0, 65535).astype("<u2").tobytes()
    data["PixelData"].VR = "OW"
    return data


def _reference(name: str, uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid
    purpose = Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator = "121311", "DCM"
    purpose.CodeMeaning = f"Localizer of Secret^{name}"
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item


def _into_study(path: Path, study: str, name: str) -> None:
    data = dcmread(path)
    data.StudyInstanceUID, data.StudyDate = study, "20200301"
    data.ReferringPhysicianName, data.PatientBirthDate = "Secret^Doctor", "19500102"
    if data.SOPClassUID == EncapsulatedPDFStorage:
        data.EncapsulatedDocument = b"%PDF-1.7 Secret^" + name.encode() + b" " * 9
    data.save_as(path)
