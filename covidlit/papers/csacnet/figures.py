"""Figure 2 and the readers on the ROC plane, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from covidlit.counted import counted
from covidlit.evaluation.estimate import format_level
from covidlit.evaluation.figures import (
    BLUE,
    CLASS_COLOURS,
    GREEN,
    GREY,
    ORANGE,
    auc_label,
    label_roc_axes,
    svg_figure,
    svg_text,
)
from covidlit.figure_text import plain

INK = "#1f2937"
CONTRAST_COLOURS = (INK, "#E69F00", GREEN)
"""Black, yellow and green, as in the paper."""

METHOD_COLOURS = tuple(colour for colour in CLASS_COLOURS if colour != GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
MAX_METHODS = len(METHOD_COLOURS)


def contrast_figure(
    records: Sequence[dict[str, Any]], confidence: float, synthetic: bool
) -> str | None:
    """Figure 2, left: the ROC curves of the contrasts with their operating points, or None.

    Args:
        records: from `contrasts`; the band is drawn for the first.
        confidence: level of the intervals.
        synthetic: whether to mark the figure.
    """
    drawn = [(record, colour) for record, colour in zip(records, CONTRAST_COLOURS, strict=True)]
    drawn = [(record, colour) for record, colour in drawn if record["roc"] is not None]
    if not drawn:
        return None
    with svg_figure((5.0, 4.9), "contrasts") as figure:
        axes = figure.add_subplot()
        first = records[0]
        if first["roc"] is not None:
            _band(axes, first["roc"], INK, f"{format_level(confidence)} band, {first['name']}")
        _chance(axes)
        for record, colour in drawn:
            label = f"{record['name']}, {auc_label(record['auc'])}"
            axes.plot(record["roc"]["fpr"], record["roc"]["tpr"], color=colour, lw=1.8, label=label)
            _point(axes, record["specificity"], record["sensitivity"], colour, "o")
        _roc_axes(axes)
        names = ", ".join(f"{record['name']} {record['auc']['value']:.3f}" for record, _ in drawn)
        return svg_text(
            figure, "contrasts", f"ROC curves of the contrasts, AUC: {names}", synthetic
        )


def initial_result_figure(records: Sequence[dict[str, Any]], synthetic: bool) -> str | None:
    """Figure 2, right: ROC curves of the methods by the first RT-PCR result, or None.

    Args:
        records: from `by_initial_result`, one per method; solid for initially positive cases,
            dashed for initially negative ones.
        synthetic: whether to mark the figure.
    """
    styles = {"positive": ("-", "IRP"), "negative": ("--", "IRN")}
    curves = [
        (record, group, colour)
        for record, colour in zip(records, METHOD_COLOURS, strict=False)
        for group in styles
        if record["groups"][group]["roc"] is not None
    ]
    if not curves:
        return None
    with svg_figure((5.0, 4.9), "initial") as figure:
        axes = figure.add_subplot()
        _chance(axes)
        for record, group, colour in curves:
            style, short = styles[group]
            found = record["groups"][group]
            label = f"{plain(record['name'], 34)}, {short}, {auc_label(found['auc'])}"
            axes.plot(
                found["roc"]["fpr"],
                found["roc"]["tpr"],
                color=colour,
                lw=1.6,
                ls=style,
                label=label,
            )
        _roc_axes(axes, small=len(curves) > 4)
        text = "ROC curves of the methods for initially positive and initially negative cases"
        return svg_text(figure, "initial", text, synthetic)


def reader_figure(
    overall: dict[str, Any],
    readers: Sequence[dict[str, Any]],
    method: str,
    confidence: float,
    synthetic: bool,
) -> str | None:
    """The readers as points, with their intervals, on the ROC plane of the model; None without.

    Args:
        overall: the first record of `contrasts`.
        readers: records of `reader_study`.
        method: name of the model.
        confidence: level of the intervals.
        synthetic: whether to mark the figure.
    """
    points = [r for r in readers if _defined(r["sensitivity"]) and _defined(r["specificity"])]
    if overall["roc"] is None or not points:
        return None
    with svg_figure((5.0, 4.9), "readers") as figure:
        axes = figure.add_subplot()
        _band(axes, overall["roc"], BLUE, f"{format_level(confidence)} band")
        _chance(axes)
        axes.plot(
            overall["roc"]["fpr"],
            overall["roc"]["tpr"],
            color=BLUE,
            lw=2,
            label=f"{plain(method, 34)}, {auc_label(overall['auc'])}",
        )
        _point(axes, overall["specificity"], overall["sensitivity"], BLUE, "o", "operating point")
        for place, reader in enumerate(points):
            marker = MARKERS[place % len(MARKERS)]
            name = f"reader {plain(reader['name'], 34)}"
            _point(axes, reader["specificity"], reader["sensitivity"], ORANGE, marker, name)
        _roc_axes(axes)
        text = f"{counted(len(points), 'reader')} on the ROC plane of {method}"
        return svg_text(figure, "readers", text, synthetic)


def _defined(estimate: dict[str, Any]) -> bool:
    return estimate["value"] is not None and estimate["low"] is not None


def _chance(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")


def _band(axes: Axes, roc: dict[str, Any], colour: str, label: str) -> None:
    band = roc["band"]
    axes.fill_between(
        band["fpr"], band["low"], band["high"], color=colour, alpha=0.13, lw=0, label=label
    )


def _point(
    axes: Axes,
    specificity: dict[str, Any],
    sensitivity: dict[str, Any],
    colour: str,
    marker: str,
    label: str | None = None,
) -> None:
    """An operating point or a reader, with both intervals."""
    if not (_defined(specificity) and _defined(sensitivity)):
        return
    x, y = specificity, sensitivity
    axes.errorbar(
        1 - x["value"],
        y["value"],
        xerr=[[max(0.0, x["high"] - x["value"])], [max(0.0, x["value"] - x["low"])]],
        yerr=[[max(0.0, y["value"] - y["low"])], [max(0.0, y["high"] - y["value"])]],
        color=colour,
        marker=marker,
        ms=6,
        mec="white",
        mew=0.6,
        capsize=2,
        lw=1.1,
        label=label,
        ls="none",
        zorder=5,
    )


def _roc_axes(axes: Axes, small: bool = False) -> None:
    label_roc_axes(axes)
    axes.legend(loc="lower right", fontsize=7.5 if small else 9)
