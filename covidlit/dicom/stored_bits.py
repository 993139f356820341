"""Bits above BitsStored: unused, an overlay, or values that do not fit what the header says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.dicom.series import ImageFile


class StoredBitsError(ValueError):
    """Values take more bits than the header says."""


def drop_unused_bits(
    stored: NDArray[Any], image: ImageFile, padded: NDArray[np.bool_] | None = None
) -> None:
    """Clear (or sign-extend) the bits above BitsStored in place.

    Args:
        stored: integers (row, column) as they stand in the file, some out of range.
        image: bits stored, signed or not, and the bits that overlays lie in.
        padded: which of them are padding, whatever bits they take.

    Raises:
        StoredBitsError: these bits belong to the values, which take more than BitsStored says.

    Source: DICOM PS3.5, section 8.1.1 and annex D.
    """
    if problem := _overflow(stored if padded is None else stored[~padded], image):
        raise StoredBitsError(problem)
    shift = stored.dtype.itemsize * 8 - image.bits_stored
    np.left_shift(stored, shift, out=stored)
    np.right_shift(stored, shift, out=stored)


def _overflow(stored: NDArray[Any], image: ImageFile) -> str:
    """Why values out of range are no leftovers in unused bits; empty where they are."""
    if stored.size == 0 or any(bit >= image.bits_stored for bit in image.overlay_bits):
        return ""
    bits = image.bits_stored
    unsigned = stored.view(stored.dtype.str.replace("i", "u"))
    above = unsigned >> bits
    if (above == above.flat[0]).all():
        return ""  # the same in all pixels, so they tell nothing
    if image.signed:
        # Either all negative values are extended by their sign, or none is.
        negative = (unsigned >> (bits - 1)) & 1 == 1
        full = (1 << stored.dtype.itemsize * 8 - bits) - 1
        if (above == np.where(negative, full, 0)).all():
            return ""
    low, high = int(stored.min()), int(stored.max())
    return (
        f"values from {low} to {high} do not fit into BitsStored {bits}, and no overlay is said to "
        "lie in the bits above"
    )
