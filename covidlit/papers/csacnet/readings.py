"""Readers' columns of a table: their calls, or graded scores, and their time per case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.cohort.reader_columns import PREFIX, SECONDS, reader_values
from covidlit.counted import counted


@dataclass(frozen=True)
class Reader:
    """What one reader said about each scan.

    Attributes:
        name: the column's name without `reader_`.
        value: shape (n,), 0 or 1 for calls, otherwise the grade; NaN where nothing was read.
        called: shape (n,), true where the reader called the scan positive; None where the grades
            have no cut, or there is no usable column.
        seconds: shape (n,), time per scan, NaN where unknown; None without a column of times.
        remark: what could not be used, and how to mend it, or None.
    """

    name: str
    value: NDArray[np.float64]
    called: NDArray[np.bool_] | None
    seconds: NDArray[np.float64] | None
    remark: str | None = None

    @property
    def read(self) -> NDArray[np.bool_]:
        """Which scans the reader has read, shape (n,)."""
        return np.isfinite(self.value)


def readers(table: pd.DataFrame, cut: float | None = None) -> list[Reader]:
    """The readers of a table.

    The column `reader_NAME` holds a reader's calls: 0 or 1, true or false, positive or negative.
    Any other numbers are grades, of which those from `cut` upwards count as calls. The column
    `reader_NAME_seconds` holds the time per scan in seconds.

    Args:
        table: rows of a predictions table, n of them.
        cut: the lowest grade that counts as positive.
    """
    columns = [str(name) for name in table.columns if str(name).startswith(PREFIX)]
    named = dict.fromkeys(name.removeprefix(PREFIX).removesuffix(SECONDS) for name in columns)
    return [_reader(table, name, cut) for name in named if name]


def _reader(table: pd.DataFrame, name: str, cut: float | None) -> Reader:
    column, times = PREFIX + name, PREFIX + name + SECONDS
    remarks: list[str] = []
    seconds = _numbers(table[times], times, remarks) if times in table.columns else None
    if seconds is not None and (bad := seconds <= 0).any():
        remarks.append(f"{int(bad.sum())} times in {times} are not above 0 and are left out")
        seconds = np.where(bad, np.nan, seconds)
    if column not in table.columns:
        remarks.append(f"there is no column {column} beside {times}")
        value = np.full(len(table), np.nan)
    else:
        value = _numbers(table[column], column, remarks)
    read = np.isfinite(value)
    called: NDArray[np.bool_] | None = None
    if np.isin(value[read], (0.0, 1.0)).all():
        called = value == 1
        if column in table.columns and not read.any() and not remarks:
            remarks.append(f"the column {column} is empty")
    elif cut is not None:
        called = value >= cut
    else:
        remarks.append(
            "these are grades: name the lowest one that counts as positive (--reader-cut) to see "
            "sensitivity and specificity"
        )
    return Reader(name, value, called, seconds, "; ".join(remarks) or None)


def _numbers(values: pd.Series, column: str, remarks: list[str]) -> NDArray[np.float64]:
    """`reader_values` of a column, with a remark where text could not be read."""
    numbers = reader_values(values)
    if not pd.api.types.is_numeric_dtype(values):
        odd = values[~np.isfinite(numbers) & values.notna().to_numpy(bool)]
        if len(odd):
            remarks.append(
                f"{counted(len(odd), 'value')} of {column} left out, such as {str(odd.iloc[0])!r}: "
                "no number, nor positive/negative"
            )
    return numbers
