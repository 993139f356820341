"""Days between two moments, of which some are known to the day only."""

from __future__ import annotations

import pandas as pd

_DAY = pd.Timedelta(days=1)


def days_between(start: pd.Series, end: pd.Series) -> pd.Series:
    """Days from one moment to another: whole ones where either has no time of day.

    A death on the day of an admission at 10:00 comes 0 days after it, and not 10 hours before.

    Args:
        start, end: datetime64, row by row.

    Returns:
        float64, negative where the end is before the start, NaN where either is not known.
    """
    exact = (end - start) / _DAY
    whole = (end.dt.normalize() - start.dt.normalize()) / _DAY
    return exact.mask(is_day(start) | is_day(end), whole).astype("float64")


def is_before(moments: pd.Series, limit: pd.Series) -> pd.Series:
    """Whether moments are before a limit, as `days_between` compares; False where either is NaT."""
    return days_between(limit, moments) < 0


def is_day(moments: pd.Series) -> pd.Series:
    """Whether moments have no time of day: midnight is what a date alone reads as."""
    return moments.eq(moments.dt.normalize())
