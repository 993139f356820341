"""Figures of a sweep's page as inline SVG: history, parallel coordinates, importances, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial

from covidlit.evaluation.figures import BLUE, GREY, ORANGE, WIDE, svg_figure, svg_text
from covidlit.figure_text import plain
from covidlit.sweep.parameter_axis import ParameterAxis, value_axis
from covidlit.sweep.summary import Summary, curve_of, outcome, short_names, value_of

HIGHLIGHTED = 5
"""How many of the best trials stand out in the parallel coordinates."""

_ROW = 0.72
"""Height in inches of one parameter's axis."""


def history_figure(summary: Summary, metric: str, synthetic: bool = False) -> str | None:
    """Value of each trial with the best so far; pruned ones at their last report.

    None where no trial has a value or a report.
    """
    finished = [(t.number, value_of(t)) for t in summary.finished]
    pruned = [
        (t.number, curve_of(t)[-1][1])
        for t in summary.trials
        if outcome(t) == "pruned" and curve_of(t)
    ]
    if not finished and not pruned:
        return None
    with svg_figure((WIDE, 3.2), "history") as figure:
        axes = figure.add_subplot()
        if pruned:
            axes.plot(*zip(*pruned, strict=True), "x", color=GREY, ms=5, label="pruned, last seen")
        if finished:
            numbers, values = map(np.array, zip(*finished, strict=True))
            best = running_best(values, summary.maximise)
            axes.step(numbers, best, where="post", color=ORANGE, lw=1.8, label="best so far")
            axes.plot(numbers, values, "o", color=BLUE, ms=5, alpha=0.85, label="finished")
        axes.set(xlabel="trial", ylabel=plain(metric))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        return svg_text(figure, "history", f"{metric} of each trial, best so far", synthetic)


def running_best(values: np.ndarray, maximise: bool) -> np.ndarray:
    """The best of each value and those before it, shape (n,)."""
    return np.maximum.accumulate(values) if maximise else np.minimum.accumulate(values)


def parallel_figure(summary: Summary, metric: str, synthetic: bool = False) -> str | None:
    """Parallel coordinates of the finished trials, one axis below the other.

    The axes lie, so that any number of parameters can be read on a phone; the last one is the
    value. A parameter that a trial did not draw stands at the right end, marked "not drawn".
    None where no trial with a parameter has finished.
    """
    ranked = summary.ranked()
    names = list(dict.fromkeys(name for t in summary.trials for name in t.params if ranked))
    if not names or not any(trial.params for trial in ranked):
        return None
    short = short_names(names)
    rows = [ParameterAxis.of(name, short[name], ranked) for name in names]
    rows = [*rows, value_axis(metric, [value_of(trial) for trial in ranked])]
    with svg_figure((WIDE, 0.6 + _ROW * len(rows)), "parallel") as figure:
        axes = figure.add_subplot()
        for height, row in enumerate(rows):
            _draw_axis(axes, height, row)
        for place, trial in reversed(list(enumerate(ranked))):
            x = [row.place(trial.params.get(row.name)) for row in rows[:-1]]
            x.append(rows[-1].place(trial.value))
            colour, width = (ORANGE, 2.2) if place == 0 else (BLUE, 1.3)
            if place >= HIGHLIGHTED:
                colour, width = "#c4c9d1", 0.8
            axes.plot(x, range(len(rows)), color=colour, lw=width, zorder=3 - place / len(ranked))
        axes.set(xlim=(-0.03, 1.2), ylim=(len(rows) - 0.35, -0.55))
        axes.axis("off")
        keys = [Line2D([], [], color=ORANGE, lw=2.2, label=f"best (trial {ranked[0].number})")]
        if len(ranked) > 1:
            label = f"next {min(HIGHLIGHTED, len(ranked)) - 1}"
            keys.append(Line2D([], [], color=BLUE, lw=1.3, label=label))
        if len(ranked) > HIGHLIGHTED:
            keys.append(Line2D([], [], color="#c4c9d1", label="the others"))
        figure.legend(handles=keys, loc="outside upper left", ncols=3)
        return svg_text(figure, "parallel", "Parameters of the finished trials", synthetic)


