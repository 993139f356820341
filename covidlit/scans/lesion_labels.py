"""Contract 7, lesion labels: a volume of classes and one of instances, in the scan's geometry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.counted import counted
from covidlit.errors import CovidlitError
from covidlit.names import check_name
from covidlit.scans.images import read_volume
from covidlit.scans.same_grid import is_same_grid
from covidlit.scans.scan import Scan

LESION_CLASSES: dict[int, str] = {
    0: "background",
    1: "lung",
    2: "consolidation",
    3: "ground_glass",
    4: "fibrosis",
    5: "interstitial_thickening",
    6: "pleural_effusion",
}
"""Value in the volume of classes -> name: the severity paper's lung field and five lesions."""

LARGEST_NUMBER = 1_000_000
"""Of a lesion: what is measured by number takes memory for all numbers up to the largest."""

FIRST_LESION = 2
"""Classes from here on are lesions, and have an instance number."""


class LabelError(CovidlitError):
    """Lesion labels that break contract 7 or do not fit their scan."""


@dataclass(frozen=True)
class LesionLabels:
    """The lesion labels of one scan.

    Args:
        classes: uint8, axes (z, y, x), values of `LESION_CLASSES`.
        instances: int32, same shape: 0 outside lesions, else the lesion's number from 1; every
            lesion has one class.
        affine: index (z, y, x) to millimetres in LPS, the same as the scan's.

    Raises:
        LabelError: see `validate_labels`.
    """

    classes: NDArray[np.uint8]
    instances: NDArray[np.int32]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        validate_labels(self.classes, self.instances)


def check_place(
    path: Path, shape: tuple[int, ...], affine: NDArray[np.float64], scan: Scan
) -> None:
    """Refuse a mask that does not lie where its scan does.

    Args:
        path: of the mask, for the message.
        shape: its, (z, y, x).
        affine: its, index (z, y, x) to mm in LPS.
        scan: that it is of.

    Raises:
        LabelError: another shape, or a corner further off than `is_same_grid` allows.
    """
    if shape == scan.hu.shape and is_same_grid(affine, scan.affine, shape):
        return
    raise LabelError(
        f"the mask does not lie where the scan does: shape {shape} against {scan.hu.shape} (z, y, "
        f"x), affine {affine.round(3).tolist()} against {scan.affine.round(3).tolist()} (index "
        "(z, y, x) to mm in LPS).",
        where=path,
        fix="write the mask in the geometry of the source series.",
    )


_CLASSES, _INSTANCES = ".classes.nii.gz", ".instances.nii.gz"


def is_label_file(path: str | Path) -> bool:
    """Whether a file is called as a label volume of contract 7."""
    return str(path).endswith((_CLASSES, _INSTANCES))


def label_paths(folder: str | Path, scan_id: str) -> tuple[Path, Path]:
    """The files of a scan: `<scan_id>.classes.nii.gz` and `<scan_id>.instances.nii.gz`.

    Raises:
        LabelError: `scan_id` is no name of a file (contract 12).
    """
    check_name(scan_id, "scan_id", LabelError)
    return Path(folder, f"{scan_id}{_CLASSES}"), Path(folder, f"{scan_id}{_INSTANCES}")


