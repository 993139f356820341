"""Write a synthetic scan as a CT Image Storage series (DICOM PS3.3, A.3).

One slice is serialised by pydicom; the others are copies of its bytes with the few values that
differ put in place, which is many times as fast.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import DS, IS

from covidlit.synthetic.cases import Case
from covidlit.synthetic.grid import Grid
from covidlit.synthetic.streams import synthetic_uid

# Values of the template that each slice replaces by text of the same length.
_UID = "2.25." + "9" * 38
_NUMBER = "9876"
_NUMBER_HEADER = b"\x20\x00\x13\x00IS\x04\x00"  # InstanceNumber, explicit VR little endian
_POSITION = "\\".join(["+99887.766"] * 3)
_LOCATION = "+55443.322"


def write_series(folder: Path, case: Case, grid: Grid, hu: NDArray[np.int16]) -> None:
    """Write one file per slice into an existing folder.

    Args:
        folder: where the files go.
        case: whom and how it was scanned. Nothing in the header depends on the class but the
            date, which the label rule needs.
        grid: geometry.
        hu: int16 (z, y, x), z towards the head.
    """
    scanner, count = case.scanner, hu.shape[0]
    stored = hu.astype(np.int32) - scanner.intercept
    pixels = stored.astype("<i2" if scanner.signed else "<u2")
    template = _template(case, grid, pixels[0].nbytes)
    places = {mark: _offsets(template, mark) for mark in (_UID, _POSITION, _LOCATION)}
    # These four digits may stand in a UID as well: only the element itself is meant.
    places[_NUMBER] = [template.index(_NUMBER_HEADER + _NUMBER.encode()) + len(_NUMBER_HEADER)]
    file_number = case.generator("files").permutation(count) + 1
    x, y, start = grid.affine[:3, 3]
    for index in range(count):
        number = count - index if scanner.head_first else index + 1
        uid = synthetic_uid(case.series_uid, number)
        position = (x, y, start + index * grid.spacing[0])
        values = {
            _UID: uid,
            _NUMBER: f"{number:04d}",
            _POSITION: "\\".join(f"{value:+010.3f}" for value in position),
            _LOCATION: f"{position[2]:+010.3f}",
        }
        data = bytearray(template)
        for mark, value in values.items():
            for offset in places[mark]:
                data[offset : offset + len(mark)] = value.encode("ascii")
        name = scanner.file_name.format(number=int(file_number[index]), uid=uid)
        (folder / name).write_bytes(bytes(data) + pixels[index].tobytes())


def _offsets(template: bytes, mark: str) -> list[int]:
    found, at = [], template.find(mark.encode())
    while at >= 0:
        found.append(at)
        at = template.find(mark.encode(), at + 1)
    return found


def _template(case: Case, grid: Grid, pixel_bytes: int) -> bytes:
    """All bytes of a slice up to its pixels, with the marks in place."""
    dataset = _patient_and_study(case)
    dataset.update(_series_and_equipment(case, grid))
    dataset.update(_image(case, grid))
    dataset.PixelData = b"\0" * pixel_bytes
    dataset["PixelData"].VR = "OW"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID(_UID)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(synthetic_uid("implementation"))
    meta.ImplementationVersionName = "COVIDLIT SYNTH"
    dataset.file_meta = meta
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()[:-pixel_bytes]


def _patient_and_study(case: Case) -> Dataset:
    rng = case.generator("clock")
    day = case.acquired.strftime("%Y%m%d")
    clock = f"{rng.integers(8, 18):02d}{rng.integers(60):02d}{rng.integers(60):02d}"
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = f"SYNTHETIC^{case.patient + 1:04d}"
    ds.PatientID = case.patient_id
    ds.PatientBirthDate = ""
    ds.PatientSex = case.sex
    ds.PatientAge = f"{case.age:03d}Y"
    ds.PatientIdentityRemoved = "YES"
    ds.LongitudinalTemporalInformationModified = "UNMODIFIED"
    ds.DeidentificationMethod = "synthetic image: there is no patient"
    ds.StudyInstanceUID = synthetic_uid(case.seed, "study", case.patient, case.visit)
    ds.StudyID = "1"
    ds.StudyDescription = "SYNTHETIC CHEST CT"
    ds.AccessionNumber = ""
    ds.ReferringPhysicianName = ""
    for name in ("Study", "Series", "Acquisition", "Content"):
        setattr(ds, f"{name}Date", day)
        setattr(ds, f"{name}Time", clock)
    return ds


def _series_and_equipment(case: Case, grid: Grid) -> Dataset:
    scanner = case.scanner
    ds = Dataset()
    ds.Modality = "CT"
    ds.SeriesInstanceUID = case.series_uid
    ds.SeriesNumber = IS("2")
    ds.SeriesDescription = f"SYNTHETIC CHEST {grid.spacing[0]:g} {scanner.kernel}"
    ds.BodyPartExamined = "CHEST"
    ds.ProtocolName = "CHEST"
    ds.PatientPosition = "HFS"
    ds.FrameOfReferenceUID = synthetic_uid(case.seed, "frame", case.patient, case.visit)
    ds.PositionReferenceIndicator = ""
    ds.Manufacturer = scanner.manufacturer
    ds.ManufacturerModelName = scanner.model
    ds.SoftwareVersions = scanner.software
    ds.InstitutionName = f"covidlit synthetic {case.centre}"
    return ds


def _image(case: Case, grid: Grid) -> Dataset:
    scanner = case.scanner
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = UID(_UID)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.InstanceNumber = IS(_NUMBER)
    ds.AcquisitionNumber = IS("1")
    ds.ImagePositionPatient = [DS(text) for text in _POSITION.split("\\")]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.SliceLocation = DS(_LOCATION)
    ds.PixelSpacing = [DS(f"{spacing:.6f}") for spacing in grid.spacing[1:]]
    ds.SliceThickness = DS(f"{grid.spacing[0]:g}")
    ds.SpacingBetweenSlices = DS(f"{grid.spacing[0]:g}")
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = grid.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = (16, 16, 15) if scanner.signed else (16, 12, 11)
    ds.PixelRepresentation = int(scanner.signed)
    if scanner.padding_hu is not None:
        keyword_vr = "SS" if scanner.signed else "US"
        ds.add_new("PixelPaddingValue", keyword_vr, scanner.padding_hu - scanner.intercept)
    ds.RescaleIntercept = DS(str(scanner.intercept))
    ds.RescaleSlope = DS("1")
    ds.RescaleType = "HU"
    ds.WindowCenter, ds.WindowWidth = DS("-600"), DS("1500")
    ds.KVP = DS("120")
    ds.Exposure = IS(str(case.mas))
    ds.ExposureTime = IS("500")
    ds.XRayTubeCurrent = IS(str(case.mas * 2))
    ds.ConvolutionKernel = scanner.kernel
    ds.FilterType = "BODY FILTER"
    ds.ReconstructionDiameter = DS(f"{case.field_of_view_mm:g}")
    ds.DataCollectionDiameter = DS("500")
    ds.GantryDetectorTilt = DS("0")
    ds.TableHeight = DS("150")
    ds.RotationDirection = "CW"
    ds.BurnedInAnnotation = "NO"
    return ds
