"""Small synthetic CT series written with pydicom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

Edit = Callable[[Dataset, int], None]


def ct_slice(k: int, *, series: str = "a", step: float = 2.5) -> Dataset:
    """Slice `k` of a synthetic axial CT: 12 rows, 10 columns, HU = 100 k + column."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(k)])
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=["series", series])
    ds.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame"])
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = "CT", "SYNTHETIC", "ONE"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Secret^Name", "SECRET-ID", "19500615"
    ds.PatientSex, ds.AcquisitionDate = "F", "20200301"
    ds.KVP, ds.Exposure, ds.ConvolutionKernel, ds.SliceThickness = 120, 150, "B31f", step
    ds.InstanceNumber = k + 1
    ds.ImagePositionPatient = [-20.0, -30.0, 100 + step * k]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [0.8, 0.7]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = 12, 10
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1000
    set_stored(ds, np.broadcast_to(1000 + 100 * k + np.arange(10), (12, 10)))
    return ds


def set_stored(ds: Dataset, stored: np.ndarray) -> None:
    """Put stored values into a dataset, signed or not as it says."""
    kind = np.int16 if ds.PixelRepresentation else np.uint16
    ds.Rows, ds.Columns = stored.shape
    ds.PixelData = np.ascontiguousarray(stored).astype(kind).tobytes()


def save(ds: Dataset, path: Path) -> Path:
    """Write a dataset as a DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path


@pytest.fixture
def write_ct(tmp_path: Path) -> Callable[..., Path]:
    """Write a synthetic series of `n` slices; `edit(ds, k)` changes slice k before it is saved.

    Slices whose edit returns False are left out. Files are named against their order in space.
    """

    def write(
        n: int = 14,
        edit: Callable[[Dataset, int], object] | None = None,
        folder: str = "ct",
        series: str = "a",
        step: float = 2.5,
    ) -> Path:
        target = tmp_path / folder
        for k in range(n):
            ds = ct_slice(k, series=series, step=step)
            if edit is None or edit(ds, k) is not False:
                save(ds, target / f"{series}{n - k:03d}")
        return target

    return write


@pytest.fixture
def stored() -> Callable[[Dataset, np.ndarray], None]:
    """`set_stored`, for tests."""
    return set_stored


@pytest.fixture
def one_slice() -> Callable[..., Dataset]:
    """`ct_slice`, for tests."""
    return ct_slice


@pytest.fixture
def save_as() -> Callable[[Dataset, Path], Path]:
    """`save`, for tests."""
    return save
