"""Where the study of a sweep is kept: in the sweep's folder, or in a database of the user's."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from covidlit.errors import ConfigError

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

    Raises:
        ConfigError: the database cannot be opened.
    """
    sweep_dir.mkdir(parents=True, exist_ok=True)
    if storage == "journal":
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        return JournalStorage(JournalFileBackend(str(sweep_dir / JOURNAL)))
    from optuna.storages import RDBStorage, get_storage
    from sqlalchemy.exc import SQLAlchemyError

    url = storage or f"sqlite:///{(sweep_dir / SQLITE).resolve()}"
    waiting = {"connect_args": {"timeout": _WAIT_S}} if url.startswith("sqlite") else {}
    # Two processes that open a new file at once would both make its tables.
    opening = FileLock(sweep_dir / f".{SQLITE}.lock") if storage is None else nullcontext()
    try:
        with opening:
            database = RDBStorage(url, engine_kwargs=waiting)
    except (ImportError, SQLAlchemyError) as error:
        raise ConfigError(
            f"the database cannot be opened: {str(error).splitlines()[0]}",
            where=f"hydra.sweeper.storage={storage}",
            fix="give null, journal, or a URL such as postgresql+psycopg://USER@HOST/NAME "
            "whose driver is installed.",
        ) from error
    if waiting:
        _lock_whole_transactions(database.engine)
    return get_storage(database)


def _lock_whole_transactions(engine: Any) -> None:
    """Let SQLite lock from the first read of a transaction on.

    Optuna reads a trial's state and then writes it. Python's driver begins the transaction with
    the write alone, so that two processes could both take the same waiting trial. The recipe is
    SQLAlchemy's ("Serializable isolation / savepoints / transactional DDL", dialect of SQLite).
    """
    from sqlalchemy import event

    engine.dispose()  # connections that were opened before would go on as they were

    @event.listens_for(engine, "connect")
    def _no_begin_by_the_driver(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
