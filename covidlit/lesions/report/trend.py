"""A patient's factors over several scans: rows in order of time, and a figure."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from covidlit.dicom.out.terms import SCAN_TERMS, UNDEFINED, value_text
from covidlit.errors import ManifestError
from covidlit.figure_text import PLAIN_TEXT

SHOWN = ("total_volume_ml", "proportion_percent", "mean_density_hu", "n_lesions")
"""The factors that the figure and the table of the trend show."""


@dataclass(frozen=True)
class Trend:
    """What the page says about a patient's scans.

    Args:
        heads: of the table.
        rows: cells, a row per scan, the oldest first.
        figure: PNG data URI; empty where fewer than two scans have a date.
        remark: what could not be placed in time; empty where nothing.
    """

    heads: list[str]
    rows: list[list[str]]
    figure: str
    remark: str


def trend_of(history: pd.DataFrame | None, factors: dict[str, Any]) -> Trend | None:
    """The trend of a patient; None where there is one scan only.

    Args:
        history: rows of contract 8 of the patient, with or without the scan itself.
        factors: the scan's row.

    Raises:
        ManifestError: a row of another patient.
    """
    if history is None or not len(history):
        return None
    others = history[history["scan_id"] != factors["scan_id"]]
    if not len(others):
        return None
    patients = {str(each) for each in others["patient_id"]} | {str(factors["patient_id"])}
    if len(patients) > 1:
        raise ManifestError(
            f"the history holds rows of {len(patients)} patients.",
            where="history",
            fix="give the rows of the patient whose report it is.",
        )
    table = pd.concat([others.astype(object), pd.DataFrame([factors]).astype(object)])
    table["date"] = pd.to_datetime(table["acquisition_date"], errors="coerce")
    table = table.sort_values(["date", "scan_id"], na_position="last", kind="stable")
    undated = int(table["date"].isna().sum())
    heads = ["Date", "Scan", *(_head(column) for column in SHOWN)]
    rows = [
        [
            UNDEFINED if pd.isna(row["date"]) else f"{row['date']:%Y-%m-%d}",
            str(row["scan_id"])
            + (" (this report)" if row["scan_id"] == factors["scan_id"] else ""),
            *(value_text(row.get(column), SCAN_TERMS[column]) for column in SHOWN),
        ]
        for row in table.to_dict("records")
    ]
    dated = table[table["date"].notna()]
    figure = _figure(dated) if len(dated) > 1 else ""
    remark = f"{undated} scan(s) without a date are not in the figure." if undated else ""
    return Trend(heads, rows, figure, remark)


def _head(column: str) -> str:
    terms = SCAN_TERMS[column]
    return f"{terms.label} ({terms.unit_label})" if terms.unit_label else terms.label


def _figure(table: pd.DataFrame) -> str:
    shown = [c for c in SHOWN if c in table and table[c].notna().any()]
    with matplotlib.rc_context({**PLAIN_TEXT, "font.size": 9}):
        figure = Figure(figsize=(3.2 * max(1, len(shown)), 2.6), layout="constrained")
        axes = figure.subplots(1, max(1, len(shown)), squeeze=False)[0]
        for column, place in zip(shown, axes, strict=False):
            values = table[column].astype(float)
            place.plot(table["date"], values, marker="o", color="#0072b2", linewidth=1.2)
            place.set_title(_head(column), fontsize=9)
            place.tick_params(axis="x", rotation=40)
            place.set_xticks(sorted(set(table["date"])))
            place.spines[["top", "right"]].set_visible(False)
            if values.min() >= 0:
                place.set_ylim(bottom=0)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
