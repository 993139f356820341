"""Files that a command may write over: its own of an earlier call, and no others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def check_own_table(path: Path, columns: Iterable[str], command: str) -> Path:
    """The path, if a table can be written there over nothing but an earlier one of the command.

    Args:
        path: .csv or .parquet.
        columns: by which the command's own table is known.
        command: its name, for the message.

    Raises:
        CovidlitError: another file lies there, or see `covidlit.tables.check_table_path`.
    """
    from covidlit.errors import CovidlitError
    from covidlit.tables import check_table_path, read_table

    check_table_path(path)
    if not path.exists():
        return path
    try:
        known = set(read_table(path))
    except CovidlitError:
        known = set()
    if not known.issuperset(columns):
        raise _another(path, f"`{command}` would write over a file that it did not write.")
    return path


def check_own_page(path: Path, generator: str) -> Path:
    """The path, if a page can be written there over nothing but an earlier one of the command.

    Args:
        path: .html.
        generator: what the command's own pages say in `<meta name="generator">`.

    Raises:
        CovidlitError: another file lies there, another ending, or a place that cannot be written.
    """
    from covidlit.errors import CovidlitError
    from covidlit.files import check_writable

    if path.suffix.lower() not in (".html", ".htm"):
        raise CovidlitError(
            f"a page must end in .html, not {path.suffix!r}.", where=path, fix="rename it."
        )
    check_writable(path)
    if path.exists():
        with path.open("rb") as file:
            head = file.read(2000)
        if f'content="{generator}"'.encode() not in head:
            raise _another(path, f"`{generator}` would write over a file that it did not write.")
    return path


def _another(path: Path, what: str) -> Exception:
    from covidlit.errors import CovidlitError

    return CovidlitError(what, where=path, fix="give another name, or remove that file first.")
