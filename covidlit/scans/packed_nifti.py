"""A volume as the content of a NIfTI file, compressed plane by plane."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import DTypeLike, NDArray

from covidlit.scans.scan import to_ras_xyz

_VOXELS_AT = 352
"""Where they begin in a NIfTI-1 file, after the header and four zeros for "no extension"."""

_GZIP = 16 + zlib.MAX_WBITS


def packed_nifti(
    planes: Iterable[NDArray[Any]],
    shape: tuple[int, ...],
    kind: DTypeLike,
    affine: NDArray[np.float64],
    slope: float = 1.0,
) -> bytes:
    """A volume as the content of a `.nii.gz` file, with nothing but its geometry in the header.

    nibabel makes the header; its own `save` compresses twice as long, and SimpleITK cannot write
    the factor. Level 1, since higher ones gain little.

    Args:
        planes: the z planes, (y, x) each.
        shape: of the volume, (z, y, x).
        kind: type of the values as they are kept.
        affine: (4, 4), index (z, y, x) to LPS mm, such as `Scan.affine`.
        slope: what the kept values are multiplied by (`scl_slope`).
    """
    kept = np.dtype(kind).newbyteorder("<")
    place = to_ras_xyz(affine)
    blank = np.broadcast_to(np.zeros((), kept), shape[::-1])
    header = nib.Nifti1Image(blank, place).header
    header.set_qform(place, code="scanner")
    header.set_sform(place, code="scanner")
    header.set_slope_inter(slope, 0.0)
    header.set_xyzt_units("mm", "sec")
    header["vox_offset"] = _VOXELS_AT
    stream = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    parts = [stream.compress(header.binaryblock.ljust(_VOXELS_AT, b"\0"))]
    # Slice by slice: x runs fastest in the file, as in memory.
    parts += [stream.compress(np.ascontiguousarray(plane, kept).data) for plane in planes]
    return b"".join([*parts, stream.flush()])
