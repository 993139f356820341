"""Figures of the report as inline SVG: text stays text, so they are small, sharp and searchable."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from math import ceil
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from covidlit.evaluation.estimate import format_level
from covidlit.evaluation.roc import roc_points
from covidlit.figure_text import PLAIN_TEXT, plain

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#6b7280"
"""Colours that colour-blind readers can tell apart (Okabe and Ito, 2008), and a grey."""

WIDE = 5.4
"""Width in inches of the wide figures: on a phone their text is still about 9 px high."""

LINE_STYLES = ("-", "--", "-.", ":")
"""Tell lines apart of which there are more than colours."""

_LEGEND_COLUMNS = 3

CLASS_COLOURS = (BLUE, GREEN, PURPLE, "#E69F00", "#56B4E9", GREY)

MAX_CLASSES = 16
"""Histograms that are drawn one below the other; the rarest classes beyond these are joined."""

_STYLE: dict[Any, Any] = {
    **PLAIN_TEXT,
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": "#9ca3af",
    "axes.labelcolor": "#374151",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "xtick.color": "#374151",
    "ytick.color": "#374151",
    "legend.frameon": False,
    "legend.fontsize": 9,
}


@contextmanager
def svg_figure(size: tuple[float, float], salt: str) -> Iterator[Figure]:
    """A figure in the style of the pages; `size` in inches, `salt` its name, for stable output."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": salt}):
        yield Figure(figsize=size, layout="constrained")


def svg_text(figure: Figure, name: str, description: str, synthetic: bool) -> str:
    """The figure as an `<svg>` element that scales with the page and is described for readers."""
    if synthetic:
        figure.supxlabel("synthetic data", fontsize=8, color=ORANGE, x=0.995, ha="right")
    buffer = io.StringIO()
    with warnings.catch_warnings():  # the page's font draws the text, not matplotlib's
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1, flags=re.DOTALL)
    # Identifiers are shared by all figures of the page: make them this figure's own.
    text = re.sub(r"<[^>]*>", lambda tag: _own_identifiers(tag.group(), name), text)
    description = plain(description, 2000)
    description = description.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("<svg", f'<svg role="img" aria-label="{description}"', 1)


def _own_identifiers(tag: str, name: str) -> str:
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", tag)


def auc_label(record: dict[str, Any]) -> str:
    """Such as "AUC 0.912", or "AUC 0.912 (mean of 5 folds)" of a cross-validation."""
    which = record["method"].partition(",")[0]
    mean = f" ({which})" if which.startswith("mean of") else ""
    return f"AUC {record['value']:.3f}{mean}"


def _arms(records: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
    """Lengths of the error bars below and above each estimate, shape (2, n); 0 without interval."""
    arms = [
        (0.0, 0.0)
        if record["low"] is None
        else (record["value"] - record["low"], record["high"] - record["value"])
        for record in records
    ]
    return np.maximum(0.0, np.array(arms, dtype=np.float64).reshape(-1, 2).T)


def label_roc_axes(axes: Axes) -> None:
    """Name and limit the axes of a ROC plane."""
    axes.set(
        xlabel="1 − specificity (false positive rate)",
        ylabel="sensitivity (true positive rate)",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        aspect="equal",
    )


def roc_figure(
    part: dict[str, Any],
    validation: dict[str, Any] | None,
    confidence: float,
    synthetic: bool = False,
    folds: Sequence[pd.DataFrame] = (),
) -> str:
    """ROC curve of a part with its band and operating point; validation curve dashed.

    Args:
        part: the record of the test part.
        validation: that of the validation part, or None.
        confidence: level of the band.
        synthetic: whether to mark the figure.
        folds: scored test rows of each fold, whose curves are drawn thin behind the pooled one.
    """
    roc, measures = part["roc"], part["at_operating_point"]
    with svg_figure((5.0, 4.9), "roc") as figure:
        axes = figure.add_subplot()
        if (band := roc["band"]) is not None:
            label = f"{format_level(confidence)} band"
            axes.fill_between(
                band["fpr"], band["low"], band["high"], color=BLUE, alpha=0.18, lw=0, label=label
            )
        axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":", label="chance")
        if validation is not None and validation["roc"] is not None:
            curve = validation["roc"]
            axes.plot(
                curve["fpr"],
                curve["tpr"],
                color=GREY,
                lw=1.2,
                ls="--",
                label=f"validation, {auc_label(_of_the_curve(validation))}",
            )
        for rows in folds:
            false, true, _ = roc_points(rows["target"].to_numpy(bool), rows["score"].to_numpy())
            if false[-1] and true[-1]:
                axes.plot(false / false[-1], true / true[-1], color=BLUE, lw=0.7, alpha=0.45)
        which = "test, folds pooled" if folds else "test"
        label = f"{which}, {auc_label(_of_the_curve(part))}"
        axes.plot(roc["fpr"], roc["tpr"], color=BLUE, lw=2, label=label)
        x, y = measures["specificity"], measures["sensitivity"]
        axes.errorbar(
            1 - x["value"],
            y["value"],
            xerr=_arms([x])[::-1],  # the axis is 1 - specificity: the arms change sides
            yerr=_arms([y]),
            color=ORANGE,
            marker="o",
            ms=6,
            capsize=2,
            lw=1.2,
            label="operating point",
            zorder=5,
        )
        label_roc_axes(axes)
        axes.legend(loc="lower right")
        text = f"ROC curve of the test part, {auc_label(_of_the_curve(part))}"
        return svg_text(figure, "roc", text, synthetic)


