"""The decision curve of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.evaluation.estimate import format_level
from covidlit.evaluation.figures import BLUE, GREEN, GREY, ORANGE, WIDE, svg_figure, svg_text


def decision_figure(
    points: Sequence[dict[str, Any]],
    thresholds: NDArray[np.floating],
    confidence: float,
    synthetic: bool = False,
) -> str:
    """Net benefit of the score, of treating all and of treating none, as an `<svg>`.

    Args:
        points: of `covidlit.evaluation.decision_curve.decision_curve`.
        thresholds: operating points, drawn as lines.
        confidence: level of the intervals.
        synthetic: whether to mark the figure.
    """
    at = np.array([point["threshold"] for point in points])
    own = [point["net_benefit"] for point in points]
    every = np.array([point["treat_all"] for point in points])
    values = np.array([record["value"] for record in own])
    ends = [(r["value"], r["value"]) if r["low"] is None else (r["low"], r["high"]) for r in own]
    low, high = np.array(ends).T
    top = max(float(high.max()), float(every.max()), 0.01)
    with svg_figure((WIDE, 3.6), "decision") as figure:
        axes = figure.add_subplot()
        if any(record["low"] is not None for record in own):
            label = f"{format_level(confidence)} interval"
            axes.fill_between(at, low, high, color=BLUE, alpha=0.18, lw=0, label=label)
        axes.plot(at, values, color=BLUE, lw=2, label="this score")
        axes.plot(at, every, color=GREEN, lw=1.4, ls="--", label="treat all")
        axes.axhline(0.0, color=GREY, lw=1.2, ls=":", label="treat none")
        for value in thresholds:
            axes.axvline(value, color=ORANGE, lw=1.2, ls="--")
        # Treating all falls without end: what lies far below treating none is not looked at.
        axes.set(
            xlabel="threshold probability",
            ylabel="net benefit",
            xlim=(0, 1),
            ylim=(-0.35 * top, 1.08 * top),
        )
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
        return svg_text(figure, "decision", "Net benefit by threshold probability", synthetic)
