"""The trend of one patient as a figure: volumes over days, and the noise to be expected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from covidlit.figure_text import PLAIN_TEXT, plain
from covidlit.files import atomic_path
from covidlit.lesions.agreement import LIMITS

_COLOURS = {"more": "#d55e00", "less": "#0072b2"}
_NO_CHANGE = "#555555"


def write_trend_figure(own: pd.DataFrame, path: str | Path) -> Path:
    """Draw the trend of one patient as PNG: lesions above, lungs below; returns the path.

    Args:
        own: the patient's rows of `trend_table`.
        path: ends in .png.
    """
    dated = own[own["acquisition_date"].notna()]
    with rc_context(PLAIN_TEXT):
        figure = Figure(figsize=(6.5, 4.8), layout="constrained")
        FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        days = dated["days"].astype(float).to_numpy()
        for axes, column, change, name in (
            (upper, "total_volume_ml", "volume_change", "lesions, mL"),
            (lower, "lung_volume_ml", "lung_volume_change", "lungs, mL"),
        ):
            values = dated[column].astype(float).to_numpy()
            limits = LIMITS[column]
            noise = np.array([limits.of(v, v) / 2 if np.isfinite(v) else np.nan for v in values])
            axes.plot(days, values, color=_NO_CHANGE, lw=1, zorder=1)
            axes.errorbar(days, values, noise, fmt="none", ecolor="#bbbbbb", capsize=3, zorder=0)
            colours = [_COLOURS.get(str(kind), _NO_CHANGE) for kind in dated[change]]
            axes.scatter(days, values, c=colours, s=28, zorder=2)
            axes.set_ylabel(name)
            axes.set_ylim(bottom=0)
            axes.spines[["top", "right"]].set_visible(False)
        upper.set_title(plain(own["patient_id"].iloc[0]), loc="left", fontsize=10)
        upper.set_title(
            "orange more, blue less, grey within the limits of agreement", loc="right", fontsize=8
        )
        lower.set_xlabel("days since the first scan")
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=110, format="png")
    return Path(path)