def _draw_axis(axes: Axes, height: int, row: ParameterAxis) -> None:
    """A lying axis with its name above it and its ticks below."""
    axes.plot([0, 1], [height, height], color="#9ca3af", lw=0.9, zorder=1)
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}
    name = plain(row.label, 44) + (" (log)" if row.log else "")
    axes.text(0, height - 0.13, name, fontsize=9, weight="bold", va="bottom", bbox=box, zorder=5)
    ticks = [*row.ticks]
    if row.some_missing:
        ticks.append((row.place(None), "not drawn"))
    for x, label in ticks:
        axes.plot([x, x], [height - 0.06, height + 0.06], color="#6b7280", lw=0.9, zorder=2)
        side = "left" if x < 0.02 else "right" if x == 1 and not row.some_missing else "center"
        axes.text(
            x, height + 0.1, plain(label, 46), fontsize=8, va="top", ha=side, bbox=box, zorder=5,
            color="#374151",
        )  # fmt: skip


def importance_figure(importances: Mapping[str, float], synthetic: bool = False) -> str:
    """Shares of the parameters in how far the value varies, the largest first."""
    short = short_names(list(importances))
    with svg_figure((WIDE, 0.9 + 0.36 * len(importances)), "importances") as figure:
        axes = figure.add_subplot()
        places = range(len(importances))
        axes.barh(places, list(importances.values()), color=BLUE, height=0.6)
        axes.set_yticks(places, [plain(short[n], 26) for n in importances])
        axes.set(xlabel="share of the importance", xlim=(0, None))
        axes.set_ylim(len(importances) - 0.4, -0.6)
        described = ", ".join(f"{short[name]} {share:.2f}" for name, share in importances.items())
        return svg_text(figure, "importances", f"Importances: {described}", synthetic)


def curves_figure(summary: Summary, metric: str, step: str, synthetic: bool = False) -> str | None:
    """Reported values of the finished and the pruned trials; None where nothing was reported.

    Args:
        summary: of the study.
        metric: name of the reported values.
        step: what a step is: epoch or fold.
        synthetic: whether to mark the figure.
    """
    kinds = ("finished", "pruned")
    drawn = [t for t in summary.trials if outcome(t) in kinds and curve_of(t)]
    if not drawn:
        return None
    with svg_figure((WIDE, 3.4), "curves") as figure:
        axes = figure.add_subplot()
        for trial in drawn:
            _draw_curve(axes, trial, best=trial is summary.best)
        axes.set(xlabel=plain(step), ylabel=plain(metric))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(handles=_curve_keys(drawn, summary), loc="lower center",
                    bbox_to_anchor=(0.5, 1.0), ncols=3)  # fmt: skip
        return svg_text(figure, "curves", f"{metric} by {step} of each trial", synthetic)


def _draw_curve(axes: Axes, trial: FrozenTrial, best: bool) -> None:
    steps, values = zip(*curve_of(trial), strict=True)
    if best:
        axes.plot(steps, values, color=ORANGE, lw=2.2, zorder=4, marker="o", ms=3)
    elif outcome(trial) == "finished":
        alone = "o" if len(steps) == 1 else None
        axes.plot(steps, values, color=BLUE, lw=1, alpha=0.55, zorder=3, marker=alone, ms=4)
    else:
        axes.plot(steps, values, color=GREY, lw=0.9, alpha=0.7, zorder=2)
        axes.plot(steps[-1], values[-1], "x", color=GREY, ms=6, zorder=3)


def _curve_keys(drawn: Sequence[FrozenTrial], summary: Summary) -> list[Line2D]:
    kinds = {outcome(trial) for trial in drawn if trial is not summary.best}
    keys = []
    if any(trial is summary.best for trial in drawn):
        keys.append(Line2D([], [], color=ORANGE, lw=2.2, label="best"))
    if "finished" in kinds:
        keys.append(Line2D([], [], color=BLUE, lw=1, label="finished"))
    if "pruned" in kinds:
        keys.append(Line2D([], [], color=GREY, lw=0.9, marker="x", label="pruned, and where"))
    return keys
