"""Figures of a survival run as inline SVG."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from covidlit.cohort.endpoint import TIME
from covidlit.cohort.risk_groups import risk_group_names
from covidlit.evaluation.estimate import format_level
from covidlit.evaluation.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    WIDE,
    svg_figure,
    svg_text,
)
from covidlit.evaluation.survival.product_limit import KaplanMeier, kaplan_meier

COLOURS = (BLUE, GREEN, "#E69F00", ORANGE, PURPLE)
_N_TICKS = 6


def kaplan_meier_figure(
    rows: pd.DataFrame, test: dict[str, Any], confidence: float, synthetic: bool = False
) -> str:
    """Survival by risk group with bands and censoring marks, and the numbers at risk below.

    Args:
        rows: scored rows of the test part.
        test: its record, for the log-rank test.
        confidence: level of the bands.
        synthetic: whether to mark the figure.
    """
    groups = sorted(rows["risk_group"].astype(int).unique())
    named = risk_group_names(max(groups) + 1)
    end = float(rows[TIME].max()) or 1.0
    locator = mpl.ticker.MaxNLocator(_N_TICKS, integer=end > _N_TICKS)
    ticks = np.asarray(locator.tick_values(0, end), dtype=float)
    ticks = ticks[(ticks >= 0) & (ticks <= end)]
    with svg_figure((WIDE, 3.6 + 0.25 * len(groups)), "survival") as figure:
        axes, below = figure.subplots(
            2, 1, sharex=True, height_ratios=[3.2, 0.25 + 0.25 * len(groups)]
        )
        for place, group in enumerate(groups):
            own = rows[rows["risk_group"] == group]
            curve = kaplan_meier(own[TIME].to_numpy(float), own["event"].to_numpy(int), confidence)
            label = f"{named[group]} (n = {len(own)})"
            _draw_curve(axes, curve, own, COLOURS[group % len(COLOURS)], label)
            for tick, number in zip(ticks, curve.number_at_risk(ticks), strict=True):
                below.text(tick, len(groups) - place, str(number), ha="center", va="center",
                           fontsize=9, color=COLOURS[group % len(COLOURS)])  # fmt: skip
        tested = test["log_rank"]
        if tested["p_value"] is not None:
            p = tested["p_value"]
            text = f"log-rank p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}"
            below.set_title(text, loc="right", fontsize=9, pad=2)
        axes.set(ylabel="without the event", ylim=(-0.02, 1.02), xlim=(-0.03 * end, 1.03 * end))
        axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(3, len(groups)))
        below.set(ylim=(0.3, len(groups) + 0.7), xlabel="days", xticks=ticks)
        below.set_yticks(
            [len(groups) - place for place in range(len(groups))],
            [named[group].removesuffix(" risk") for group in groups], fontsize=9,
        )  # fmt: skip
        below.set_title("at risk", loc="left", fontsize=9, pad=2)
        below.spines[["left", "bottom"]].set_visible(False)
        below.tick_params(left=False)
        return svg_text(figure, "survival", "Kaplan-Meier curves by risk group", synthetic)


def _draw_curve(axes: Any, curve: KaplanMeier, own: pd.DataFrame, colour: str, label: str) -> None:
    x = np.r_[0.0, curve.times]
    axes.step(x, np.r_[1.0, curve.survival], where="post", color=colour, lw=1.8, label=label)
    low, high = np.r_[np.nan, curve.low], np.r_[np.nan, curve.high]
    axes.fill_between(x, low, high, step="post", color=colour, alpha=0.15, lw=0)
    censored = own.loc[own["event"] == 0, TIME].to_numpy(float)
    axes.plot(censored, curve.curve.at(censored), ls="", marker="|", ms=5, mew=0.8, color=colour)


def auc_figure(test: dict[str, Any], confidence: float, synthetic: bool = False) -> str | None:
    """AUC by horizon with its band; None where it is undefined throughout."""
    known = [each for each in test["auc_over_time"] if each["auc"]["value"] is not None]
    if len(known) < 2:
        return None
    days = [each["days"] for each in known]
    value, low, high = (
        np.array([each["auc"][name] for each in known], dtype=float)
        for name in ("value", "low", "high")
    )
    with svg_figure((WIDE, 3.0), "auc") as figure:
        axes = figure.add_subplot()
        axes.axhline(0.5, color=GREY, lw=0.8, ls=":", label="chance")
        axes.fill_between(days, low, high, color=BLUE, alpha=0.18, lw=0,
                          label=f"{format_level(confidence)} band")  # fmt: skip
        axes.plot(days, value, color=BLUE, lw=1.8, marker="o", ms=3.5, label="AUC until then")
        bottom = min(0.45, float(np.nanmin(np.append(low, value))) - 0.03)
        axes.set(xlabel="days", ylabel="time-dependent AUC", ylim=(bottom, 1.02))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        return svg_text(figure, "auc", "Time-dependent AUC by horizon", synthetic)


def calibration_figure(test: dict[str, Any], synthetic: bool = False) -> str | None:
    """Observed against predicted risk at each horizon; None without a horizon that has groups."""
    shown = [each for each in test["horizons"] if each["groups"]]
    if not shown:
        return None
    with svg_figure((WIDE, 1.1 + WIDE / max(2, len(shown))), "horizons") as figure:
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, each in zip(panels, shown, strict=True):
            axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
            known = [g for g in each["groups"] if g["observed"]["value"] is not None]
            x = np.array([g["expected"] for g in known])
            y, low, high = (
                np.array([g["observed"][name] for g in known], dtype=float)
                for name in ("value", "low", "high")
            )
            arms = np.nan_to_num(np.maximum(0, np.stack([y - low, high - y])))
            axes.errorbar(x, y, yerr=arms, color=BLUE, marker="o", ms=4.5, capsize=2, lw=1.3,
                          elinewidth=1)  # fmt: skip
            axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal",
                     xticks=[0.2, 0.4, 0.6, 0.8], title=f"until {each['days']:g} days",
                     xlabel="predicted risk")  # fmt: skip
        panels[0].set_ylabel("observed risk")
        text = "Observed against predicted risk at each horizon"
        return svg_text(figure, "horizons", text, synthetic)
