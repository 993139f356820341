"""A slice as a picture: a window of Hounsfield units, and the outlines of lungs and lesions."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covidlit.dicom.out.key_slices import contour_classes
from covidlit.dicom.out.terms import CLASS_TERMS

WINDOWS = {"lung": (-1350.0, 150.0), "soft": (-160.0, 240.0), "bone": (-450.0, 1050.0)}
"""Lowest and highest HU, by name."""

HIGHLIGHT = (255, 255, 255)
"""Colour of the outline of the lesion that is pointed at."""


def shown_shape(shape: tuple[int, ...], spacing: tuple[float, float, float]) -> tuple[int, int]:
    """Rows and columns of the picture of a slice, whose pixels are square.

    Args:
        shape: of the slice, (rows, columns).
        spacing: mm, (z, y, x).
    """
    rows, columns = shape
    if abs(spacing[1] / spacing[2] - 1) > 0.01:
        rows = round(rows * spacing[1] / spacing[2])
    return rows, columns


def draw(
    hu: NDArray[np.int16],
    spacing: tuple[float, float, float],
    window: str | tuple[float, float] = "lung",
    classes: NDArray[np.integer] | None = None,
    instances: NDArray[np.integer] | None = None,
    lesion: int | None = None,
) -> bytes:
    """A PNG of a plane, the patient's right on the left.

    Args:
        hu: (rows, columns).
        spacing: mm, (z, y, x); pixels are drawn as square as they are.
        window: in `WINDOWS`, or lowest and highest HU.
        classes: of each pixel, for the outlines; None: none.
        instances: number of each pixel's lesion.
        lesion: whose outline is highlighted.
    """
    low, high = WINDOWS[window] if isinstance(window, str) else window
    grey = ((hu.astype(np.float32) - low) * (255.0 / (high - low))).clip(0, 255).astype(np.uint8)
    if classes is None:
        image = Image.fromarray(grey)
    else:
        picture = np.repeat(grey[:, :, None], 3, axis=2)
        border = contour_classes(classes.astype(np.uint8))
        for value, terms in CLASS_TERMS.items():
            picture[border == value] = terms.rgb
        if lesion is not None and instances is not None:
            picture[(border > 0) & (instances == lesion)] = HIGHLIGHT
        image = Image.fromarray(picture)
    rows, columns = shown_shape(hu.shape, spacing)
    if (rows, columns) != hu.shape:
        image = image.resize((columns, rows))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
