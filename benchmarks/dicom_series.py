"""Write a synthetic CT series (smooth shapes and noise, no anatomy) for the DICOM benchmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    generate_uid,
)

JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"


def write_series(
    folder: Path, n_slices: int, size: int = 512, spacing: float = 1.25, seed: int = 0
) -> None:
    """Write `n_slices` uncompressed slices as a scanner would, about 90 elements in each header.

    Args:
        folder: made if needed; files are named in random order.
        n_slices, size: slices, and pixels along each side.
        spacing: mm between slices.
        seed: of content and file order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    uids = [generate_uid(entropy_srcs=[f"{seed}", f"{k}"]) for k in range(n_slices + 3)]
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    body = np.where(x**2 + (y / 0.7) ** 2 < 0.8, 40.0, -1000.0)
    lungs = ((np.abs(x) - 0.4) / 0.25) ** 2 + (y / 0.45) ** 2 < 1
    names = rng.permutation(n_slices)
    for k in range(n_slices):
        hu = np.where(lungs, -850 + 100 * np.sin(9 * x + k / 20), body)
        hu += rng.normal(0, 15, hu.shape)
        slice_ = _header(k, uids, spacing, size)
        slice_.PixelData = (np.clip(np.rint(hu), -1024, 3000) + 1024).astype("<u2").tobytes()
        slice_.save_as(folder / f"IM{names[k]:05d}", enforce_file_format=True)


def compress(source: Path, target: Path) -> None:
    """Copy a series as JPEG lossless (process 14, first-order prediction), written by GDCM."""
    import gdcm

    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        if not reader.Read():
            raise RuntimeError(f"GDCM cannot read {path}")
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        if not change.Change():
            raise RuntimeError(f"GDCM cannot compress {path}")
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(target / path.name))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        if not writer.Write():
            raise RuntimeError(f"GDCM cannot write {target / path.name}")


def convert(source: Path, target: Path, transfer_syntax: str) -> None:
    """Copy a series in another transfer syntax that pydicom writes: JPEG-LS, RLE, deflated, ..."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        slice_ = dcmread(path)
        if transfer_syntax == DeflatedExplicitVRLittleEndian:
            slice_.file_meta.TransferSyntaxUID = transfer_syntax
        else:
            slice_.compress(transfer_syntax, generate_instance_uid=False)
        slice_.save_as(target / path.name, enforce_file_format=True)


def _header(k: int, uids: list[str], spacing: float, size: int) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = uids[k]
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, uids[k]
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = uids[-3:]
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20200201"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101500"
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = "CT", "SYNTHETIC", "BENCHMARK"
    ds.PatientID, ds.PatientName, ds.PatientSex, ds.PatientAge = "P1", "Synthetic^One", "F", "061Y"
    ds.StudyDescription, ds.SeriesDescription, ds.BodyPartExamined = "CHEST", "SYNTHETIC", "CHEST"
    ds.KVP, ds.Exposure, ds.ConvolutionKernel = 120, 150, "STANDARD"
    ds.SliceThickness, ds.GantryDetectorTilt, ds.TableHeight = spacing, 0, 150
    ds.InstanceNumber, ds.AcquisitionNumber, ds.SeriesNumber = k + 1, 1, 2
    half = -0.35 * size
    ds.ImagePositionPatient = [half, half, round(-200 + k * spacing, 4)]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.SliceLocation = ds.ImagePositionPatient[2]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = size
    ds.PixelSpacing = [0.7, 0.7]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = -600, 1500
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = -1024, 1, "HU"
    block = ds.private_block(0x0043, "SYNTHETIC PARAMETERS", create=True)
    for element in range(30):  # scanners write dozens of private elements
        block.add_new(element, "DS", f"{element * 1.5:.4f}")
    return ds
