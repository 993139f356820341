"""The days on which scans were made, as far as a table's dates can be believed."""

from __future__ import annotations

import pandas as pd

from covidlit.cohort.columns import column_of, parse_dates
from covidlit.dicom.plausibility import FIRST_CT

DOUBTED = (
    "its acquisition_date cannot be believed (moved by de-identification, before there was CT, or "
    "after today)"
)
"""Why a date does not tell when a scan was made."""


def scan_days(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The day of each scan, and which dates are not believed.

    De-identification moves dates, often by years, and what comes out may lie before the outbreak.

    Args:
        table: with `acquisition_date` and, where headers said so, `acquisition_date_moved`.

    Returns:
        datetime64[ns], NaT where there is no date that can be believed; and True where there is a
        date, but not believed.
    """
    dates = parse_dates(column_of(table, "acquisition_date"))
    moved = column_of(table, "acquisition_date_moved").astype("boolean").fillna(False).astype(bool)
    tomorrow = pd.Timestamp.now().normalize() + pd.Timedelta(days=1)
    doubted = dates.notna() & (moved | ~dates.between(pd.Timestamp(FIRST_CT), tomorrow))
    return dates.mask(doubted), doubted
