"""Scans from and to image files, such as NIfTI."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray

from covidlit.counted import counted
from covidlit.errors import CovidlitError
from covidlit.files import atomic_path
from covidlit.scans.content import CONTENT_CHECKS, Content, NoChestError, look_at
from covidlit.scans.detached import check_data_files
from covidlit.scans.file_kind import kind_of, opened
from covidlit.scans.folder import walk
from covidlit.scans.image_size import check_claimed_size
from covidlit.scans.nifti import pair_of, read_nifti
from covidlit.scans.placement import check_spacing, perpendicular, stated_affine
from covidlit.scans.scan import AIR_HU, Scan, to_canonical

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr", ".hdr", ".img", ".gipl")
IMAGE_CHECKS = ("not_finite", *CONTENT_CHECKS)
"""Names of the checks on image files; each can be overridden."""
_INT16_MAX = int(np.iinfo(np.int16).max)
_READERS = {"meta": "MetaImageIO", "nrrd": "NrrdImageIO", "gipl": "GiplImageIO"}
_ORIENTED = {  # words of a header that says how the image lies
    "meta": (b"TransformMatrix", b"Orientation", b"Rotation"),
    "nrrd": (b"\nspace:", b"\nspace directions:"),
    "gipl": (b"\0no header says it",),
}


@dataclass(frozen=True)
class ImageVolume:
    """A 3D image of any meaning.

    Args:
        array: (z, y, x), canonical as in Scan; its values as the file scales them.
        affine: (4, 4), index (z, y, x) to LPS mm, with perpendicular axes.
        notes: what was chosen or mended on the way in.
        labels: whether the header says that the values are labels.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    labels: bool = False


def read_image(
    path: str | Path, override: Collection[str] = (), orientation: str | None = None
) -> Scan:
    """Read a 3D CT from an image file into a Scan.

    Values are taken as HU, rounded, and clipped to [-1024, 32767]: what lies below air (padding)
    becomes air, as in `read_series`. A file is read by what it is, whatever its name ends in.

    Args:
        path: a NIfTI, Analyze, MetaImage, NRRD ... file.
        override: names of `IMAGE_CHECKS` that note what they find instead of refusing.
        orientation: what the file's axes run to, such as "LPS", where its header does not say; see
            `covidlit.scans.placement.check_orientation`.

    Raises:
        CovidlitError: missing, unreadable, not 3D, not scalar, without an orientation, sheared, or
            no chest CT in HU.
    """
    path = Path(path)
    volume = load_volume(path, orientation)
    spacing = tuple(float(s) for s in np.linalg.norm(volume.affine[:3, :3], axis=0))
    check_spacing(spacing, path)
    array, notes = _without_nan(volume.array, path, override)
    content = look_at(volume.array, spacing, override)
    if volume.labels and "label_map" not in override:
        content = Content((("label_map", "its header says that it holds labels: no CT"),))
    if content.findings:
        raise NoChestError(content, path)
    if array.dtype.kind == "f":
        array = np.rint(array)
    hu = np.ascontiguousarray(np.clip(array, AIR_HU, _INT16_MAX)).astype(np.int16)
    notes = (*volume.notes, *notes, *content.notes)
    return Scan(hu, volume.affine, image_stem(path), notes, content.lungs_in_view_percent)