def _of_the_curve(part: dict[str, Any]) -> dict[str, Any]:
    """The AUC of the curve that is drawn, which of several folds is the pooled one."""
    record: dict[str, Any] = part.get("auc_pooled", part["auc"])
    return record


def score_figure(
    table: pd.DataFrame, threshold: NDArray[np.floating], synthetic: bool = False
) -> str:
    """Distribution of the scores, one histogram per class, with the threshold.

    Of more than `MAX_CLASSES` classes the rarest are joined, positive and negative ones apart.

    Args:
        table: scored rows of one part.
        threshold: the distinct thresholds that were applied.
        synthetic: whether to mark the figure.
    """
    target = table["target"].map({0: "negative", 1: "positive"}).astype("string")
    names = table["class_name"].astype("string").fillna(target)
    groups = table.assign(group=_joined(names, table["target"])).groupby("group")
    order = sorted(groups.groups, key=lambda name: -groups.get_group(name)["target"].mean())
    with svg_figure((WIDE, 0.7 + 1.1 * len(order)), "scores") as figure:
        all_axes = figure.subplots(len(order), 1, sharex=True, squeeze=False)[:, 0]
        for axes, name, colour in zip(all_axes, order, cycle(CLASS_COLOURS), strict=False):
            rows = groups.get_group(name)
            counts, edges = np.histogram(rows["score"], bins=np.linspace(0, 1, 41))
            axes.stairs(counts, edges, fill=True, color=colour, alpha=0.85)
            axes.set_ylim(0, 1.08 * counts.max())
            kind = "positive" if rows["target"].mean() > 0.5 else "negative"
            axes.set_title(f"{plain(name)} ({kind}, n = {len(rows)})", loc="left", pad=2)
            axes.set_ylabel("scans")
            axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(3, integer=True))
            for value in threshold:
                axes.axvline(value, color=ORANGE, lw=1.2, ls="--")
        all_axes[-1].set(xlabel="score (dashed: threshold)", xlim=(0, 1))
        return svg_text(figure, "scores", "Histograms of the scores by class", synthetic)


def _joined(names: pd.Series, target: pd.Series) -> pd.Series:
    """The names with the rarest joined to "N further positive (or negative) classes"."""
    counts = names.value_counts()
    if len(counts) <= MAX_CLASSES:
        return names
    further = ~names.isin(counts.index[: MAX_CLASSES - 2])
    for value, kind in ((1, "positive"), (0, "negative")):
        rows = further & (target == value)
        names = names.mask(rows, f"{names[rows].nunique()} further {kind} classes")
    return names


