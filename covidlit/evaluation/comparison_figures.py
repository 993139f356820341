"""Figures of a comparison as inline SVG: ROC overlay, AUC differences, spread over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from covidlit.evaluation.figures import (
    BLUE,
    CLASS_COLOURS,
    GREY,
    LINE_STYLES,
    ORANGE,
    auc_label,
    label_roc_axes,
    svg_figure,
    svg_text,
)
from covidlit.evaluation.roc import roc_points
from covidlit.figure_text import plain

_LABEL = 34


def overlay_figure(
    target: NDArray[np.bool_],
    scores: Mapping[str, NDArray[np.float64]],
    models: Sequence[dict[str, Any]],
    synthetic: bool = False,
) -> str:
    """ROC curves of all models in one plot, with each one's operating point and AUC.

    Args:
        target: shape (n,), with both classes.
        scores: by model, shape (n,).
        models: the models' records of `Comparison.results`.
        synthetic: whether to mark the figure.
    """
    with svg_figure((5.0, 4.9 + 0.22 * len(models)), "overlay") as figure:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
        for number, model in enumerate(models):
            false, true, _ = roc_points(target, scores[model["model"]])
            colour = CLASS_COLOURS[number % len(CLASS_COLOURS)]
            name = plain(model["model"], _LABEL)
            axes.plot(
                false / (~target).sum(),
                true / target.sum(),
                color=colour,
                ls=LINE_STYLES[number // len(CLASS_COLOURS) % len(LINE_STYLES)],
                lw=1.8,
                label=f"{name}, {auc_label(model['auc'])}",
            )
            point = 1 - model["specificity"]["value"], model["sensitivity"]["value"]
            axes.plot(*point, color=colour, marker="o", ms=6, mec="white", zorder=5)
        label_roc_axes(axes)
        figure.legend(loc="outside lower left")
        named = ", ".join(f"{m['model']} {auc_label(m['auc'])}" for m in models)
        return svg_text(figure, "overlay", f"ROC curves of the test scans: {named}", synthetic)


def forest_figure(
    tests: Sequence[dict[str, Any]], synthetic: bool = False, of_what: str = "AUCs"
) -> str | None:
    """Differences with their intervals, one row per pair; None where none is defined."""
    rows = [test for test in tests if test["difference"]["value"] is not None]
    if not rows:
        return None
    with svg_figure((5.0, 0.9 + 0.5 * len(rows)), "forest") as figure:
        axes = figure.add_subplot()
        axes.axvline(0, color=GREY, lw=0.9, ls="--")
        for place, test in enumerate(rows):
            record = test["difference"]
            if record["low"] is not None:
                axes.plot([record["low"], record["high"]], [place, place], color=BLUE, lw=2)
            axes.plot(record["value"], place, color=BLUE, marker="s", ms=6)
        axes.set_yticks(range(len(rows)), [_pair(test) for test in rows])
        axes.set(xlabel=f"difference of the {of_what}", ylim=(len(rows) - 0.5, -0.5))
        reach = 1.1 * max(map(abs, axes.get_xlim()))
        axes.set_xlim(-reach, reach)
        return svg_text(figure, "forest", f"Differences of the {of_what} with intervals", synthetic)


def spread_figure(models: Sequence[dict[str, Any]], synthetic: bool = False) -> str | None:
    """AUC of every seed as a dot, their mean as a line and the AUC of the mean score as a diamond.

    None where no model has more than one seed with an AUC.
    """
    if all(model["auc_over_seeds"]["n"] < 2 for model in models):
        return None
    with svg_figure((5.0, 1.3 + 0.5 * len(models)), "spread") as figure:
        axes = figure.add_subplot()
        for place, model in enumerate(models):
            values = [seed["auc"]["value"] for seed in model["seeds"]]
            known = [value for value in values if value is not None]
            axes.plot(known, np.full(len(known), place), "o", color=BLUE, alpha=0.7, ms=6)
            if len(known) < 2:
                continue
            mean = model["auc_over_seeds"]["mean"]
            axes.plot([mean, mean], [place - 0.25, place + 0.25], color=GREY, lw=2)
            axes.plot(model["auc"]["value"], place + 0.3, "D", color=ORANGE, ms=6)
        names = [plain(model["model"], _LABEL) for model in models]
        axes.set_yticks(range(len(models)), names)
        axes.set(xlabel="AUC", ylim=(len(models) - 0.4, -0.6))
        keys = [
            Line2D([], [], color=BLUE, marker="o", ls="", label="one seed"),
            Line2D([], [], color=GREY, lw=2, label="mean of the seeds"),
            Line2D([], [], color=ORANGE, marker="D", ls="", label="of the mean score"),
        ]
        figure.legend(handles=keys, loc="outside upper left", ncols=3)
        return svg_text(figure, "spread", "AUC of each model by seed", synthetic)


def _pair(test: dict[str, Any]) -> str:
    return "\n− ".join(plain(test[side], _LABEL) for side in ("first", "second"))
