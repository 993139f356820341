"""The database of a platform as it was at one moment, while people go on working."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from covidlit.platform.database import database_settings
from covidlit.platform.folder import PlatformFolder
from covidlit.platform.operation.programs import program, run_on
from covidlit.platform.schema import Ask

Kind = Literal["sqlite", "postgresql"]
SQLITE: Kind = "sqlite"
POSTGRESQL: Kind = "postgresql"
FILES: dict[Kind, str] = {SQLITE: "database.sqlite3", POSTGRESQL: "database.dump"}
"""The database's file in a backup, by its kind."""


class Snapshot(NamedTuple):
    """A database of one moment.

    Args:
        kind: of the database.
        ask: the rows of a query in SQL.
        write: copies all of it to a file.
    """

    kind: Kind
    ask: Ask
    write: Callable[[Path], None]


@contextmanager
def snapshot(folder: PlatformFolder, room: Path) -> Iterator[Snapshot]:
    """What the database holds now, whatever is written into it in the meantime.

    Args:
        folder: of the platform.
        room: a folder for a copy.
    """
    if folder.settings.database:
        with _of_postgresql(database_settings(folder)) as found:
            yield found
        return
    copy = room / FILES[SQLITE]
    with closing(_opened(folder.database, "mode=ro")) as source, closing(_new(copy)) as target:
        source.backup(target)  # one step: no writer comes between its pages
    with closing(_opened(copy, "immutable=1")) as rows:

        def ask(query: str) -> list[tuple[Any, ...]]:
            return rows.execute(query).fetchall()

        def write(path: Path) -> None:
            copy.replace(path)

        yield Snapshot(SQLITE, ask, write)


def _opened(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=60)


def _new(path: Path) -> sqlite3.Connection:
    path.unlink(missing_ok=True)
    path.touch(0o600)
    return sqlite3.connect(path)


@contextmanager
def _of_postgresql(database: dict[str, Any]) -> Iterator[Snapshot]:
    import psycopg  # of the extra `postgresql`

    program("pg_dump")  # before anything is begun
    with (
        psycopg.connect(
            host=database["HOST"] or None, port=database["PORT"] or None, dbname=database["NAME"],
            user=database["USER"] or None, password=database["PASSWORD"] or None,
        ) as connection,
        connection.cursor() as cursor,
    ):  # fmt: skip
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        number = cursor.execute("SELECT pg_export_snapshot()").fetchone()
        assert number is not None
        moment = str(number[0])

        def ask(query: str) -> list[tuple[Any, ...]]:
            return cursor.execute(query).fetchall()

        def write(path: Path) -> None:
            run_on(
                database, "pg_dump", "--format=custom", "--no-owner", "--no-privileges",
                f"--snapshot={moment}", f"--file={path}",
            )  # fmt: skip

        yield Snapshot(POSTGRESQL, ask, write)
