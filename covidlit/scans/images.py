"""Scans from and to image files, such as NIfTI, through SimpleITK."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.errors import CovidlitError
from covidlit.files import atomic_path
from covidlit.limits import over_limit
from covidlit.scans.image_size import check_claimed_size
from covidlit.scans.scan import AIR_HU, Scan, notes_on_hu, to_canonical

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr", ".hdr", ".img", ".gipl")
_INT16_MAX = int(np.iinfo(np.int16).max)


def read_image(path: str | Path) -> Scan:
    """Read a 3D CT in any format that SimpleITK reads into a Scan.

    Values are taken as HU, rounded, and clipped to [-1024, 32767]: what lies below air (padding)
    becomes air, as in `read_series`.

    Args:
        path: a NIfTI, MetaImage, NRRD ... file.

    Raises:
        CovidlitError: missing, unreadable, not 3D, not scalar, or with values that are not finite.
    """
    path = Path(path)
    array, affine = read_volume(path)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise CovidlitError(
                "it holds values that are not finite.", where=path, fix="write HU without NaN."
            )
        array = np.rint(array)
    hu = np.ascontiguousarray(np.clip(array, AIR_HU, _INT16_MAX)).astype(np.int16)
    return Scan(hu, affine, _stem(path), notes_on_hu(hu))


def read_volume(path: str | Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a 3D image of any meaning in any format that SimpleITK reads; its values as they are.

    Args:
        path: a NIfTI, MetaImage, NRRD ... file.

    Returns:
        The array (z, y, x), canonical as in Scan, and its affine, index to LPS mm.

    Raises:
        CovidlitError: missing, unreadable, cut off, not 3D or not scalar; or its header claims more
            memory than `covidlit.limits.memory_limit`.
    """
    import SimpleITK as sitk  # noqa: N813 (its own convention)

    path = Path(path)
    if not path.is_file():
        raise CovidlitError("there is no such file.", where=path, fix="check the path.")
    try:
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        check_claimed_size(path, reader)
        if path.name.lower().endswith(".gz"):
            _check_gzip(path)
        image = reader.Execute()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise CovidlitError(
            f"cannot be read as an image ({reason}).",
            where=path,
            fix="check that the file is whole; known formats: NIfTI, MetaImage, NRRD, DICOM.",
        ) from error
    size = image.GetSize()
    if len(size) == 4 and size[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise CovidlitError(
            f"needs one 3D volume of single values; this has size {size} and "
            f"{image.GetNumberOfComponentsPerPixel()} component(s).",
            where=path,
        )
    return to_canonical(sitk.GetArrayFromImage(image), affine_of_image(image))


def write_nifti(array: NDArray[np.generic], affine: NDArray[np.float64], path: str | Path) -> Path:
    """Write an integer volume as NIfTI (`.nii` or `.nii.gz`), atomically; returns the path.

    Args:
        array: integers (z, y, x): a CT in HU, or labels.
        affine: (4, 4), index (z, y, x) to LPS mm, with perpendicular axes.

    Raises:
        CovidlitError: another type, shape or file ending, or axes that are not perpendicular.
    """
    import SimpleITK as sitk  # noqa: N813 (its own convention)

    path = Path(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        raise CovidlitError("a NIfTI file ends in .nii or .nii.gz.", where=path)
    if array.ndim != 3 or array.dtype.kind not in "iub":
        raise CovidlitError(
            f"needs integers (z, y, x), got {array.dtype} {array.shape}.", where=path
        )
    steps = np.asarray(affine, np.float64)[:3, [2, 1, 0]]
    spacing = np.linalg.norm(steps, axis=0)
    direction = steps / spacing
    if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-4):
        raise CovidlitError("NIfTI needs an affine with perpendicular axes.", where=path)
    values = array.astype(np.uint8) if array.dtype.kind == "b" else array
    image = sitk.GetImageFromArray(np.ascontiguousarray(values))
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(np.asarray(affine, np.float64)[:3, 3].tolist())
    with atomic_path(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=path.name.endswith(".gz"))
        except RuntimeError as error:
            raise CovidlitError(f"cannot be written ({error}).", where=path) from error
    return path


def affine_of_image(image: Any) -> NDArray[np.float64]:
    """The (4, 4) affine, index (z, y, x) to LPS mm, of a 3D SimpleITK image."""
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = (direction * np.array(image.GetSpacing()))[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return affine


def _check_gzip(path: Path) -> None:
    """ITK reads a truncated .nii.gz without a word and leaves the missing voxels at some value."""
    try:
        with gzip.open(path) as file:
            length = 0
            while piece := file.read(1 << 20):
                length += len(piece)
                if problem := over_limit(length, "its content"):
                    raise CovidlitError(f"{problem}.", where=path)
    except (EOFError, OSError, zlib.error) as error:
        raise CovidlitError(
            f"cannot be read as an image: the compressed file is damaged or cut off ({error}).",
            where=path,
            fix="copy it again from its source.",
        ) from error


def _stem(path: Path) -> str:
    name = path.name
    return name[: -len(".nii.gz")] if name.endswith(".nii.gz") else path.stem


def image_files(root: Path) -> Iterator[Path]:
    """The files below a folder that SimpleITK reads, by their names, in a fixed order."""
    for folder, names, files in os.walk(root):
        names.sort()
        yield from (Path(folder, name) for name in sorted(files) if is_image(Path(name)))


def is_image(path: Path) -> bool:
    """Whether a file's name is that of a scan for SimpleITK; hidden files and heatmaps are none."""
    name = path.name.lower()
    if name.startswith(".") or name.endswith(".heat.nii.gz"):
        return False
    return name.endswith(IMAGE_SUFFIXES) and path.suffix.lower() != ".img"
