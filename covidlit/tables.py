"""Tables at the seams: read and write CSV or Parquet, and hold them against a schema."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

import pandas as pd

from covidlit.errors import CovidlitError
from covidlit.files import check_writable, printable, remove_leftovers, write_bytes

if TYPE_CHECKING:
    import pandera.pandas as pa

_LISTED, _SHOWN = 5, 100
_START, _LARGEST_WORKBOOK = 1 << 16, 1 << 30  # bytes
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_RULES = {
    "not_nullable": "must not be empty",
    "multiple_fields_uniqueness": "must stand in one row only",
    "field_uniqueness": "must stand in one row only",
}
_TEXT_COLUMNS = (
    "path", "centre", "class_name", "aetiology", "severity", "quality_grade", "epidemiology",
    "manufacturer", "scanner_model", "kernel", "model", "reason",
)  # fmt: skip

MISSING = (
    "", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan",
    "NULL", "null", "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
)  # fmt: skip
"""What stands for a missing value in a CSV table, as R, spreadsheets and pandas write it."""


def read_table(path: str | Path, error: type[CovidlitError] = CovidlitError) -> pd.DataFrame:
    """Read a `.csv`, `.parquet` or `.xlsx` table; identifiers such as `patient_id` stay text.

    CSV may be as a spreadsheet writes it: with semicolons or tabs, decimal commas, a byte-order
    mark, or in UTF-16.

    Raises:
        CovidlitError: (of the type `error`) missing, empty, unreadable or of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise error("there is no such file.", where=path, fix="check the path.")
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        if path.suffix.lower() == ".csv":
            dialect = csv_dialect(path)
            text = _as_text(pd.read_csv(path, nrows=0, **dialect).columns)
            table = pd.read_csv(
                path, dtype=text, keep_default_na=False, na_values=list(MISSING), **dialect
            )
            return _map_texts(table, without_guard)
        if path.suffix.lower() == ".xlsx":
            return _read_workbook(path, error)
    except UnicodeDecodeError as problem:
        raise error(
            f"the table cannot be read: byte {problem.start} is no UTF-8.",
            where=path,
            fix='save it as "CSV UTF-8".',
        ) from problem
    except (ValueError, OSError, KeyError, BadZipFile, pd.errors.ParserError) as problem:
        raise error(f"the table cannot be read: {problem}.", where=path) from problem
    raise error(
        f"a table must end in .csv, .parquet or .xlsx, not {path.suffix!r}.",
        where=path,
        fix="convert it.",
    )


def csv_dialect(path: str | Path) -> dict[str, Any]:
    """How a CSV table is written, as arguments of `pandas.read_csv`.

    By its first line: a separator other than the comma counts only where there is no comma.

    Raises:
        OSError: the file cannot be read.
    """
    with Path(path).open("rb") as handle:
        start = handle.read(_START)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig" if start.startswith(b"\xef\xbb\xbf") else "utf-8"
    lines = start.decode(encoding, errors="replace").splitlines()
    first = lines[0] if lines else ""
    found: dict[str, Any] = {"encoding": encoding}
    if declared := re.fullmatch(r"sep=(.)", first.strip("\r\n ")):  # as Excel writes and reads it
        return found | {"sep": declared[1], "skiprows": 1} | _decimal(declared[1], path, encoding)
    bare = re.sub(r'"[^"]*"', "", first)
    separator = max(",;\t", key=bare.count) if "," not in bare else ","
    return found if separator == "," else found | {"sep": separator} | _decimal(
        separator, path, encoding
    )  # fmt: skip


def _decimal(separator: str, path: str | Path, encoding: str) -> dict[str, Any]:
    """The decimal comma, where cells of a table without commas between them hold one."""
    if separator == ",":
        return {}
    cells = re.compile(rf'(?:^|{separator})"?[-+]?\d+,\d+"?(?={separator}|\r?$)', re.M)
    text = Path(path).read_text(encoding=encoding, errors="replace")
    return {"decimal": ","} if cells.search(text) else {}


def _as_text(names: Iterable[Any]) -> dict[Any, str]:
    return {
        name: "str"
        for name in names
        if str(name).endswith(("_id", "_uid")) or name in _TEXT_COLUMNS
    }


