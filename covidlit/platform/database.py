"""How Django reaches the database of a platform."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from covidlit.errors import ConfigError
from covidlit.platform.folder import SETTINGS_FILE, PlatformFolder

_POSTGRESQL = ("postgres", "postgresql")


def database_settings(folder: PlatformFolder) -> dict[str, Any]:
    """Django's settings of the database: SQLite in the folder, or PostgreSQL by its address.

    SQLite begins each transaction with its lock on writing, keeps readers going beside a writer
    (WAL), and waits for 30 s: otherwise most writers that read first fail at once beside others.

    Raises:
        ConfigError: another kind of database.
    """
    address = folder.settings.database
    if not address:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": folder.database,
            "OPTIONS": {
                "timeout": 30,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            },
        }
    parts = urlsplit(address)
    if parts.scheme not in _POSTGRESQL or not parts.path.strip("/"):
        raise ConfigError(
            f"got an address of the kind {parts.scheme!r}.",
            where=f"database in {folder.root / SETTINGS_FILE}",
            fix="write postgresql://user:password@host/name, or leave it empty for SQLite.",
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
