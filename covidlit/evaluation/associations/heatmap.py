"""The heatmap: Spearman's correlation of the features with the outcome and with each other."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from covidlit.evaluation.associations.correlation import spearman
from covidlit.evaluation.associations.results import Associations
from covidlit.evaluation.figures import ORANGE
from covidlit.figure_text import PLAIN_TEXT, plain
from covidlit.files import atomic_path

_MOST_WITH_NUMBERS = 32
_MOST = 80


def correlation_matrix(found: Associations) -> tuple[list[str], NDArray[np.float64]]:
    """Names and Spearman's rho of outcome and features, pairwise over rows that have both.

    Returns:
        Names, the outcome first if its groups have an order, then at most 80 features without
        categories; and the matrix, NaN where a correlation is undefined.
    """
    columns = [
        (result.feature.name, result.feature.values)
        for result in found.results
        if result.feature.kind != "category"
    ][:_MOST]
    if found.outcome.ordered:
        columns.insert(0, (found.outcome.name, found.outcome.codes.astype(np.float64)))
    matrix = np.full((len(columns), len(columns)), np.nan)
    for i, (_, first) in enumerate(columns):
        for j in range(i, len(columns)):
            value = spearman(first, columns[j][1]).estimate.value
            matrix[i, j] = matrix[j, i] = np.nan if value is None else value
    return [name for name, _ in columns], matrix


def write_heatmap(found: Associations, path: str | Path) -> Path:
    """Draw the matrix as PNG; a correlation that is undefined is grey. Returns the path.

    In the outcome's row, what is significant after Holm's correction is bold.
    """
    names, matrix = correlation_matrix(found)
    n = len(names)
    side = max(3.2, 0.36 * n + 2.4)
    firm = {
        result.feature.name
        for result in found.results
        if "spearman" in result.measures
        and (p := result.measures["spearman"].p_holm) is not None
        and p < 1 - found.confidence
    }
    with mpl.rc_context({**PLAIN_TEXT, "font.size": 8}):
        figure = Figure(figsize=(side, side * 0.9), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.set_facecolor("#d1d5db")
        colours = axes.imshow(np.ma.masked_invalid(matrix), cmap="RdBu_r", vmin=-1, vmax=1)
        shown = [plain(name, 34) for name in names]
        axes.set_xticks(range(n), shown, rotation=90)
        axes.set_yticks(range(n), shown)
        if n <= _MOST_WITH_NUMBERS:
            for i in range(n):
                for j in range(n):
                    if np.isfinite(matrix[i, j]):
                        bold = found.outcome.ordered and 0 in (i, j) and names[max(i, j)] in firm
                        axes.text(
                            j, i, f"{matrix[i, j]:.2f}".replace("0.", ".", 1), ha="center",
                            va="center", fontsize=6.5, weight="bold" if bold else "normal",
                            color="white" if abs(matrix[i, j]) > 0.6 else "black",
                        )  # fmt: skip
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        figure.colorbar(colours, shrink=0.6, label="Spearman's rho (grey: undefined)")
        if found.synthetic:
            figure.supxlabel("synthetic data", fontsize=8, color=ORANGE, x=0.995, ha="right")
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=130, format="png")
    return Path(path)
