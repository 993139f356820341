"""Tables at the seams: read and write CSV or Parquet, and hold them against a schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from covidlit.errors import CovidlitError
from covidlit.files import atomic_path

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa


def read_table(path: str | Path, error: type[CovidlitError] = CovidlitError) -> pd.DataFrame:
    """Read a `.csv` or `.parquet` table; identifiers such as `patient_id` stay text.

    Raises:
        CovidlitError: (of the type `error`) missing, empty, unreadable or of another format.
    """
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise error("there is no such file.", where=path, fix="check the path.")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        if path.suffix == ".csv":
            header = pd.read_csv(path, nrows=0).columns
            text = {name: "string" for name in header if name.endswith(("_id", "_uid"))}
            return pd.read_csv(path, dtype=text)
    except (ValueError, OSError, pd.errors.ParserError) as problem:
        raise error(f"the table cannot be read: {problem}.", where=path) from problem
    raise error(
        f"a table must end in .csv or .parquet, not {path.suffix!r}.", where=path, fix="convert it."
    )


def write_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a table as `.csv` or `.parquet` (by its ending), atomically; returns the path."""
    path = Path(path)
    if path.suffix not in (".csv", ".parquet"):
        raise CovidlitError(
            f"a table must end in .csv or .parquet, not {path.suffix!r}.", where=path
        )
    with atomic_path(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, index=False)
    return path


def validate(
    table: pd.DataFrame,
    schema: pa.DataFrameSchema,
    where: object,
    error: type[CovidlitError] = CovidlitError,
) -> pd.DataFrame:
    """Hold a table against a schema and return it with the schema's types.

    Raises:
        CovidlitError: (of the type `error`) naming row, column, value and the broken rule of up to
            five failures. Rows are counted from 1, without the header.
    """
    import pandera.errors

    try:
        return schema.validate(table, lazy=True)
    except pandera.errors.SchemaErrors as problem:
        cases = problem.failure_cases
    lines = []
    for case in cases.head(5).itertuples():
        if case.check == "column_in_dataframe":
            lines.append(f"column {case.failure_case!r} is missing")
            continue
        row = "" if case.index is None or case.index != case.index else f"row {case.index + 1}, "
        lines.append(f"{row}column {case.column!r}: value {case.failure_case!r}: {case.check}")
    more = f" (and {len(cases) - 5} more)" if len(cases) > 5 else ""
    raise error(
        f"{len(cases)} value(s) break the schema: {'; '.join(lines)}{more}.",
        where=where,
        fix="correct these values in the table and read it again.",
    ) from None
