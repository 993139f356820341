"""The middle axial, coronal and sagittal slice of a volume, with letters and a scale."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.figure_text import PLAIN_TEXT

LUNG_WINDOW = (-1350.0, 150.0)
"""HU from black to white: level -600, width 1500, as lungs are usually read."""

BAR_MM = 50.0
"""Length of the scale bar, the same in all three planes, which are drawn to one scale."""

_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
"""What an axis of LPS runs to where it grows, and where it falls: left, right; posterior, anterior;
head, feet."""

_PLACES = (
    (0.02, 0.5, "left", "center"), (0.98, 0.5, "right", "center"),
    (0.5, 0.98, "center", "top"), (0.5, 0.02, "center", "bottom"),
)  # fmt: skip
"""Of letters, as shares of a picture's width and height from its lower left corner."""

_WIDTH_PX, _HEIGHT_PX, _DPI = 1080, 720, 100
_GAP_MM = 6.0
_QUALITY = 85


@dataclass(frozen=True)
class Plane:
    """One slice as it is looked at.

    Args:
        name: axial, coronal or sagittal.
        hu: (rows, columns), the first row on top.
        size_mm: (height, width), from edge to edge.
        letters: where the picture's edges lie in the patient: left, right, top, bottom.
    """

    name: str
    hu: NDArray[np.int16]
    size_mm: tuple[float, float]
    letters: tuple[str, str, str, str]


def letter_of(step: NDArray[np.floating]) -> str:
    """Where a direction in LPS leads to: L, R, P, A, H or F, the nearest of the six.

    Args:
        step: (x, y, z) in mm.
    """
    axis = int(np.abs(step).argmax())
    return _LETTERS[axis][int(step[axis] < 0)]


def middle_planes(hu: NDArray[np.int16], affine: NDArray[np.float64]) -> list[Plane]:
    """The middle slices of a volume as radiologists look at them.

    Axial from the feet, coronal from the front, sagittal from the patient's left. What the edges
    are called is worked out from the affine, not taken for granted.

    Args:
        hu: (z, y, x), canonical: z to the head, y to posterior, x to left.
        affine: (4, 4), index (z, y, x, 1) to LPS mm.
    """
    steps = [affine[:3, axis] for axis in range(3)]
    spacing = [float(np.linalg.norm(step)) for step in steps]
    z, y, x = (length // 2 for length in hu.shape)
    # Of each plane: its picture, the axis and sign of a step down and of a step to the right.
    views = (
        ("axial", hu[z], (1, 1), (2, 1)),
        ("coronal", hu[::-1, y], (0, -1), (2, 1)),
        ("sagittal", hu[::-1, :, x], (0, -1), (1, 1)),
    )
    planes = []
    for name, picture, (down, way_down), (right, way_right) in views:
        height, width = (
            n * spacing[axis] for n, axis in zip(picture.shape, (down, right), strict=True)
        )
        to_right, to_bottom = steps[right] * way_right, steps[down] * way_down
        letters = (
            letter_of(-to_right), letter_of(to_right), letter_of(-to_bottom), letter_of(to_bottom),
        )  # fmt: skip
        planes.append(Plane(name, picture, (height, width), letters))
    return planes


def montage_jpeg(
    hu: NDArray[np.int16],
    affine: NDArray[np.float64],
    window: tuple[float, float] = LUNG_WINDOW,
) -> bytes:
    """A JPEG of the three middle slices beside each other, drawn to one scale.

    Args:
        hu, affine: see `middle_planes`.
        window: HU that are black and white.
    """
    import matplotlib as mpl

    with mpl.rc_context(PLAIN_TEXT):
        return _drawn(middle_planes(hu, affine), window)


def _drawn(planes: list[Plane], window: tuple[float, float]) -> bytes:
    from matplotlib.figure import Figure

    total = sum(plane.size_mm[1] for plane in planes) + _GAP_MM * (len(planes) - 1)
    tallest = max(plane.size_mm[0] for plane in planes)
    pixels = min(_WIDTH_PX / total, _HEIGHT_PX / tallest)
    width, height = (max(length * pixels, 60) for length in (total, tallest))
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="black")
    left = 0.0
    for plane in planes:
        rows, columns = plane.size_mm
        place = (left / total, 1 - rows / tallest, columns / total, rows / tallest)
        axes = figure.add_axes(place)
        axes.set_axis_off()
        axes.imshow(
            plane.hu, cmap="gray", vmin=window[0], vmax=window[1], aspect="auto",
            extent=(0, columns, rows, 0), interpolation="bilinear",
        )  # fmt: skip
        _label(axes, plane)
        left += columns + _GAP_MM
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="jpg", dpi=_DPI, facecolor="black", pil_kwargs={"quality": _QUALITY}
    )
    return buffer.getvalue()


def draw_letters(axes: Any, letters: Sequence[str], size: float = 11) -> None:
    """Letters at the edges of a picture, readable on black and on white.

    Args:
        axes: of matplotlib, with the picture in them.
        letters: at the left, the right, the top, the bottom; the last ones may be missing.
        size: in points.
    """
    for letter, (x, y, across, along) in zip(letters, _PLACES, strict=False):
        axes.text(
            x, y, letter, color="#ffd60a", fontsize=size, weight="bold", ha=across, va=along,
            transform=axes.transAxes, path_effects=_outline(),
        )  # fmt: skip


def _outline() -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.5, foreground="black")]


def _label(axes: Any, plane: Plane) -> None:
    """Letters at the four edges and the scale bar, readable on black and on white."""
    from matplotlib.patheffects import withStroke

    height, width = plane.size_mm
    draw_letters(axes, plane.letters)
    if width > 1.5 * BAR_MM:
        x, y = 0.04 * width, height * 0.95
        axes.plot(
            [x, x + BAR_MM], [y, y], color="white", linewidth=2.5, solid_capstyle="butt",
            path_effects=[withStroke(linewidth=4.5, foreground="black")],
        )  # fmt: skip
        axes.text(
            x, y - 0.02 * height, f"{BAR_MM / 10:g} cm", color="white", fontsize=8, va="bottom",
            path_effects=_outline(),
        )  # fmt: skip
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
