"""Contract 1, the Scan: a CT volume in Hounsfield units with its place in the patient."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from covidlit.errors import CovidlitError

AIR_HU = -1024
"""What covidlit writes where there is no image: padding, outside the field of view."""


@dataclass(frozen=True)
class Scan:
    """One CT volume, canonical: z towards the head, y to posterior, x to left.

    Args:
        hu: int16 Hounsfield units, axes (z, y, x) = (slice, row, column).
        affine: float64 (4, 4); maps the index (z, y, x, 1) to millimetres (x, y, z, 1) in LPS, the
            patient space of DICOM and ITK.
        series_uid: DICOM SeriesInstanceUID, or a name where there is none.
        notes: what was done to the data on the way in that the user should know.
        lungs_in_view_percent: how much of both lungs lies in the volume, 0 to 100; None where that
            was not looked at. See `covidlit.scans.content`.

    Raises:
        CovidlitError: an array of another type or shape, or axes that are not canonical.
    """

    hu: NDArray[np.int16]
    affine: NDArray[np.float64]
    series_uid: str = ""
    notes: tuple[str, ...] = field(default=())
    lungs_in_view_percent: float | None = None

    def __post_init__(self) -> None:
        if self.hu.dtype != np.int16 or self.hu.ndim != 3 or 0 in self.hu.shape:
            raise CovidlitError(
                f"a Scan needs a non-empty int16 array (z, y, x), got {self.hu.dtype} "
                f"{self.hu.shape}."
            )
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise CovidlitError(f"a Scan needs a finite (4, 4) affine, got {self.affine!r}.")
        # Column k of the affine is the step of index axis k; canonical axes step to +z, +y, +x.
        steps = self.affine[:3, :3]
        leading = np.abs(steps).argmax(axis=0)
        if list(leading) != [2, 1, 0] or any(steps[leading[k], k] <= 0 for k in range(3)):
            raise CovidlitError(
                "a Scan must be canonical (z to the head, y to posterior, x to left), got the "
                f"affine {self.affine.tolist()}.",
                fix="use covidlit.scans.scan.to_canonical first.",
            )

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels in mm, (z, y, x)."""
        z, y, x = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)


def to_canonical(
    array: NDArray[np.generic], affine: NDArray[np.float64]
) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    """Permute and flip the axes of a volume so that they are canonical.

    Args:
        array: any 3D array.
        affine: (4, 4), index of `array` to LPS millimetres (x, y, z).

    Returns:
        The array (a view where possible) and its affine, axes to (head, posterior, left).
    """
    affine = np.asarray(affine, dtype=np.float64)
    steps = np.abs(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    order: list[int] = []
    for world in (2, 1, 0):
        free = [k for k in range(3) if k not in order]
        order.append(max(free, key=lambda k: steps[world, k]))
    array = array.transpose(order)
    affine = affine[:, [*order, 3]].copy()
    for axis, world in enumerate((2, 1, 0)):
        if affine[world, axis] < 0:
            array = np.flip(array, axis)
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
            affine[:3, axis] *= -1
    return array, affine


def to_ras_xyz(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same affine for index order (x, y, z) and a RAS world, as NIfTI and TorchIO use."""
    lps_to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    return lps_to_ras @ affine[:, [2, 1, 0, 3]]