def validate_labels(
    classes: NDArray[Any],
    instances: NDArray[Any],
    shape: tuple[int, ...] | None = None,
    where: object = None,
) -> None:
    """Hold a pair of label volumes against contract 7.

    Args:
        classes: integers, axes (z, y, x), values of `LESION_CLASSES`.
        instances: integers of the same shape; 0 exactly where `classes` is no lesion.
        shape: of the scan, where it is known.
        where: what to call them in messages, such as the file.

    Raises:
        LabelError: another type, shape or value; a lesion voxel without a number or a number
            outside lesions; a lesion with two classes. Names voxel (z, y, x), value and fix.
    """
    for name, volume in (("classes", classes), ("instances", instances)):
        if volume.ndim != 3 or not np.issubdtype(volume.dtype, np.integer):
            raise LabelError(
                f"{name} must be whole numbers with three axes, got {volume.dtype} {volume.shape}.",
                where=where,
                fix="write them as an integer volume, without interpolation.",
            )
    shapes = {"the scan": shape, "classes": classes.shape, "instances": instances.shape}
    if len({s for s in shapes.values() if s is not None}) > 1:
        raise LabelError(
            "the shapes differ: " + ", ".join(f"{n} {s}" for n, s in shapes.items() if s) + ".",
            where=where,
            fix="labels stand in the geometry of the source series, voxel for voxel.",
        )
    lesion = classes >= FIRST_LESION
    checks = (
        (
            (classes < 0) | (classes > max(LESION_CLASSES)),
            classes,
            "classes",
            "must be " + ", ".join(f"{v} ({n})" for v, n in LESION_CLASSES.items()),
        ),
        (
            (instances < 0) | (instances > LARGEST_NUMBER),
            instances,
            "instances",
            f"must be 0 or the number of a lesion, at most {LARGEST_NUMBER}",
        ),
        (
            lesion & (instances == 0),
            classes,
            "classes",
            "is a lesion without a number in instances",
        ),
        (
            ~lesion & (instances != 0),
            instances,
            "instances",
            "is the number of a lesion where classes has none",
        ),
    )
    for wrong, volume, name, rule in checks:
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise LabelError(
                f"{name}: voxel (z, y, x) = {place}: value {volume[place]}: {rule} "
                f"({counted(int(wrong.sum()), 'such voxel')}).",
                where=where,
                fix="correct the volume; lesions are numbered with connected components per class.",
            )
    own, kinds = instances[lesion], classes[lesion]
    kind_of = np.zeros(int(own.max(initial=0)) + 1, classes.dtype)
    kind_of[own] = kinds
    odd = kind_of[own] != kinds
    if odd.any():
        number = int(own[odd].min())
        names = [LESION_CLASSES[int(c)] for c in np.unique(kinds[own == number])]
        raise LabelError(
            f"instances: value {number}: the lesion has several classes ({', '.join(names)}).",
            where=where,
            fix="give each connected piece of one class a number of its own.",
        )


def read_labels(folder: str | Path, scan_id: str, scan: Scan | None = None) -> LesionLabels:
    """Read the labels of a scan from a folder of labels, canonical like the scan.

    Args:
        folder: holds the two files of `label_paths`.
        scan_id: of the manifest.
        scan: the scan itself, whose geometry the labels must have.

    Raises:
        LabelError: a file is missing or unreadable, breaks contract 7, or lies elsewhere in the
            patient than the scan.
    """
    classes_path, instances_path = label_paths(folder, scan_id)
    classes, affine = _read(classes_path)
    instances, other = _read(instances_path)
    if classes.shape == instances.shape:
        _check_same_place(affine, other, classes.shape, classes_path, "the volume of instances")
    shape = None if scan is None else scan.hu.shape
    validate_labels(classes, instances, shape, where=classes_path)
    if scan is not None:
        _check_same_place(affine, scan.affine, classes.shape, classes_path, "the scan")
    return LesionLabels(classes.astype(np.uint8), instances.astype(np.int32), affine)


def _read(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    if not path.is_file():
        raise LabelError("there is no such file.", where=path, fix="check folder and scan_id.")
    try:
        return read_volume(path)
    except CovidlitError as problem:
        raise LabelError(
            f"the labels cannot be read: {problem.what}", where=path, fix="write the file again."
        ) from problem


def _check_same_place(
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    shape: tuple[int, ...],
    where: Path,
    what: str,
) -> None:
    if not is_same_grid(one, other, shape):
        raise LabelError(
            f"the labels do not lie where {what} does: affine {one.round(3).tolist()} against "
            f"{other.round(3).tolist()} (index (z, y, x) to mm in LPS).",
            where=where,
            fix="write both in the geometry of the source series.",
        )
