"""Kinds of columns that the schemas of the tables are made of; their texts complete the errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pa

from covidlit.errors import ManifestError
from covidlit.names import NAME_RULE, is_name
from covidlit.tables import MISSING

TEXT = pd.StringDtype(na_value=np.nan)
"""Text with NaN where a value is missing, so that comparisons give plain booleans."""

_ISO = r"\d{4}-\d{2}-\d{2}(?:[T ].*)?|\d{8}"


def text(*, required: bool = False, nullable: bool = True, dtype: object = TEXT) -> pa.Column:
    """Any text that a CSV table gives back as it was; an empty one is a missing value.

    Args:
        dtype: of the column; by default `TEXT`.
    """
    return pa.Column(
        dtype,
        _no_missing_word(),
        parsers=pa.Parser(lambda column: column.where(column != "")),
        coerce=True,
        required=required,
        nullable=nullable,
    )


def _no_missing_word() -> pa.Check:
    """A CSV table gives such a word back as a missing value."""
    examples = ", ".join(MISSING[1:4])
    return pa.Check.notin(MISSING[1:], error=f"is a word for a missing value ({examples}, ...)")


def file_name(
    *, required: bool = False, nullable: bool = True, blanks: bool = False, fix: str
) -> pa.Column:
    """Text that may become a file's name (contract 12).

    Args:
        blanks: those around a name are removed later, and a text of them alone is a missing value.
        fix: what to do with any other text; completes the message.
    """

    def follows_rule(value: str) -> bool:
        return is_name(value.strip() or "x") if blanks else is_name(value)

    check = pa.Check(follows_rule, element_wise=True, ignore_na=True, error=f"{NAME_RULE}: {fix}")
    checks = [check, _no_missing_word()]
    return pa.Column(TEXT, checks, coerce=True, required=required, nullable=nullable)


def one_of(*values: str, required: bool = False, nullable: bool = True) -> pa.Column:
    """Text out of a closed list."""
    error = f"must be {' or '.join(values)}" + (", or empty" if nullable else "")
    check = pa.Check.isin(list(values), error=error)
    return pa.Column(TEXT, check, coerce=True, required=required, nullable=nullable)


def number(*checks: pa.Check, required: bool = False, nullable: bool = True) -> pa.Column:
    """A float64, NaN where missing."""
    return pa.Column("float64", list(checks), coerce=True, required=required, nullable=nullable)


def between(low: float, high: float, unit: str) -> pa.Check:
    """A range check whose message names the unit, since a wrong unit is the usual cause."""
    return pa.Check.in_range(low, high, error=f"must be {low:g} to {high:g} {unit}")


def no_share() -> pa.Check:
    """A check of percentages that are never about 1: 0.97 is a share, and 97 is meant."""
    return pa.Check(
        lambda values: ~((values > 0) & (values <= 1)),
        error="must be percent, and this looks like a share of 1: write 97 for 0.97",
    )


def no_shares() -> pa.Check:
    """The same of a column as a whole, of percentages of which a single one may be below 1."""
    return pa.Check(
        lambda values: not (len(values) > 2 and (values > 0).any() and (values <= 1).all()),
        error="must be percent, and all values look like shares of 1: write 60 for 0.6",
    )


def whole_number(low: int, *, required: bool = False, nullable: bool = True) -> pa.Column:
    """A nullable integer of at least `low`."""
    check = pa.Check.ge(low, error=f"must be a whole number of at least {low}")
    return pa.Column("Int64", check, coerce=True, required=required, nullable=nullable)


def flag() -> pa.Column:
    """True, False or empty."""
    return pa.Column("boolean", coerce=True, required=False, nullable=True)


def iso_date(*, required: bool = False, nullable: bool = True) -> pa.Column:
    """A date as datetime64 or as text YYYY-MM-DD or YYYYMMDD; `to_dates` makes it datetime64."""
    check = pa.Check(
        lambda column: parse_dates(column).notna(),
        error="must be a date written YYYY-MM-DD, of the years 1678 to 2261",
    )
    return pa.Column(None, check, required=required, nullable=nullable)


def parse_dates(column: pd.Series) -> pd.Series:
    """Dates of a column, NaT where it holds something else; 01/02/2020 is not guessed at.

    So does a year that datetime64[ns] cannot hold, such as 0001 or 9999.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return _in_range(column.dt.tz_localize(None).dt.normalize())
    written = column.astype("string").str.strip()
    written = written.where(written.str.fullmatch(_ISO))
    day = written.str.slice(0, 10).str.replace("-", "")
    return _in_range(pd.to_datetime(day, format="%Y%m%d", errors="coerce"))


def _in_range(dates: pd.Series) -> pd.Series:
    """As datetime64[ns], NaT where that cannot hold the year."""
    return dates.where(dates.dt.year.between(1678, 2261)).astype("datetime64[ns]")


def as_day(text: object, where: str) -> pd.Timestamp:
    """The day that a setting names.

    Raises:
        ManifestError: it is no date; `where` is the setting.
    """
    day = parse_dates(pd.Series([str(text)])).iloc[0]
    if pd.isna(day):
        raise ManifestError(f"{text!r} is not a date.", where=where, fix="write YYYY-MM-DD.")
    return day


def column_of(table: pd.DataFrame, name: str) -> pd.Series:
    """A column that a table may have; missing values in every row where it has none."""
    return table[name] if name in table else pd.Series(np.nan, index=table.index)


def to_dates(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The table with those of its `columns` that it has as datetime64[ns], at midnight."""
    return table.assign(**{c: parse_dates(table[c]) for c in columns if c in table})