def _read_workbook(path: Path, error: type[CovidlitError]) -> pd.DataFrame:
    """The only sheet of an Excel workbook with anything in it."""
    import pandas as pd

    with ZipFile(path) as parts:
        if sum(part.file_size for part in parts.infolist()) > _LARGEST_WORKBOOK:
            raise error("the workbook is too large.", where=path, fix="save it as CSV.")
    with pd.ExcelFile(path, engine="openpyxl") as book:
        tops = {
            name: pd.read_excel(book, sheet_name=name, nrows=1).columns for name in book.sheet_names
        }
        filled = [name for name, columns in tops.items() if len(columns)]
        if len(filled) != 1:
            raise error(
                f"the workbook holds {len(filled)} sheets with a table "
                f"({', '.join(map(str, filled)) or 'none'}), and one is needed.",
                where=path,
                fix="save the sheet that is meant as CSV, or alone.",
            )
        return pd.read_excel(
            book,
            sheet_name=filled[0],
            dtype=_as_text(tops[filled[0]]),
            keep_default_na=False,
            na_values=list(MISSING),
        )


def write_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a table as `.csv` or `.parquet` (by its ending), atomically; returns the path.

    In CSV, texts that a spreadsheet would take for a formula are guarded (`cell_text`), which
    `read_table` takes back. The only writer of CSV tables.
    """
    path = check_table_path(path)
    remove_leftovers(path)
    table = _printable(table)
    # To memory first: the shorter the file is written, the less can be left of it by a kill.
    buffer = io.BytesIO()
    if path.suffix == ".parquet":
        table.to_parquet(buffer, index=False)
    else:
        buffer.write(csv_text(table).encode())
    write_bytes(path, buffer.getvalue())
    return path


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV, its texts guarded by `cell_text`."""
    guarded = _map_texts(table, cell_text)
    text: str = guarded.to_csv(index=False, quoting=_quoting(table), lineterminator="\n")
    return text


def cell_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula.

    Source: OWASP, CSV Injection: a cell that starts with one of these is put behind an apostrophe
    (and so is one that looks like one that was, so that `without_guard` can tell them apart).
    """
    return f"'{text}" if _FORMULA.match(text) else text


def without_guard(text: str) -> str:
    """The text that `cell_text` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _map_texts(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
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


def _printable(table: pd.DataFrame) -> pd.DataFrame:
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


def _quoting(table: pd.DataFrame) -> Any:
    """As little as possible; everything where a text has a carriage return, which ends a row."""
    texts = table.select_dtypes(["object", "string", "category"])
    returns = any("\r" in value for name in texts for value in texts[name] if type(value) is str)
    return csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL


def check_table_path(path: str | Path) -> Path:
    """The path, if `write_table` can write there; to ask before the work that fills the table.

    Raises:
        CovidlitError: another ending than `.csv` or `.parquet`, or a place that cannot be written.
    """
    path = Path(path)
    if path.suffix not in (".csv", ".parquet"):
        raise CovidlitError(
            f"a table must end in .csv or .parquet, not {path.suffix!r}.", where=path
        )
    check_writable(path)
    return path


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
            and the broken rule of up to five failures. Rows are counted from 1, without the header;
            a selection of rows keeps the numbers of the table that it was taken from.
    """
    import pandera.errors

    lines = _column_problems(table, schema)
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
        f"{len(lines)} problem(s): {'; '.join(lines[:_LISTED])}{more}.",
        where=where,
        fix="correct these in the table and read it again.",
    ) from None


def row_numbers(table: pd.DataFrame) -> list[int]:
    """The row numbers that messages use: from 1, without the header, of the table as it was read.

    A selection of rows keeps the numbers of the table that it was taken from.
    """
    if pd.api.types.is_integer_dtype(table.index):
        return [int(label) + 1 for label in table.index]
    return list(range(1, len(table) + 1))


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
    numbers = dict(zip(table.index, row_numbers(table), strict=True))
    lines: dict[tuple[str, Any], str] = {}
    for case in cases.itertuples():
        name, rule = str(case.column), str(case.check)
        if rule.startswith(("coerce_dtype(", "dtype(")):
            for own in [name] if name in table else _like(table, name):
                for index, text in _untyped(table[own], _dtype_of(schema, own)):
                    lines[(own, index)] = f"row {numbers[index]}, column {own!r}: {text}"
        elif _there(case.column) and _there(case.index):
            value = _shown(table.at[case.index, name])
            text = f"row {numbers[case.index]}, column {name!r}: value {value}: "
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
    found = [(i, f"value {_shown(v)}: must be {kind}, or empty") for i, v in wrong.items()]
    return found or [(column.index[0], f"the column cannot be read as {kind}")]


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
