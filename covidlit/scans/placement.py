"""Where the voxels of an image file lie: an affine with perpendicular axes, or a refusal."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from covidlit.errors import CovidlitError

MOST_SHEAR_DEGREES = 0.25
"""Axes that are off by less are taken as rounded: 0.5 mm at the border of a chest."""

_TOLD_DEGREES = 0.005  # single precision is off by a thousandth of this
_SPACING_MM = (0.05, 50.0)
_AWAY = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "H": (2, 1),
         "I": (2, -1), "F": (2, -1)}  # fmt: skip


def check_orientation(name: str) -> str:
    """An orientation in capitals, three letters that name where the axes x, y, z of a file run to.

    "LPS": to the patient's left, back (posterior) and head (superior), as in a DICOM stack; "LAS":
    to left, front and head, as Analyze lays down; "RAS": to right, front and head.

    Raises:
        CovidlitError: it names no such orientation.
    """
    letters = str(name).upper()
    if len(letters) != 3 or {_AWAY.get(letter, (9, 0))[0] for letter in letters} != {0, 1, 2}:
        raise CovidlitError(
            f"{name!r} is no orientation.",
            where="image_orientation",
            fix="name where the axes of the file run to: LPS, LAS or RAS, for example.",
        )
    return letters


def stated_affine(
    orientation: str, spacing: tuple[float, float, float], shape: tuple[int, int, int]
) -> NDArray[np.float64]:
    """The (4, 4) affine, index (x, y, z) to LPS mm, of a stated orientation.

    The middle of the image is the origin, since nothing says where it lies.

    Args:
        orientation: see `check_orientation`.
        spacing: in mm, (x, y, z).
        shape: (x, y, z).
    """
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, letter in enumerate(check_orientation(orientation)):
        world, sign = _AWAY[letter]
        affine[world, axis] = sign * spacing[axis]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def perpendicular(
    affine: NDArray[np.float64], where: object
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The affine with exactly perpendicular axes, and a note where that changed it visibly.

    The spacing and the middle of the first voxel stay.

    Args:
        affine: (4, 4), of either order of the index.
        where: the file, for the error.

    Raises:
        CovidlitError: not finite, an axis without length, or sheared by more than
            `MOST_SHEAR_DEGREES`.
    """
    steps = affine[:3, :3]
    spacing = np.linalg.norm(steps, axis=0)
    if not np.isfinite(affine).all() or (spacing == 0).any():
        raise CovidlitError(
            f"its orientation cannot be used: it maps voxels by {steps.tolist()}.",
            where=where,
            fix="convert it again from DICOM.",
        )
    direction = steps / spacing
    cosines = [direction[:, a] @ direction[:, b] for a, b in combinations(range(3), 2)]
    shear = float(np.degrees(np.arcsin(np.clip(np.abs(cosines).max(), 0, 1))))
    if shear > MOST_SHEAR_DEGREES:
        raise CovidlitError(
            f"sheared: its axes are {shear:.1f} degrees off a right angle, as after a tilted "
            "gantry, so slices lie shifted against each other.",
            where=where,
            fix="resample it to perpendicular axes, or take a series without gantry tilt.",
        )
    u, _, v = np.linalg.svd(direction)
    straight = affine.copy()
    straight[:3, :3] = (u @ v) * spacing
    if shear <= _TOLD_DEGREES:
        return straight, ()
    return straight, (
        f"its axes were {shear:.3f} degrees off a right angle, as by rounding: made perpendicular",
    )


def check_spacing(spacing: tuple[float, ...], where: object) -> None:
    """Refuse voxels of a size that no CT has, which are in another unit than mm.

    Raises:
        CovidlitError: names the sizes.
    """
    low, high = _SPACING_MM
    if all(low <= step <= high for step in spacing):
        return
    sizes = " x ".join(f"{step:.4g}" for step in spacing)
    raise CovidlitError(
        f"its voxels are {sizes} mm (z, y, x), which no CT has: the unit or the header is wrong.",
        where=where,
        fix="convert it again from DICOM, with sizes in mm.",
    )
