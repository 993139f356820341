"""Pictures of heat on CT slices, in the source series' geometry and on the absolute scale."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.figure_text import PLAIN_TEXT, plain
from covidlit.montage.picture import LUNG_WINDOW, draw_letters, letter_of
from covidlit.scans.scan import Scan

APART_MM = 20.0
"""Slices that are shown lie at least this far apart, so that they do not all show one lesion."""

_TEXT_PT = 9
"""With one slice in a column of 18 rem, as pages show it, letters are about 12 CSS pixels high."""

_LETTER_INCHES = 0.06
"""About the width of a letter of `_TEXT_PT`."""

_LINE_INCHES = 0.175
"""About the height of a line of it."""

_BAR_INCHES = 0.85
"""Width of the colour bar with its numbers."""

_PAGE_INCHES, _SLICE_INCHES = 8.2, 3.7
"""At 150 pixels per inch a picture is as wide as the page that shows it, about 1230 pixels, and one
of a single slice no taller than a screen."""

_DPI = 150
_COLOURS = "plasma"
_OPACITY = 0.8


def hottest_slices(
    largest: NDArray[np.floating], mean: NDArray[np.floating], spacing_z: float, n: int
) -> list[int]:
    """The axial slices with the most heat, each at least `APART_MM` from the ones before.

    Args:
        largest, mean: heat of each slice.
        spacing_z: mm between slices.
        n: how many; fewer where the volume is too short.

    Returns:
        Indices, the hottest first; the middle one alone where there is no heat.
    """
    if not largest.max() > 0:
        return [len(largest) // 2]
    # The largest heat decides, its sum breaks ties of maps that are constant between slices.
    rank = largest.astype(np.float64) + 1e-6 * largest.max() * mean / mean.max()
    place = np.arange(len(rank)) * spacing_z
    chosen: list[int] = []
    while len(chosen) < n and np.isfinite(rank).any() and rank.max() > 0:
        chosen.append(int(rank.argmax()))
        rank[np.abs(place - place[chosen[-1]]) < APART_MM] = -np.inf
    return chosen


def slice_inches(n_slices: int) -> float:
    """Width of each slice, so that so many fill the width of a page."""
    return min(_SLICE_INCHES, (_PAGE_INCHES - _BAR_INCHES) / n_slices)


def overlay_png(
    scan: Scan,
    heat: NDArray[np.float32] | Mapping[int, NDArray[np.float32]],
    scale: float,
    *,
    slices: Sequence[int],
    title: str,
    lesion: NDArray[np.bool_] | None = None,
    inches: float = 2.2,
) -> bytes:
    """A PNG of slices without and with heat, above each other, with sides and the colour bar.

    Seen as radiologists do: from the feet, the patient's left on the right.

    Args:
        scan: the source.
        heat: (z, y, x) on the scan's grid, or by index those slices of it that are drawn.
        scale: heat of the colour bar's upper end; what is hotter looks the same.
        slices: indices along z, one column each; the hottest first, as the picture says.
        title: its lines are shortened where they are longer than one holds; name no patient.
        lesion: (z, y, x) on the scan's grid; drawn as an outline.
        inches: width of one slice, at 150 pixels per inch.
    """
    import matplotlib as mpl

    with mpl.rc_context(PLAIN_TEXT):
        return _drawn(scan, heat, scale, slices, title, lesion, inches)


def _drawn(
    scan: Scan,
    heat: NDArray[np.float32] | Mapping[int, NDArray[np.float32]],
    scale: float,
    slices: Sequence[int],
    title: str,
    lesion: NDArray[np.bool_] | None,
    inches: float,
) -> bytes:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    _, row_mm, column_mm = scan.spacing
    aspect = row_mm / column_mm
    height = inches * aspect * scan.hu.shape[1] / scan.hu.shape[2]
    tight = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0)
    across = inches * len(slices)
    width = across + _BAR_INCHES
    lines = [plain(line, int(across / _LETTER_INCHES)) for line in title.split("\n")]
    texts = _LINE_INCHES * (len(lines) + 3)
    figure = Figure(figsize=(width, 2 * height + texts), layout=tight)
    axes = figure.subplots(2, len(slices), squeeze=False)
    image = None
    for column, index in enumerate(slices):
        sides = letter_of(-scan.affine[:3, 2]), letter_of(scan.affine[:3, 2])
        z_mm = float((scan.affine @ [index, 0, 0, 1])[2])
        for row in (0, 1):
            panel = axes[row, column]
            panel.set_axis_off()
            panel.set_anchor("E")  # the column below is moved by the colour bar, as its slices are
            low, high = LUNG_WINDOW
            panel.imshow(scan.hu[index], cmap="gray", vmin=low, vmax=high, aspect=aspect)
            draw_letters(panel, sides, _TEXT_PT)
            if lesion is not None and lesion[index].any():
                panel.contour(lesion[index], [0.5], colors="#00b7ff", linewidths=0.7)
        shown = np.clip(heat[index] / scale, 0, 1)
        image = axes[1, column].imshow(
            shown * scale, cmap=_COLOURS, vmin=0, vmax=scale, alpha=_OPACITY * shown**0.75,
            aspect=aspect, interpolation="bilinear",
        )  # fmt: skip
        axes[0, column].set_title(f"z = {z_mm:.0f} mm", fontsize=_TEXT_PT, pad=3)
    title_text = figure.suptitle("\n".join(lines), fontsize=_TEXT_PT)
    order = "Hottest slice first. " if len(slices) > 1 else ""
    use_text = figure.supxlabel(f"{order}For research use only.", fontsize=_TEXT_PT)
    bar = figure.colorbar(_solid(image), ax=list(axes[1]), fraction=0.05, pad=0.01)
    bar.set_label("heat (absolute)", fontsize=_TEXT_PT)
    bar.ax.tick_params(labelsize=_TEXT_PT)
    tight.execute(figure)  # now, to know where the slices lie, and not again as it is drawn
    figure.set_layout_engine("none")
    first, last = axes[0, 0].get_position(), axes[0, -1].get_position()
    for text in (title_text, use_text):
        text.set_x((first.x0 + last.x1) / 2)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white")
    return buffer.getvalue()


def _solid(image: Any) -> Any:
    """The colours of an image without its transparency, for the colour bar."""
    from matplotlib.cm import ScalarMappable

    return ScalarMappable(norm=image.norm, cmap=image.cmap)
