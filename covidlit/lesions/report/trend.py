"""A patient's factors over several scans: rows in order of time, and a figure."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from covidlit.counted import counted
from covidlit.dicom.out.terms import SCAN_TERMS, UNDEFINED, value_text
from covidlit.errors import ManifestError
from covidlit.figure_text import PLAIN_TEXT
from covidlit.lesions.agreement import SINGLE_LESIONS
from covidlit.lesions.trend import NOT_MATCHED, change_text, trend_table

SHOWN = ("total_volume_ml", "proportion_percent", "mean_density_hu", "n_lesions")
"""The factors that the figure and the table of the trend show."""

CHANGE_HEADS = [
    "Change", "No. before", "No. now", "Before (mL)", "Now (mL)", "By the limits of the total",
]  # fmt: skip


@dataclass(frozen=True)
class Trend:
    """What the page says about a patient's scans.

    Args:
        heads: of the table.
        rows: cells, a row per scan, the oldest first.
        figure: PNG data URI; empty where fewer than two scans have a date.
        remark: what could not be placed in time; empty where nothing.
        verdict: whether the scan differs from the one before, by the limits of agreement; empty
            where there is none before it.
        changes: cells of `CHANGE_HEADS`, what became of the lesions since then.
        change_heads, change_remark: what stands above and below them.
    """

    heads: list[str]
    rows: list[list[str]]
    figure: str
    remark: str
    verdict: str
    changes: list[list[str]]
    change_heads: Sequence[str] = tuple(CHANGE_HEADS)
    change_remark: str = SINGLE_LESIONS


def trend_of(
    history: pd.DataFrame | None,
    factors: Mapping[str, Any],
    changes: pd.DataFrame | None = None,
) -> Trend | None:
    """The trend of a patient; None where there is one scan only.

    Args:
        history: rows of contract 8 of the patient, with or without the scan itself.
        factors: the scan's row.
        changes: of `covidlit.lesions.trend.changes_table`.

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
    both = pd.concat([others.astype(object), pd.DataFrame([factors]).astype(object)])
    table = trend_table(_typed(both))
    undated = int(table["acquisition_date"].isna().sum())
    heads = ["Date", "Scan", *(_head(column) for column in SHOWN)]
    heads += ["Change of volume (mL)", "Lungs (mL)", "Remark"]
    rows = [
        [
            _day(row["acquisition_date"]),
            str(row["scan_id"])
            + (" (this report)" if row["scan_id"] == factors["scan_id"] else ""),
            *(value_text(row.get(column), SCAN_TERMS[column]) for column in SHOWN),
            change_text(row),
            change_text(row, "lung_volume_ml"),
            row["note"] or "",
        ]
        for row in table.to_dict("records")
    ]
    dated = table[table["acquisition_date"].notna()]
    figure = _figure(dated.assign(date=dated["acquisition_date"])) if len(dated) > 1 else ""
    remark = f"{counted(undated, 'scan')} without a date left out of the figure." if undated else ""
    (own,) = table[table["scan_id"] == factors["scan_id"]].to_dict("records")
    verdict = _verdict(own, _shared_before(table, own))
    return Trend(heads, rows, figure, remark, verdict, _changes(changes, factors))


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """The columns that a trend is made of as numbers and dates."""
    out = table.reset_index(drop=True)
    for name in (*SHOWN, "lung_volume_ml"):
        out[name] = pd.to_numeric(out[name] if name in out else float("nan"))
    out["acquisition_date"] = pd.to_datetime(out["acquisition_date"], errors="coerce")
    return out


def _day(date: Any) -> str:
    return UNDEFINED if pd.isna(date) else f"{date:%Y-%m-%d}"


def _shared_before(table: pd.DataFrame, row: Mapping[str, Any]) -> bool:
    """Whether the patient had several scans on the day that a scan is compared with."""
    if pd.isna(row["acquisition_date"]):
        return False
    days = table["acquisition_date"].dt.normalize()
    earlier = days[days < row["acquisition_date"].normalize()]
    return bool((earlier == earlier.max()).sum() > 1)


def _verdict(row: Mapping[str, Any], shared: bool) -> str:
    """What became of lesions, density and lungs since the scan before, in a sentence."""
    if pd.isna(row["volume_change_ml"]):
        return ""
    parts = [
        f"Total volume {row['volume_change_ml']:+.1f} mL: {_SAID[row['volume_change']]}",
        f"mean density: {_SAID[row['mean_density_change']]}",
        f"volume of the lungs: {_SAID[row['lung_volume_change']]}",
    ]
    text = "; ".join(parts) + "."
    if row["lung_volume_change"] in ("more", "less"):
        text += " The lungs were not filled alike, which changes volumes and densities too."
    if shared:
        text += (
            " Of several scans on the day before the mean counts; lesions are matched with the "
            "first."
        )
    return text


_SAID = {
    "more": "more than before",
    "less": "less than before",
    "within limits": "within the limits of agreement, no change",
    "undefined": "not known of both scans",
}


def _changes(changes: pd.DataFrame | None, factors: Mapping[str, Any]) -> list[list[str]]:
    if changes is None or not len(changes):
        return []
    own = changes[changes["scan_after"] == factors["scan_id"]]
    return [
        [f"{NOT_MATCHED}: {row['reason']}", *[""] * (len(CHANGE_HEADS) - 1)]
        if row["change"] == NOT_MATCHED
        else [
            row["change"],
            row["lesions_before"],
            row["lesions_after"],
            *(f"{row[f'volume_{when}_ml']:.2f}" for when in ("before", "after")),
            _said_of(row.get("by_limits_of_total")),
        ]
        for row in own.to_dict("records")
    ]


def _said_of(verdict: Any) -> str:
    return verdict if isinstance(verdict, str) else ""


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
