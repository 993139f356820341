"""One row per patient: rows of one patient are not independent of each other."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from covidlit.counted import counted
from covidlit.errors import PredictionsError

Rows = Literal["first", "last", "all"]
_DATES = ("date", "acquisition_date")


def rows_of_patients(table: pd.DataFrame, rows: Rows = "first") -> tuple[pd.DataFrame, str]:
    """One row of each patient by date, and a sentence where that leaves rows out.

    Args:
        table: with `patient_id` where it is known; without it, each row is a patient's.
        rows: first or last by `date` or `acquisition_date`, by the table's order where there is
            neither; all: every row, with a sentence on what that means.

    Raises:
        PredictionsError: there is no such choice.
    """
    if rows not in ("first", "last", "all"):
        raise PredictionsError(
            f"must be first, last or all, not {rows!r}.", where="--rows", fix="use first."
        )
    if "patient_id" not in table:
        return table, "There is no column patient_id: every row is taken as a patient of its own."
    patients = table["patient_id"].astype("string")
    if not (patients.duplicated() & patients.notna()).any():  # unknown ones may be different people
        return table, ""
    n = int(patients.nunique())
    if rows == "all":
        return table, (
            f"All {len(table)} rows of {counted(n, 'patient')} are used as if they were "
            "independent, which they are not: p-values are too small and intervals too narrow."
        )
    date = next((name for name in _DATES if name in table and table[name].notna().any()), None)
    ordered = table
    if date is not None:
        ordered = table.assign(_day=pd.to_datetime(table[date], errors="coerce"))
        ordered = ordered.sort_values("_day", kind="stable", na_position="last")
        if rows == "last":  # an undated row is not a later one
            ordered = ordered.sort_values("_day", kind="stable", na_position="first")
        ordered = ordered.drop(columns="_day")
    own = ordered["patient_id"].astype("string")
    kept = ordered[~own.duplicated(keep=rows) | own.isna()].sort_index()
    by = f"by {date}" if date is not None else "in the table's order, as there is no date"
    return kept, (
        f"{len(table)} rows are of {counted(n, 'patient')}: the {rows} row of each {by} is used, "
        "because rows of one patient are not independent."
    )
