"""Heat as NIfTI in the source series' geometry: a byte per voxel and a factor in the header."""

from __future__ import annotations

import zlib

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from covidlit.scans.scan import to_ras_xyz

LEVELS = 255
_VOXELS_AT = 352
"""Where they begin in a NIfTI-1 file, after the header and four zeros for "no extension"."""

_GZIP = 16 + zlib.MAX_WBITS


def packed_heat(heat: NDArray[np.float32], affine: NDArray[np.float64]) -> bytes:
    """Heat as the content of a `.nii.gz` file.

    Values are kept in 255 steps of the scan's own maximum, with the factor that makes them absolute
    again (`scl_slope`), which NIfTI readers apply by themselves: an error of at most 0.2% of the
    maximum. nibabel makes the header; its own `save` compresses twice as long, and SimpleITK cannot
    write the factor. Level 1, since heat is smooth and higher ones gain little.

    Args:
        heat: float32 (z, y, x), not negative.
        affine: (4, 4), its index to LPS mm, such as `Scan.affine`.
    """
    step = np.float32(float(heat.max()) / LEVELS or 1.0)
    blank = np.broadcast_to(np.uint8(0), heat.shape[::-1])
    header = nib.Nifti1Image(blank, to_ras_xyz(affine)).header
    header.set_qform(to_ras_xyz(affine), code="scanner")
    header.set_sform(to_ras_xyz(affine), code="scanner")
    header.set_slope_inter(float(step), 0.0)
    header.set_xyzt_units("mm", "sec")
    header["vox_offset"] = _VOXELS_AT
    stream = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    parts = [stream.compress(header.binaryblock.ljust(_VOXELS_AT, b"\0"))]
    # Slice by slice: x runs fastest in the file, as in memory.
    parts += [stream.compress(np.rint(plane / step).astype(np.uint8)) for plane in heat]
    return b"".join([*parts, stream.flush()])
