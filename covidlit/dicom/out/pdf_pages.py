"""The report's pages as PDF: factors with units, key slices with contours, the lesions."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from numpy.typing import NDArray

from covidlit.dicom.out.terms import (
    CLASS_TERMS,
    LESION_TERMS,
    SCAN_TERMS,
    VALUE_OF_CLASS,
    FactorTerms,
    value_text,
)
from covidlit.figure_text import PLAIN_TEXT, plain

A4 = (8.27, 11.69)
MOST_LESIONS = 40
"""Rows that fit on a page; the tables beside the report hold all."""

_HEAD_LINES = 3
"""Lines in the head of the lesions' table: two of the name, and the unit."""

CAUTION = (
    "Computed from the images without a physician's review. Not a diagnosis. Not for clinical use "
    "without local validation."
)


def pdf_pages(
    heading: Sequence[str],
    factors: Mapping[str, Any],
    lesions: pd.DataFrame,
    pictures: Sequence[tuple[str, NDArray[np.uint8]]],
) -> bytes:
    """Draw the report.

    Args:
        heading: lines below the title: whose scan it is, and when it was taken.
        factors: a row of contract 8.
        lesions: of contract 8.
        pictures: (caption, RGB uint8 (rows, columns, 3)).
    """
    buffer = io.BytesIO()
    settings = {**PLAIN_TEXT, "font.size": 9, "font.family": "sans-serif"}
    with matplotlib.rc_context(settings), PdfPages(buffer, metadata={"CreationDate": None}) as pdf:
        pdf.savefig(first_page(heading, factors, pictures))
        if len(lesions):
            pdf.savefig(lesion_page(lesions))
    return buffer.getvalue()


def first_page(
    heading: Sequence[str],
    factors: Mapping[str, Any],
    pictures: Sequence[tuple[str, NDArray[np.uint8]]],
) -> Figure:
    """The page with factors and key slices; arguments as in `pdf_pages`."""
    figure = Figure(figsize=A4)
    figure.text(0.08, 0.95, "Lesions on chest CT: quantitative factors", fontsize=15)
    for line, text in enumerate(heading):
        figure.text(0.08, 0.925 - 0.017 * line, plain(text, 110))
    top = 0.90 - 0.017 * len(heading)
    for line, (column, terms) in enumerate(SCAN_TERMS.items()):
        place = top - 0.019 * line
        figure.text(0.08, place, terms.label)
        figure.text(0.62, place, value_text(factors.get(column), terms), ha="right")
    below = top - 0.019 * len(SCAN_TERMS) - 0.02
    for k, named in enumerate(CLASS_TERMS.values()):
        colour = tuple(part / 255 for part in named.rgb)
        place = 0.08 + 0.84 * k / len(CLASS_TERMS)
        figure.text(place, below, "■", color=colour)
        figure.text(place + 0.017, below, named.label, fontsize=7)
    below -= 0.02
    columns, rows = 3, 2
    width = 0.84 / columns
    # A slice is about as high as wide; its caption needs a tenth more.
    height = min((below - 0.06) / rows, 1.15 * width * A4[0] / A4[1])
    for k, (caption, picture) in enumerate(pictures[: columns * rows]):
        down, across = divmod(k, columns)
        axes = figure.add_axes(
            (0.08 + across * width, below - (down + 1) * height, width * 0.96, height * 0.9)
        )
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(plain(caption, 40), fontsize=7)
        axes.axis("off")
    figure.text(0.08, 0.03, CAUTION, fontsize=7)
    return figure


def lesion_page(lesions: pd.DataFrame) -> Figure:
    """The page with the largest lesions, rows of contract 8."""
    figure = Figure(figsize=A4)
    shown = lesions.sort_values("volume_ml", ascending=False, kind="stable")[:MOST_LESIONS]
    columns = [name for name in LESION_TERMS if name in lesions and lesions[name].notna().any()]
    figure.text(0.08, 0.95, "Lesions, largest first", fontsize=13)
    if len(shown) < len(lesions):
        figure.text(0.08, 0.932, f"the {len(shown)} largest of {len(lesions)}", fontsize=8)
    heads = ["No.", "Class", *(_head(LESION_TERMS[name]) for name in columns)]
    cells = [
        [
            str(int(row["lesion_id"])),
            CLASS_TERMS[VALUE_OF_CLASS[row["class_name"]]].label,
            *(_cell(row[name], LESION_TERMS[name]) for name in columns),
        ]
        for row in shown.to_dict("records")
    ]
    axes = figure.add_axes((0.06, 0.06, 0.88, 0.86))
    axes.axis("off")
    table = axes.table(cellText=cells, colLabels=heads, loc="upper center", cellLoc="right")
    table.auto_set_font_size(False)
    table.set_fontsize(7)
    for column in range(len(heads)):
        cell = table[0, column]
        cell.set_height(cell.get_height() * _HEAD_LINES)
    table.auto_set_column_width(list(range(len(heads))))
    figure.text(0.08, 0.03, CAUTION, fontsize=7)
    return figure


def _head(terms: FactorTerms) -> str:
    words = terms.label.replace(" (sphericity)", "").replace(" ", "\n", 1)
    return f"{words}\n[{terms.unit_label}]" if terms.unit_label else words


def _cell(value: Any, terms: FactorTerms) -> str:
    return "" if pd.isna(value) else value_text(value, terms).removesuffix(terms.unit_label).strip()