def read_volume(path: str | Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a 3D image of any meaning; its values as they are.

    Args:
        path: a NIfTI, MetaImage, NRRD ... file.

    Returns:
        The array (z, y, x), canonical as in Scan, and its affine, index to LPS mm.

    Raises:
        CovidlitError: missing, unreadable, cut off, not 3D or not scalar, without an orientation;
            or its header claims more memory than `covidlit.process.memory_limit`.
    """
    volume = load_volume(Path(path))
    return volume.array, volume.affine


def load_volume(path: Path, orientation: str | None = None) -> ImageVolume:
    """`read_volume` with what was noted on the way; `orientation` as in `read_image`."""
    if not path.is_file():
        raise CovidlitError("there is no such file.", where=path, fix="check the path.")
    check_data_files(path)
    kind = kind_of(pair_of(path)[0])
    labels = False
    notes: tuple[str, ...] = ()
    if kind == "nifti":
        image = read_nifti(path, orientation)
        array, affine, notes, labels = image.array, image.affine, image.notes, image.labels
    else:
        array, affine, notes = _read_with_itk(path, kind, orientation)
    affine, mended = perpendicular(affine, path)
    array, affine = to_canonical(array, affine)
    return ImageVolume(array, affine, (*notes, *mended), labels)


def _read_with_itk(
    path: Path, kind: str, orientation: str | None
) -> tuple[NDArray[Any], NDArray[np.float64], tuple[str, ...]]:
    """The array (z, y, x) as it lies in the file, its affine, and notes."""
    import SimpleITK as sitk  # noqa: N813 (its own convention)

    fix = "check that the file is whole; known formats: NIfTI, MetaImage, NRRD, DICOM."
    if kind == "dicom":
        raise CovidlitError(
            "cannot be read as an image: it is a DICOM file.",
            where=path,
            fix="give the folder of its series.",
        )
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    if kind in _READERS:
        reader.SetImageIO(_READERS[kind])
    try:
        reader.ReadImageInformation()
        check_claimed_size(path, reader)
        image = reader.Execute()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise CovidlitError(
            f"cannot be read as an image ({reason}).", where=path, fix=fix
        ) from error
    size = image.GetSize()
    if len(size) == 4 and size[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise CovidlitError(
            f"needs one 3D volume of single values; this has size {size} and "
            f"{counted(image.GetNumberOfComponentsPerPixel(), 'component')}.",
            where=path,
        )
    affine = affine_of_image(image)
    if kind in _ORIENTED and not _says_orientation(path, kind):
        if orientation is None:
            raise CovidlitError(
                "no_orientation: its orientation is not known: the header does not say it; state "
                "it with image_orientation, such as LPS, or convert it again from DICOM.",
                where=path,
            )
        x, y, z = image.GetSpacing()
        stated = stated_affine(orientation, (x, y, z), image.GetSize())
        note = f"its orientation was stated as {orientation.upper()}, not read"
        return sitk.GetArrayFromImage(image), stated[:, [2, 1, 0, 3]], (note,)
    return sitk.GetArrayFromImage(image), affine, ()


def _says_orientation(path: Path, kind: str) -> bool:
    with opened(path) as file:
        head = file.read(4096)
    return any(word in head for word in _ORIENTED[kind])


def _without_nan(
    array: NDArray[Any], path: Path, override: Collection[str]
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The values with air where there is none that is finite, and a note; refused inside the body.

    What is not finite at the border of the image is taken as what lies outside the field of view.
    """
    if array.dtype.kind != "f" or (finite := np.isfinite(array)).all():
        return array, ()
    empty = ~finite
    if not finite.any():
        raise CovidlitError(
            "its values are not finite (NaN or infinite), not one of them.",
            where=path,
            fix="convert it again from DICOM.",
        )
    labels = cc3d.connected_components(empty, connectivity=6)
    edges = [labels.take(k, axis).ravel() for axis in range(3) for k in (0, -1)]
    outside = np.isin(labels, np.unique(np.concatenate(edges))) & empty & ~np.isposinf(array)
    inside = int(empty.sum() - outside.sum())
    share = f"{empty.mean():.1%} of the voxels are not finite (NaN or infinite)"
    if inside and "not_finite" not in override:
        raise CovidlitError(
            f"not_finite: {share}, {inside} of them inside the image or above all bounds.",
            where=path,
            fix="write HU without NaN and infinities, or override not_finite: they become air.",
        )
    return np.where(empty, AIR_HU, array), (f"{share}: taken as air ({AIR_HU} HU)",)


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


def image_stem(path: str | Path) -> str:
    """The name of an image file without its ending, of which `.nii.gz` is one."""
    name = Path(path).name
    return name.removesuffix(".nii.gz") if name.endswith(".nii.gz") else Path(name).stem


def image_files(root: Path) -> Iterator[Path]:
    """The files below a folder that SimpleITK reads, by their names, in a fixed order."""
    yield from filter(is_image, walk(root).files)


def is_image_file(path: Path) -> bool:
    """Whether a file is a scan for `read_image`, by its name or else by its first bytes."""
    try:
        kind = kind_of(path)
    except (CovidlitError, OSError):
        kind = ""  # damaged: its name tells what it should be
    if kind == "dicom":
        return False
    return kind in ("nifti", *_READERS) or path.name.lower().endswith(IMAGE_SUFFIXES)


def is_image(path: Path) -> bool:
    """Whether a file's name is that of a scan for SimpleITK; hidden files and heatmaps are none."""
    name = path.name.lower()
    if name.startswith(".") or name.endswith(".heat.nii.gz"):
        return False
    return name.endswith(IMAGE_SUFFIXES) and path.suffix.lower() != ".img"
