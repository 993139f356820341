"""The tables of a version, kept when it is released: `python tests/platform/schema_dump.py`."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import covidlit.platform
from covidlit.platform.folder import VARIABLE, make_platform_folder
from covidlit.version import __version__

SCHEMAS = Path(__file__).parent / "schemas"
OWN = Path(covidlit.platform.__file__).parent


def django(root: Path, *commands: tuple[str, ...]) -> None:
    """Commands of Django on a platform."""
    variables = {VARIABLE: str(root), "DJANGO_SETTINGS_MODULE": "covidlit.platform.settings"}
    program = (
        "import json, sys, django; django.setup()\n"
        "from django.core.management import call_command\n"
        "for each in json.loads(sys.argv[1]): call_command(*each)"
    )
    command = [sys.executable, "-c", program, json.dumps(commands)]
    subprocess.run(command, env=os.environ | variables, check=True, capture_output=True)


def sums(root: Path = OWN) -> dict[str, str]:
    """SHA-256 of the migrations, by place."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.glob("*/migrations/[0-9]*.py"))
    }


def changed(released: dict[str, str], root: Path = OWN) -> list[str]:
    """Released migrations that are gone or are other ones now."""
    now = sums(root)
    return [place for place, total in released.items() if now.get(place) != total]


def dump(database: Path) -> str:
    """A database of SQLite as SQL."""
    with closing(sqlite3.connect(database)) as connection:
        return "\n".join(connection.iterdump())


def load(sql: str, root: Path) -> None:
    """A platform whose database is a dump."""
    make_platform_folder(root)
    with closing(sqlite3.connect(root / "db.sqlite3")) as connection:
        connection.executescript(sql)


def tables(database: Path) -> dict[str, Any]:
    """Columns, indexes and triggers of each table, however they came about."""
    with closing(sqlite3.connect(database)) as connection:

        def ask(query: str) -> list[Any]:
            return connection.execute(query).fetchall()

        names = [row[0] for row in ask("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found: dict[str, Any] = {}
        for name in names:
            indexes = ask(f"PRAGMA index_list('{name}')")
            found[name] = {
                "columns": sorted(repr(row[1:]) for row in ask(f"PRAGMA table_info('{name}')")),
                "indexes": sorted(
                    repr((row[2], [each[2] for each in ask(f"PRAGMA index_info('{row[1]}')")]))
                    for row in indexes
                ),
                "triggers": sorted(
                    row[0]
                    for row in ask("SELECT name, tbl_name FROM sqlite_master WHERE type='trigger'")
                    if row[1] == name
                ),
                "keys": sorted(repr(row[2:5]) for row in ask(f"PRAGMA foreign_key_list('{name}')")),
            }
        return found


def main() -> None:
    """Keep the tables of this version."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "platform"
        make_platform_folder(root)
        django(root, ("migrate",))
        SCHEMAS.mkdir(exist_ok=True)
        (SCHEMAS / f"{__version__}.sql").write_text(dump(root / "db.sqlite3") + "\n")
        (SCHEMAS / f"{__version__}.json").write_text(json.dumps(sums(), indent=1) + "\n")


if __name__ == "__main__":
    main()
