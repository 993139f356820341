"""The importance of features as a figure."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from covidlit.explain.tables.importance import Importance

_MOST = 30


def importance_figure(found: Importance) -> bytes:
    """PNG of the loss of AUC of each feature with its interval, and of attention beside it."""
    table = found.table.dropna(subset=["auc_drop"]).head(_MOST).iloc[::-1]
    attended = table["attention"].notna().any()
    figure = Figure(figsize=(9, 1.2 + 0.27 * len(table)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 if attended else 1, sharey=True, squeeze=False)[0]
    places = np.arange(len(table))
    errors = [table["auc_drop"] - table["low"], table["high"] - table["auc_drop"]]
    axes[0].errorbar(
        table["auc_drop"], places, xerr=np.clip(errors, 0, None), fmt="o", color="#1f4e79",
        ecolor="#8fb0d0",
    )  # fmt: skip
    axes[0].axvline(0, color="0.6", linewidth=0.8)
    axes[0].set_yticks(places, [_label(row) for row in table.itertuples()])
    axes[0].set_xlabel("AUC lost when shuffled (95% interval)")
    if attended:
        axes[1].barh(places, table["attention"], color="#c98b2b")
        agreement = "" if found.spearman is None else f", Spearman {found.spearman:.2f}"
        axes[1].set_xlabel(f"mean attention weight{agreement}")
    return _png(figure)


def _label(row: object) -> str:
    text, unit = str(getattr(row, "description", "")), str(getattr(row, "unit", "") or "")
    return f"{text} [{unit}]" if unit and unit != "nan" else text


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
