"""Texts that a table's file can hold, and that no spreadsheet takes for a formula."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from covidlit.files import printable

_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def cell_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula.

    Source: OWASP, CSV Injection: a cell that starts with one of these is put behind an apostrophe
    (and so is one that looks like one that was, so that `without_guard` can tell them apart).
    """
    return f"'{text}" if _FORMULA.match(text) else text


def without_guard(text: str) -> str:
    """The text that `cell_text` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def map_texts(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """The same table with its texts, and the names of its columns, changed."""
    names = [change(name) if isinstance(name, str) else name for name in table.columns]
    changed = table.set_axis(names, axis=1)
    for place in range(table.shape[1]):
        values = table.iloc[:, place]
        if values.dtype.kind in "biufcmM" or not _holds(values, change):
            continue
        mapped = [change(value) if isinstance(value, str) else value for value in values]
        if str(values.dtype) == "category":
            changed = _replaced(changed, place, mapped, "object")
        else:
            changed = _replaced(changed, place, mapped, values.dtype)
    return changed


def _holds(values: pd.Series, change: Callable[[str], str]) -> bool:
    return any(isinstance(value, str) and change(value) != value for value in values)


def _replaced(table: pd.DataFrame, place: int, values: list[Any], dtype: Any) -> pd.DataFrame:
    columns = [table.iloc[:, k] for k in range(table.shape[1])]
    columns[place] = pd.Series(values, table.index, dtype, name=columns[place].name)
    return pd.concat(columns, axis=1)


def printable_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table with escapes for bytes of file names that are no UTF-8, which no table can hold."""
    texts = table.select_dtypes(["object", "string", "category"])
    odd = [name for name in texts if any(map(_is_odd, texts[name]))]
    if not odd:
        return table
    return table.assign(
        **{name: [printable(v) if _is_odd(v) else v for v in table[name]] for name in odd}
    )


def _is_odd(value: object) -> bool:
    return type(value) is str and not value.isascii() and printable(value) != value