def calibration_figure(record: dict[str, Any], synthetic: bool = False) -> str:
    """Calibration curve: observed share of positives against the mean score of each bin."""
    curve = record["curve"]
    x = np.array([point["mean_score"] for point in curve])
    y = np.array([point["observed"]["value"] for point in curve])
    with svg_figure((5.0, 4.9), "calibration") as figure:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":", label="perfect")
        axes.errorbar(
            x,
            y,
            yerr=_arms([point["observed"] for point in curve]),
            color=BLUE,
            marker="o",
            ms=5,
            capsize=2,
            lw=1.4,
            elinewidth=1,
            label="observed, with interval",
        )
        axes.set(
            xlabel="mean score of the bin",
            ylabel="observed share of positive scans",
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02),
            aspect="equal",
        )
        axes.legend(loc="upper left")
        return svg_text(figure, "calibration", "Calibration curve", synthetic)


def threshold_figure(
    table: pd.DataFrame, threshold: NDArray[np.floating], synthetic: bool = False
) -> str:
    """Sensitivity and specificity as functions of the threshold.

    Args:
        table: scored rows of one part, with both classes.
        threshold: the distinct thresholds that were applied.
        synthetic: whether to mark the figure.
    """
    target, score = table["target"].to_numpy(bool), table["score"].to_numpy(float)
    grid = np.linspace(0, 1, 201)
    sensitivity = (score[target][:, None] >= grid).mean(axis=0)
    specificity = (score[~target][:, None] < grid).mean(axis=0)
    with svg_figure((WIDE, 3.2), "threshold") as figure:
        axes = figure.add_subplot()
        axes.plot(grid, sensitivity, color=BLUE, lw=1.8, label="sensitivity")
        axes.plot(grid, specificity, color=GREEN, lw=1.8, label="specificity")
        for value in threshold:
            axes.axvline(value, color=ORANGE, lw=1.2, ls="--")
        axes.set(xlabel="threshold (dashed: operating point)", xlim=(0, 1), ylim=(-0.02, 1.02))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        return svg_text(figure, "threshold", "Sensitivity and specificity by threshold", synthetic)


def training_figure(curve: pd.DataFrame, synthetic: bool = False) -> str | None:
    """Losses, and below them AUCs, accuracies, F1 scores and Dice, by epoch; None without any.

    Args:
        curve: one row per epoch with `epoch` (else the row number) and columns such as
            `train_loss`, `val_loss`, `val_auc`.
        synthetic: whether to mark the figure.
    """
    numbers = curve.select_dtypes("number")
    numbers = numbers.loc[:, numbers.notna().any()]
    epoch = numbers["epoch"] if "epoch" in numbers.columns else pd.Series(range(len(numbers)))
    names = [str(name) for name in numbers.columns if name not in ("epoch", "step")]
    losses = [name for name in names if "loss" in name]
    others = [
        name for name in names if "loss" not in name and re.search("auc|acc|f1|dice|map_", name)
    ]
    panels = [panel for panel in (losses, others) if panel]
    if not panels or len(numbers) == 0:
        return None
    height = sum(2.2 + 0.2 * ceil(len(panel) / _LEGEND_COLUMNS) for panel in panels)
    with svg_figure((WIDE, height), "training") as figure:
        all_axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, panel in zip(all_axes, panels, strict=True):
            _draw_lines(axes, epoch, numbers[panel])
        all_axes[-1].set_xlabel("epoch")
        all_axes[-1].xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        return svg_text(figure, "training", "Training curves by epoch", synthetic)


def _draw_lines(axes: Axes, epoch: pd.Series, columns: pd.DataFrame) -> None:
    colours = (BLUE, ORANGE, GREEN, PURPLE, "#E69F00", GREY)
    styles = [(style, colour) for style in LINE_STYLES for colour in colours]
    for (style, colour), (name, values) in zip(cycle(styles), columns.items(), strict=False):
        known = values.notna().to_numpy()
        marker = "o" if known.sum() < 20 else None
        axes.plot(
            epoch.to_numpy()[known],
            values.to_numpy()[known],
            color=colour,
            ls=style,
            lw=1.6,
            marker=marker,
            ms=3.5,
            label=plain(_written_out(str(name)), 34),
        )
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=_LEGEND_COLUMNS)


def _written_out(name: str) -> str:
    return name.replace("_", " ").replace("val ", "validation ").replace("auc", "AUC")
