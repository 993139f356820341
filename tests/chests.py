"""Bodies for tests whose HU are a function of LPS millimetres, as NIfTI or as arrays."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

SHAPE = (72, 64, 60)
STEP = 5.0
LAS = np.array([[-5.0, 0, 0, 177.5], [0, -5.0, 0, 157.5], [0, 0, 5.0, -150.0], [0, 0, 0, 1.0]])
"""RAS affine of voxels that run to left, back and head."""


def hu_at(
    x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64], lung: float = -850
) -> NDArray[np.float64]:
    """A chest at LPS mm without any symmetry: lungs from z = -110 to 110, a table under it."""
    hu = np.full(np.broadcast(x, y, z).shape, -1000.0)
    hu[(x / 160) ** 2 + (y / 115) ** 2 < 1] = 40
    for side, width, top in ((-1, 58, 110.0), (1, 50, 100.0)):
        inside = ((x - side * 72) / width) ** 2 + (y / 80) ** 2 + ((z - 5) / top) ** 2 < 1
        hu[inside] = lung
    hu[((x - 30) / 40) ** 2 + ((y + 40) / 30) ** 2 + ((z + 20) / 45) ** 2 < 1] = 150  # heart
    hu[(x / 20) ** 2 + ((y - 85) / 20) ** 2 < 1] = 400  # spine
    hu[np.abs(y - 135) < 9] = -930  # the table's core, in a shell
    hu[(np.abs(np.abs(y - 135) - 9) < 3) & (np.abs(x) < 170)] = 100
    return hu


def hu_on(affine: NDArray[np.float64], lung: float = -850) -> NDArray[np.float64]:
    """The chest on the voxels (x, y, z) of a RAS affine."""
    x, y, z = (
        np.einsum("rk,k...->r...", affine[:3, :3], np.indices(SHAPE))
        + affine[:3, 3, None, None, None]
    )
    return hu_at(-x, -y, z, lung)


def canonical(lung: float = -850) -> NDArray[np.int16]:
    """The chest as a Scan has it, (z, y, x), voxels of 5 mm."""
    return hu_on(LAS, lung).transpose(2, 1, 0).astype(np.int16)


def save(
    path: Path,
    values: NDArray[np.generic],
    affine: NDArray[np.float64] = LAS,
    sform: int = 1,
    qform: int = 1,
) -> Path:
    """Write (x, y, z) values as NIfTI with these codes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, sform)
    if qform:
        image.set_qform(affine, qform)
    else:
        image.header["qform_code"] = 0
    if not sform:
        image.header["sform_code"] = 0
    nib.save(image, path)
    return path
