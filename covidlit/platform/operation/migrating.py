"""Whether a database is of this version of covidlit: a newer one is refused, an older one told."""

from __future__ import annotations

from enum import Enum

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from covidlit.platform.operation.manifest import check_known, migrations_in


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
    executor = MigrationExecutor(connection)
    if not executor.loader.applied_migrations:
        return Schema.EMPTY
    with connection.cursor() as cursor:

        def ask(query: str) -> list[tuple[object, ...]]:
            cursor.execute(query)
            return list(cursor.fetchall())

        check_known(migrations_in(ask), where)
    due = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return Schema.OLDER if due else Schema.CURRENT
