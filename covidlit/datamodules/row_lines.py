"""Rows that were left out or noted of, in lines for the log."""

from __future__ import annotations

import pandas as pd

from covidlit.cohort.scan_notes import count_notes

_REASONS = 3


def refused_line(table: pd.DataFrame, unit: str = "scan") -> str:
    """How many scans were refused, with the most frequent reasons; empty where none was.

    Args:
        table: the data's rows: status, reason.
        unit: what a row is.
    """
    refused = table[table["status"] != "ok"]
    if refused.empty:
        return ""
    counts = refused["reason"].fillna("no reason given").value_counts()
    reasons = [f"{count} x {str(name).rstrip('.')}" for name, count in counts.items()]
    more = f"; {len(reasons) - _REASONS} more reasons" if len(reasons) > _REASONS else ""
    return (
        f"{len(refused)} of {len(table)} {unit}s were refused and train nothing: "
        f"{'; '.join(reasons[:_REASONS])}{more}. A run's report lists those of the test part, "
        "prepared.csv in the cache's folder all."
    )


def noted_lines(table: pd.DataFrame, unit: str = "scan") -> list[str]:
    """One line for each kind of note on scans that are used, such as a check that was overridden.

    Args:
        table: the data's rows: status, and notes where there are any.
        unit: what a row is.
    """
    if "notes" not in table:
        return []
    used = table[table["status"] == "ok"]
    counts = count_notes(used["notes"])
    return [f"Noted of {n} of {len(used)} {unit}s: {text}" for text, n in counts.items()]
