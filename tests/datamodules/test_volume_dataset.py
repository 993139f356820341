"""Every item leads back to the millimetres of its source, however that lies and is augmented."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk  # noqa: N813 (its own convention)
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation
from torch.utils.data import default_collate

from covidlit.datamodules import VolumeDataset
from covidlit.dicom import Checks
from covidlit.errors import CacheError
from covidlit.preprocess import Geometry, VolumeCache, prepare_cohort
from covidlit.scans.content import CONTENT_CHECKS
from covidlit.transforms import Augmentation

GEOMETRY = Geometry((4.0, 3.0, 3.0), (36, 48, 48))
WINDOW = (-1000.0, 1000.0)
AUGMENTATIONS = [
    None,
    Augmentation(GEOMETRY.spacing),
    Augmentation(GEOMETRY.spacing, in_plane=False, flip_axes=("LR", "AP", "IS")),
]


def marked_image(
    spacing: Sequence[float],
    direction: NDArray[np.float64],
    origin: Sequence[float],
    share: Sequence[float],
) -> tuple[sitk.Image, NDArray[np.float64]]:
    """A soft ball of 1000 HU in air, and the LPS millimetres of its centre, by SimpleITK.

    Args:
        spacing: mm, (x, y, z); the image is 100 mm wide along each of its axes.
        direction: (3, 3), its axes as columns.
        origin: mm, (x, y, z).
        share: where the ball lies, from 0 to 1 along each axis.
    """
    size = [round(100 / step) for step in spacing]
    empty = sitk.Image(size, sitk.sitkInt16)
    empty.SetSpacing(spacing)
    empty.SetDirection(direction.ravel().tolist())
    empty.SetOrigin(origin)
    index = [part * (n - 1) for part, n in zip(share, size, strict=True)]
    steps = np.stack(np.meshgrid(*map(np.arange, size[::-1]), indexing="ij"), axis=-1)
    distance = np.linalg.norm((steps - index[::-1]) * spacing[::-1], axis=-1)
    hu = np.rint(-1000 + 2000 * np.exp(-((distance / 6) ** 2) / 2)).astype(np.int16)
    image = sitk.GetImageFromArray(hu)
    image.CopyInformation(empty)
    return image, np.array(empty.TransformContinuousIndexToPhysicalPoint(index))


def write_series(image: sitk.Image, folder: Path) -> None:
    """One DICOM file per slice, in the order of the image."""
    folder.mkdir()
    series, study, frame = (generate_uid() for _ in range(3))
    columns, rows, slices = image.GetSize()
    axes = np.array(image.GetDirection()).reshape(3, 3)
    spacing = image.GetSpacing()
    for k in range(slices):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.Modality, ds.PatientID, ds.PatientName = "CT", "P1", "P^1"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        place = image.TransformIndexToPhysicalPoint((0, 0, k))
        ds.ImagePositionPatient = [round(v, 8) for v in place]
        ds.ImageOrientationPatient = [round(float(v), 12) for v in (*axes[:, 0], *axes[:, 1])]
        ds.PixelSpacing, ds.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        ds.InstanceNumber, ds.Rows, ds.Columns = k + 1, rows, columns
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, 1
        ds.RescaleSlope, ds.RescaleIntercept = 1, 0
        ds.PixelData = sitk.GetArrayViewFromImage(image)[k].astype("<i2").tobytes()
        ds.save_as(folder / f"{k:03d}", enforce_file_format=True)


def dataset_of(
    source: Path, cache: Path, augment: Augmentation | None = None, seed: int = 0
) -> VolumeDataset:
    """The dataset of one prepared scan; a ball in air is no chest: what says so is overridden."""
    checks = Checks(override=frozenset(CONTENT_CHECKS))
    manifest = pd.DataFrame({"scan_id": ["S1"], "path": [str(source)]})
    table = prepare_cohort(
        manifest, cache, GEOMETRY, checks=checks, n_jobs=1, progress=False, strict=True
    ).table
    return VolumeDataset(
        cache, GEOMETRY.size, ["S1"], table["key"].to_list(), [1],
        window=WINDOW, augment=augment, seed=seed,
    )  # fmt: skip


def marker_of(batch: dict[str, torch.Tensor]) -> NDArray[np.float64]:
    """LPS millimetres of the centre of mass of a batch's only image."""
    weight = batch["image"][0, 0].double().numpy()
    index = np.stack(np.meshgrid(*map(np.arange, weight.shape), indexing="ij"), axis=-1)
    centre = np.average(index.reshape(-1, 3), axis=0, weights=weight.ravel())
    return (batch["affine"][0].double().numpy() @ [*centre, 1])[:3]


@pytest.mark.parametrize("augment", AUGMENTATIONS)
@settings(max_examples=12)
@given(
    spacing=st.tuples(*[st.floats(1.5, 4)] * 3),
    axes=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    turn=st.tuples(*[st.floats(-20, 20)] * 3),
    origin=st.tuples(*[st.floats(-1500, 1500)] * 3),
    share=st.tuples(*[st.floats(0.3, 0.7)] * 3),
    seed=st.integers(0, 2**31),
)
def test_a_marker_in_a_nifti_is_found_at_its_millimetres(
    augment: Augmentation | None,
    spacing: Sequence[float],
    axes: Sequence[int],
    signs: Sequence[int],
    turn: Sequence[float],
    origin: Sequence[float],
    share: Sequence[float],
    seed: int,
) -> None:
    direction = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()[:, axes] * signs
    image, place = marked_image(spacing, direction, origin, share)
    with tempfile.TemporaryDirectory() as name:
        sitk.WriteImage(image, f"{name}/scan.nii.gz")
        dataset = dataset_of(Path(name, "scan.nii.gz"), Path(name, "cache"), augment, seed)
        found = marker_of(default_collate([dataset[0]]))
    assert np.linalg.norm(found - place) < 0.3


@pytest.mark.parametrize("augment", AUGMENTATIONS)
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (1, -1, -1)])
@pytest.mark.parametrize("degrees", [0, 5])
def test_a_marker_in_a_dicom_series_is_found_at_its_millimetres(
    augment: Augmentation | None, signs: Sequence[int], degrees: float, tmp_path: Path
) -> None:
    direction = Rotation.from_euler("xz", [degrees, -degrees], degrees=True).as_matrix() * signs
    image, place = marked_image((2, 2, 2.5), direction, (30, -80, 900), (0.4, 0.65, 0.55))
    write_series(image, tmp_path / "series")
    dataset = dataset_of(tmp_path / "series", tmp_path / "cache", augment)
    assert np.linalg.norm(marker_of(default_collate([dataset[0]])) - place) < 0.3


def test_a_volume_without_its_sidecar_is_refused(tmp_path: Path) -> None:
    image, _ = marked_image((4, 4, 4), np.eye(3), (0, 0, 0), (0.5, 0.5, 0.5))
    sitk.WriteImage(image, str(tmp_path / "scan.nii.gz"))
    dataset = dataset_of(tmp_path / "scan.nii.gz", tmp_path / "cache")
    key = dataset.keys[0].decode()
    VolumeCache(tmp_path / "cache").array_path(key).with_suffix(".json").unlink()
    with pytest.raises(CacheError, match=r"not in the cache.*covidlit prepare"):
        dataset[0]
