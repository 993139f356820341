"""Contours as pages send them: points of the picture as text, whoever has drawn or typed them."""

from __future__ import annotations

from covidlit.lesions.contours import checked_contour
from covidlit.lesions.edits import Contour
from covidlit.platform.viewing.drawing import shown_shape
from covidlit.scans.lesion_labels import LabelError

LONGEST = 40_000
"""Characters of a contour."""


def contour_of(text: str, shape: tuple[int, int], spacing: tuple[float, float, float]) -> Contour:
    """The contour in pixels of the slice.

    Args:
        text: `x,y` of each point in pixels of the picture, with blanks between them, as SVG has it.
        shape: of the slice, (rows, columns); the picture is that of `shown_shape`.
        spacing: mm, (z, y, x).

    Raises:
        LabelError: it is no such text, or no contour; see `checked_contour`.
    """
    if len(text) > LONGEST:
        raise LabelError(
            f"it is {len(text)} characters long, and at most {LONGEST} are read.", where="contour",
            fix="draw it with fewer points.",
        )  # fmt: skip
    points = [_point(word) for word in text.replace(";", " ").split()]
    down = shape[0] / shown_shape(shape, spacing)[0]
    return checked_contour([(x, y * down) for x, y in points], shape)


def _point(word: str) -> tuple[float, float]:
    try:
        x, y = map(float, word.split(","))
    except ValueError:
        raise LabelError(
            f"{word[:40]!r} is no point.", where="contour",
            fix="write x,y of each point with blanks between: 120,200 140,200 130,230",
        ) from None  # fmt: skip
    return x, y
