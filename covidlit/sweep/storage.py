"""Where the study of a sweep is kept: in the sweep's folder, or in a database of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

SQLITE, JOURNAL = "study.db", "study.log"
_WAIT_S = 60
"""How long a process waits while another writes, before SQLite says that it is locked."""


def open_storage(storage: str | None, sweep_dir: Path) -> BaseStorage:
    """The storage of a sweep, made where there is none yet.

    Args:
        storage: None: SQLite in the sweep's folder; "journal": Optuna's journal file there, for
            folders on a network file system; anything else: a URL of SQLAlchemy.
        sweep_dir: the sweep's folder; made where it is missing.
    """
    sweep_dir.mkdir(parents=True, exist_ok=True)
    if storage == "journal":
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        return JournalStorage(JournalFileBackend(str(sweep_dir / JOURNAL)))
    from optuna.storages import RDBStorage

    url = storage or f"sqlite:///{(sweep_dir / SQLITE).resolve()}"
    waiting = {"connect_args": {"timeout": _WAIT_S}} if url.startswith("sqlite") else {}
    return RDBStorage(url, engine_kwargs=waiting)
