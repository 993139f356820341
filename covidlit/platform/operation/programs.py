"""PostgreSQL's own programs, for what only they do: dumping a database and restoring it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from covidlit.errors import ConfigError, CovidlitError

_PLACES = "/usr/lib/postgresql"  # where Debian has those of each version


def program(name: str) -> str:
    """Where a program of PostgreSQL is, the newest where there are several.

    Raises:
        ConfigError: it is not installed.
    """
    if found := shutil.which(name):
        return found
    places = sorted(Path(_PLACES).glob(f"*/bin/{name}"), key=lambda path: path.parts[-3].zfill(4))
    if not places:
        raise ConfigError(
            "is not installed, and nothing else copies a PostgreSQL database whole.", where=name,
            fix="install PostgreSQL's client programs (Debian: apt install postgresql-client).",
        )  # fmt: skip
    return str(places[-1])


def run_on(database: dict[str, Any], name: str, *arguments: str) -> None:
    """Run a program on a database; its password goes by the environment, which others cannot read.

    Args:
        database: Django's settings of it.
        name: of the program.
        arguments: further ones.

    Raises:
        CovidlitError: it failed; with what it said.
    """
    said = {"HOST": "PGHOST", "PORT": "PGPORT", "USER": "PGUSER", "PASSWORD": "PGPASSWORD"}
    own = {variable: database[key] for key, variable in said.items() if database[key]}
    done = subprocess.run(
        [program(name), "--no-password", "--dbname", database["NAME"], *arguments],
        env=os.environ | own, capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    if done.returncode:
        raise CovidlitError(
            f"{name} failed: {' '.join(done.stderr.split())[-500:]}", where=database["NAME"],
            fix="mend what it says; it has to be as new as the server.",
        )  # fmt: skip
