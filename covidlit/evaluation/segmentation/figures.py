"""Figures of the report of a segmentation."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from covidlit.evaluation.estimate import format_level
from covidlit.evaluation.figures import BLUE, GREEN, GREY, ORANGE, WIDE, svg_figure, svg_text
from covidlit.evaluation.segmentation.froc import RATES
from covidlit.evaluation.segmentation.overlap import LESION

_MOST_FALSE = 8.0


def froc_figure(part: Mapping[str, Any], confidence: float, synthetic: bool) -> str | None:
    """Sensitivity against false positives per slice, with the intervals at the usual rates."""
    curve = part["froc_curve"]
    if not curve["score"]:
        return None
    with svg_figure((WIDE, 3.6), "froc") as figure:
        axes = figure.add_subplot()
        x = np.maximum(np.asarray(curve["false_positives"]), 1e-3)
        axes.step(x, curve["sensitivity"], where="post", color=BLUE, lw=1.6)
        for rate in RATES:
            own = part["froc"][f"{rate:g}"]
            if own["low"] is not None:
                axes.plot([rate, rate], [own["low"], own["high"]], color=GREY, lw=1.2)
            axes.plot(rate, own["value"], "o", color=BLUE, ms=4)
        axes.set(
            xscale="log",
            xlim=(RATES[0] / 2, _MOST_FALSE),
            ylim=(-0.02, 1.02),
            xlabel="false positives per slice",
            ylabel="lesions found",
            xticks=list(RATES),
        )
        axes.set_xticklabels([f"{rate:g}" for rate in RATES])
        axes.minorticks_off()
        level = format_level(confidence)
        text = f"FROC curve with {level} intervals at {len(RATES)} rates of false positives."
        return svg_text(figure, "froc", text, synthetic)


def dice_figure(part: Mapping[str, Any], synthetic: bool) -> str:
    """Dice of every class with its interval."""
    named = [(n, v["dice"]) for n, v in part["overlap"].items() if v["dice"]["value"] is not None]
    with svg_figure((WIDE, 0.9 + 0.36 * max(len(named), 1)), "dice") as figure:
        axes = figure.add_subplot()
        for place, (name, own) in enumerate(reversed(named)):
            colour = ORANGE if name == LESION else BLUE
            if own["low"] is not None:
                axes.plot([own["low"], own["high"]], [place, place], color=colour, lw=2)
            axes.plot(own["value"], place, "o", color=colour, ms=5)
        axes.set(
            xlim=(-0.02, 1.02),
            ylim=(-0.6, len(named) - 0.4),
            xlabel="Dice",
            yticks=range(len(named)),
        )
        axes.set_yticklabels([name.replace("_", " ") for name, _ in reversed(named)])
        axes.grid(axis="x", color="#e5e7eb", lw=0.6)
        axes.set_axisbelow(True)
        return svg_text(figure, "dice", "Dice of every class with its interval.", synthetic)


def volume_figure(
    true: NDArray[np.floating], predicted: NDArray[np.floating], unit: str, synthetic: bool
) -> str | None:
    """Predicted against true volume of the lesions of each scan."""
    known = np.isfinite(true) & np.isfinite(predicted)
    if not known.any():
        return None
    with svg_figure((3.8, 3.6), "volume") as figure:
        axes = figure.add_subplot()
        most = 1.05 * float(max(true[known].max(), predicted[known].max(), 1e-6))
        axes.plot([0, most], [0, most], color=GREY, lw=0.8, ls=":")
        axes.plot(true[known], predicted[known], "o", color=BLUE, ms=4, alpha=0.7)
        axes.set(
            xlim=(0, most), ylim=(0, most), aspect="equal",
            xlabel=f"true volume ({unit})", ylabel=f"predicted volume ({unit})",
        )  # fmt: skip
        return svg_text(figure, "volume", "Predicted against true volume of scans.", synthetic)


def slice_picture(
    image: NDArray[np.floating],
    outlines: Sequence[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]],
    size: float = 3.0,
) -> bytes:
    """A slice without and with outlines, as PNG.

    Args:
        image: (rows, columns) in [0, 1].
        outlines: name, truth and prediction of each class; the lung thin and blue, lesions green
            (truth) and orange (prediction).
        size: inches of each of the two pictures.
    """
    shape = image.shape
    width = size * shape[1] / shape[0]
    with mpl.rc_context({"savefig.dpi": 110}):
        figure = Figure(figsize=(2 * width + 0.05, size))
        for place, drawn in enumerate((False, True)):
            axes = figure.add_axes((place * 0.505, 0, 0.495, 1))
            axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_axis_off()
            for name, truth, predicted in outlines if drawn else ():
                thin = name == "lung"
                for mask, colour, style in (
                    (truth, BLUE if thin else GREEN, "-"),
                    (predicted, BLUE if thin else ORANGE, "--" if thin else "-"),
                ):
                    if mask.any():
                        # Padded, so that an outline on the border is closed; at pixel edges.
                        padded = np.pad(mask.astype(float), 1)
                        x, y = np.arange(-1, shape[1] + 1), np.arange(-1, shape[0] + 1)
                        axes.contour(
                            x, y, padded, levels=[0.5], colors=[colour],
                            linewidths=0.6 if thin else 1.1, linestyles=style,
                        )  # fmt: skip
            axes.set_xlim(-0.5, shape[1] - 0.5)
            axes.set_ylim(shape[0] - 0.5, -0.5)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
