"""A table held against a schema, in the words of a person who looks at the table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pandas as pd

from covidlit.counted import counted
from covidlit.errors import CovidlitError
from covidlit.tables.rows import row_numbers, row_texts

if TYPE_CHECKING:
    import pandera.pandas as pa

_LISTED, _SHOWN = 5, 100
_NUMBERS = ("float", "Float", "int", "Int")
_COMMA, _THOUSANDS = r"[-+]?\d+,\d+", r"[-+]?\d{1,3},\d{3}"
_RULES = {
    "not_nullable": "must not be empty",
    "multiple_fields_uniqueness": "must stand in one row only",
    "field_uniqueness": "must stand in one row only",
}


def validate(
    table: pd.DataFrame,
    schema: pa.DataFrameSchema,
    where: object,
    error: type[CovidlitError] = CovidlitError,
    *,
    allow_empty: bool = False,
) -> pd.DataFrame:
    """Hold a table against a schema and return it with the schema's types.

    Raises:
        CovidlitError: (of the type `error`) for a table without a row, or naming row, column, value
            and the broken rule of up to five failures. Rows are counted from 1, without the header,
            and the line of the file stands beside; a selection of rows keeps the numbers of the
            table that it was taken from.
    """
    import pandera.errors

    lines = _column_problems(table, schema)
    if not lines:
        table = with_decimal_commas(table, schema)
    if not lines and table.empty and not allow_empty:
        raise error(
            "the table has no row.", where=where, fix="write at least one row below the header."
        )
    if not lines:
        try:
            return schema.validate(table, lazy=True)
        except pandera.errors.SchemaErrors as problem:
            lines = _value_problems(table, schema, problem.failure_cases)
    more = f" (and {len(lines) - _LISTED} more)" if len(lines) > _LISTED else ""
    raise error(
        f"{counted(len(lines), 'problem')}: {'; '.join(lines[:_LISTED])}{more}.",
        where=where,
        fix="correct these in the table and read it again.",
    ) from None


def with_decimal_commas(table: pd.DataFrame, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """The table with numbers for the texts like 96,5 in its columns of numbers, cell by cell.

    A comma before three digits may be one of thousands: such a cell counts only where another one
    of its column shows that commas are decimal there.
    """
    changed = {}
    for name in map(str, table.columns):
        column = table[name]
        if column.dtype.kind in "biufcmM" or not _dtype_of(schema, name).startswith(_NUMBERS):
            continue
        texts = column.map(lambda cell: cell.strip() if isinstance(cell, str) else "")
        commas = texts.str.fullmatch(_COMMA)
        if not (commas & ~texts.str.fullmatch(_THOUSANDS)).any():
            continue
        cells = [
            float(text.replace(",", ".")) if comma else cell
            for cell, text, comma in zip(column, texts, commas, strict=True)
        ]
        changed[name] = pd.Series(cells, table.index, object)
    return table.assign(**changed) if changed else table


def _column_problems(table: pd.DataFrame, schema: pa.DataFrameSchema) -> list[str]:
    """Missing and repeated columns; nothing can be said about values before these are mended."""
    missing = [n for n, c in schema.columns.items() if c.required and n not in table.columns]
    has = ", ".join(map(str, table.columns)) or "none"
    lines = [f"column {name!r} is missing (the table has: {has})" for name in missing]
    twice = table.columns[table.columns.duplicated()].unique()
    return lines + [f"column {name!r} stands in the table more than once" for name in twice]


def _value_problems(
    table: pd.DataFrame, schema: pa.DataFrameSchema, cases: pd.DataFrame
) -> list[str]:
    """One line for each wrong value, in the words of a person who looks at the table."""
    named = dict(zip(table.index, row_texts(table), strict=True))
    numbers = dict(zip(table.index, row_numbers(table), strict=True))
    lines: dict[tuple[str, Any], str] = {}
    for case in cases.itertuples():
        name, rule = str(case.column), str(case.check)
        if rule.startswith(("coerce_dtype(", "dtype(")):
            for own in [name] if name in table else _like(table, name):
                for index, text in _untyped(table[own], _dtype_of(schema, own)):
                    lines[(own, index)] = f"row {named[index]}, column {own!r}: {text}"
        elif _there(case.column) and _there(case.index):
            value = _shown(table.at[case.index, name])
            text = f"row {named[case.index]}, column {name!r}: value {value}: "
            lines.setdefault((name, case.index), text + _RULES.get(rule, rule))
        elif not str(case.failure_case).startswith("TypeError("):  # a check of an untyped column
            lines.setdefault((name, rule), f"column {name!r}: {rule}")
    order = {name: place for place, name in enumerate(table.columns)}
    keys = sorted(lines, key=lambda key: (numbers.get(key[1], 0), order.get(key[0], -1)))
    return [lines[key] for key in keys]


def _like(table: pd.DataFrame, pattern: str) -> list[str]:
    return [name for name in map(str, table.columns) if re.fullmatch(pattern, name)]


def _dtype_of(schema: pa.DataFrameSchema, name: str) -> str:
    """The type of a column, also where the schema names it by a pattern."""
    for known, column in schema.columns.items():
        if known == name or (column.regex and re.fullmatch(str(known), name)):
            return str(column.dtype)
    return ""


def _untyped(column: pd.Series, dtype: str) -> list[tuple[Any, str]]:
    """The values of a column that are not of its type: their index labels, with what is wrong."""
    kind = "a number"
    right = pd.to_numeric(column, errors="coerce").notna()
    if dtype.startswith(("Int", "int")):
        kind = "a whole number"
        right &= pd.to_numeric(column, errors="coerce").mod(1) == 0
    elif dtype.startswith("bool"):
        kind = "true or false"
        # Beside one wrong word, CSV gives the right ones as text too.
        right = column.isin([True, False, "True", "False"])
    elif dtype.startswith("str"):
        kind = "text, without a half of a character"
        right = column.map(lambda value: str(value).encode(errors="ignore").decode() == str(value))
    elif dtype.startswith("datetime"):
        kind = "a date"
        right = pd.to_datetime(column, errors="coerce").notna()
    wrong = column[~(right | column.isna()).astype(bool)]
    found = [
        (i, f"value {_shown(v)}: must be {kind}, or empty{_of_comma(v, kind)}")
        for i, v in wrong.items()
    ]
    return found or [(column.index[0], f"the column cannot be read as {kind}")]


def _of_comma(value: Any, kind: str) -> str:
    """What to do about a cell that may hold a decimal comma."""
    if "number" not in kind or not re.fullmatch(_COMMA, str(value).strip()):
        return ""
    return " (if that is a decimal comma, write a point)"


def _shown(value: Any) -> str:
    if not _there(value):
        return "(empty)"
    text = str(value)
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}... ({len(text)} characters)"


def _there(value: Any) -> bool:
    """Whether a single value is there, without importing pandas for it."""
    if isinstance(value, str):
        return True
    return value is not None and str(value) not in ("nan", "<NA>", "NaT")
