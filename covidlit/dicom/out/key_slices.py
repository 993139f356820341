"""Key slices: which slices show most of the lesions, and their pictures with contours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from covidlit.dicom.out.terms import CLASS_TERMS
from covidlit.scans.lesion_labels import FIRST_LESION

LUNG_WINDOW = (-1350.0, 150.0)
"""HU from black to white: level -600, width 1500, as lungs are usually read."""

MOST_KEY_SLICES = 6
_LEAST_FOR_LEGEND = 256
"""Pixels of width from which the names of the classes fit into a picture."""

_LINE_HEIGHT = 12

_IN_LUNG = (1, 2, 3, 4, 5)
"""Classes that lie in the lung; an effusion lies beside it."""


def choose_key_slices(classes: NDArray[np.uint8], most: int = MOST_KEY_SLICES) -> list[int]:
    """The slices that show the lesions best, in order.

    The slice with most of each class, the largest class first; then those with most lesion, apart
    from each other by at least a twentieth of the volume. Without a lesion the one with most lung,
    or else the middle.

    Args:
        classes: (slices, rows, columns), values of contract 7.
        most: how many at most.
    """
    n = len(classes)
    areas = np.stack(
        [np.bincount(plane.ravel(), minlength=max(CLASS_TERMS) + 1) for plane in classes]
    )
    lesion = areas[:, FIRST_LESION:]
    if not lesion.any():
        return [int(areas[:, 1].argmax()) if areas[:, 1].any() else n // 2]
    by_size = np.argsort(-lesion.sum(axis=0), kind="stable")
    chosen = [int(lesion[:, k].argmax()) for k in by_size if lesion[:, k].any()]
    apart = max(1, n // 20)
    for k in np.argsort(-lesion.sum(axis=1), kind="stable"):
        if lesion[k].any() and all(abs(int(k) - other) >= apart for other in chosen):
            chosen.append(int(k))
    return sorted(dict.fromkeys(chosen[:most]))


def grey(hu: NDArray[np.int16], window: tuple[float, float] = LUNG_WINDOW) -> NDArray[np.uint8]:
    """Hounsfield units as grey from 0 to 255.

    Args:
        hu: of any shape.
        window: HU that are black and white.
    """
    low, high = window
    scaled = (hu.astype(np.float32) - low) * (255.0 / (high - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def contour_classes(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of a slice's classes, those pixels that lie on the border of their class; else 0.

    Args:
        classes: (rows, columns). A lesion inside the lung does not cut the lung's contour.
    """
    border = np.zeros_like(classes)
    cross = ndimage.generate_binary_structure(2, 1)
    for value in np.unique(classes):
        if value:
            # A lesion in the lung belongs to it: the lung's contour is that of both.
            mask = np.isin(classes, _IN_LUNG) if value == 1 else classes == value
            inner = ndimage.binary_erosion(mask, cross)
            border[mask & ~inner & ((border == 0) | (value > 1))] = value
    return border


def draw_slice(
    hu: NDArray[np.int16],
    classes: NDArray[np.uint8],
    window: tuple[float, float] = LUNG_WINDOW,
    *,
    legend: bool = True,
) -> NDArray[np.uint8]:
    """A slice with the contours of its classes, in colour.

    Args:
        hu, classes: (rows, columns).
        window: HU that are black and white.
        legend: write the names of the classes, in their colours, where there is room.

    Returns:
        uint8 (rows, columns, 3), RGB.
    """
    picture = np.repeat(grey(hu, window)[:, :, None], 3, axis=2)
    border = contour_classes(classes)
    for value, terms in CLASS_TERMS.items():
        picture[border == value] = terms.rgb
    return _with_legend(picture, classes) if legend else picture


def _with_legend(picture: NDArray[np.uint8], classes: NDArray[Any]) -> NDArray[np.uint8]:
    if min(picture.shape[:2]) < _LEAST_FOR_LEGEND:
        return picture
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    present = [terms for value, terms in CLASS_TERMS.items() if (classes == value).any()]
    for line, terms in enumerate(present):
        draw.text((4, 4 + line * _LINE_HEIGHT), terms.label, fill=terms.rgb)
    return np.array(image)
