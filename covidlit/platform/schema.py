"""Whether a database is of this version of covidlit: a newer one is refused, an older one told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from covidlit.errors import CovidlitError
from covidlit.version import __version__

Ask = Callable[[str], list[tuple[Any, ...]]]
"""Answers a question in SQL with rows."""

_OWN = Path(__file__).parent


class Schema(Enum):
    """How a database stands to this version."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"


def schema_of_database(where: object) -> Schema:
    """How the database stands to this version.

    Args:
        where: of the platform, for the message.

    Raises:
        CovidlitError: a newer covidlit has changed it.
    """
    from django.db import connection  # backups are read where Django is not set up
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if not executor.loader.applied_migrations:
        return Schema.EMPTY
    with connection.cursor() as cursor:

        def ask(query: str) -> list[tuple[Any, ...]]:
            cursor.execute(query)
            return list(cursor.fetchall())

        check_known(migrations_in(ask), where)
    due = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return Schema.OLDER if due else Schema.CURRENT


def migrations_in(ask: Ask) -> dict[str, list[str]]:
    """The migrations of the platform's own apps that a database has had."""
    found: dict[str, list[str]] = {}
    for app, name in ask("SELECT app, name FROM django_migrations ORDER BY app, name"):
        if (_OWN / app / "migrations").is_dir():
            found.setdefault(app, []).append(name)
    return found


def check_known(migrations: Mapping[str, list[str]], where: object, version: str = "") -> None:
    """Refuse a database that a newer covidlit has changed.

    Raises:
        CovidlitError: it has had a migration that this version does not know.
    """
    unknown = [
        f"{app}.{name}"
        for app, names in migrations.items()
        for name in names
        if not (_OWN / app / "migrations" / f"{name}.py").is_file()
    ]
    if unknown:
        made = f"covidlit {version}, which is" if version else "a covidlit"
        raise CovidlitError(
            f"it was made by {made} newer than this one ({__version__}): {unknown[0]} is not "
            "known here.",
            where=where, fix="install that version of covidlit, or a later one.",
        )  # fmt: skip
