"""Planes of scans and labels as the operations read and answer them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from django.http import HttpResponse
from numpy.typing import NDArray

from covidlit.platform.api.problems import ApiProblem
from covidlit.platform.viewing.planes import AXIAL, Planes

PLANE_HEADERS = {
    "X_Shape": "rows, columns",
    "X_Type": "of the values, as NumPy calls it",
    "X_Spacing_Mm": "between slices, rows and columns",
    "X_Affine": "16 numbers by rows: index (z, y, x) to millimetres in LPS",
}
"""Of an answer of `plane_answer`, and what they say."""


def planes_at(path: Path, axis: str = AXIAL) -> Planes:
    """The planes of an axis, by where the axial ones lie.

    Raises:
        ApiProblem: 404, the file is not there.
    """
    try:
        return Planes(path, axis)
    except FileNotFoundError as error:
        raise ApiProblem(
            404, "its planes are not on the disk.", where="the platform",
            fix="tell an administrator: the database knows of them.",
        ) from error  # fmt: skip


def check_index(index: int, n_slices: int) -> None:
    """Refuse a plane that a scan has not.

    Raises:
        ApiProblem: 404.
    """
    if index >= n_slices:
        raise ApiProblem(
            404, f"there is no plane {index}.", where="index", fix=f"choose 0 to {n_slices - 1}."
        )


def plane_answer(values: NDArray[Any], geometry: Planes) -> HttpResponse:
    """Values of a plane as they lie in memory, little-endian, with what they are in headers."""
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    headers = {
        "X-Shape": ",".join(map(str, little.shape)),
        "X-Type": little.dtype.str,
        "X-Spacing-Mm": ",".join(f"{mm:g}" for mm in geometry.spacing),
        "X-Affine": ",".join(repr(float(each)) for each in geometry.affine.ravel()),
        "Cache-Control": "private, max-age=60",
    }
    return HttpResponse(little.tobytes(), content_type="application/octet-stream", headers=headers)
