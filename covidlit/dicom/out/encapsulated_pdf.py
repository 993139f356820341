"""A PDF as a DICOM object, for viewers and archives that show documents."""

from __future__ import annotations

import datetime
from pathlib import Path

import highdicom as hd
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from covidlit.dicom.out.equipment import (
    MANUFACTURER,
    MODEL,
    SOFTWARE,
    SeriesNumber,
    made_from,
    save,
)
from covidlit.dicom.out.source import SourceSeries
from covidlit.version import __version__

_OF_PATIENT_AND_STUDY = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)


def write_pdf(source: SourceSeries, pdf: bytes, path: Path, title: str) -> Path:
    """Write a PDF into the study of the source, modality DOC.

    Args:
        source: the slices.
        pdf: the document.
        path: the file to write.
        title: of the document.

    Raises:
        DicomError: the headers do not allow it.

    Source: DICOM PS3.3, section A.45.1.
    """
    with made_from(source, "PDF"):
        dataset = Dataset()
        header = source.headers[0]
        for name in _OF_PATIENT_AND_STUDY:
            setattr(dataset, name, header.get(name))
        now = datetime.datetime.now()
        dataset.SOPClassUID = EncapsulatedPDFStorage
        dataset.SOPInstanceUID = hd.UID()
        dataset.SeriesInstanceUID = hd.UID()
        dataset.Modality = "DOC"
        dataset.SeriesNumber = SeriesNumber.PDF.value
        dataset.SeriesDescription = "covidlit: Report"
        dataset.InstanceNumber = 1
        dataset.Manufacturer = MANUFACTURER
        dataset.ManufacturerModelName = MODEL
        dataset.SoftwareVersions = SOFTWARE
        dataset.ConversionType = "WSD"
        dataset.ContentDate = now.strftime("%Y%m%d")
        dataset.ContentTime = now.strftime("%H%M%S")
        dataset.AcquisitionDateTime = ""
        dataset.BurnedInAnnotation = "YES"
        dataset.DocumentTitle = title[:1024]
        dataset.ConceptNameCodeSequence = [_concept()]
        dataset.SourceInstanceSequence = [_reference(each) for each in source.headers]
        dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
        dataset.EncapsulatedDocumentLength = len(pdf)
        dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
        dataset.file_meta = _file_meta(dataset)
        return save(dataset, path)


def _concept() -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = "18748-4", "LN"
    item.CodeMeaning = "Diagnostic imaging report"
    return item


def _reference(header: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return item


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = hd.UID.from_uuid("6b2f3f1e-6a43-4d8e-9e0c-4c2b6a1f7d11")
    meta.ImplementationVersionName = f"COVIDLIT_{__version__}"[:16]
    return meta
