"""Where the study of a sweep is kept: in the sweep's folder, or in a database of the user's."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.errors import ConfigError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

SQLITE, JOURNAL = "study.db", "study.log"
_WAIT_S = 60
"""How long a process waits while another writes, before SQLite says that it is locked."""


def open_storage(storage: str | None, sweep_dir: Path) -> BaseStorage:
    """The storage of a sweep, made where there is none yet.

    Args:
        storage: None or "journal": Optuna's journal in the sweep's folder, which may lie on a
            network drive; anything else: a URL of SQLAlchemy. None takes the SQLite file of an
            older version where the folder has one and no journal.
        sweep_dir: the sweep's folder; made where it is missing.

    Raises:
        ConfigError: the database cannot be opened, or a journal would begin beside the study.
    """
    sweep_dir.mkdir(parents=True, exist_ok=True)
    file = study_file(sweep_dir)
    if storage is None and file == sweep_dir / SQLITE:
        storage = f"sqlite:///{file.resolve()}"
    if storage not in (None, "journal"):
        return _open_database(storage)
    if file == sweep_dir / SQLITE:
        raise ConfigError(
            f"the study is kept in {SQLITE}.",
            where="hydra.sweeper.storage=journal",
            fix=f"give `{conversion(sweep_dir, file)}` first, or leave the setting out to go on "
            "with the file on one machine.",
        )
    from covidlit.sweep.journal import open_journal

    return open_journal(sweep_dir / JOURNAL)


def study_file(sweep_dir: Path) -> Path | None:
    """The file in the sweep's folder that holds its study; None where there is none."""
    for name in (JOURNAL, SQLITE):  # a conversion leaves the second, and completes the first
        if (sweep_dir / name).is_file():
            return sweep_dir / name
    return None


def conversion(sweep_dir: Path, database: Path) -> str:
    """The command that copies a study from SQLite into a journal in the sweep's folder."""
    elsewhere = database.resolve() != (sweep_dir / SQLITE).resolve()
    place = f" --storage sqlite:///{database}" if elsewhere else ""
    return f"covidlit sweep {shlex.quote(str(sweep_dir))}{place} --to-journal"


def refuse_other_machines(
    storage: BaseStorage, trials: Sequence[FrozenTrial], sweep_dir: Path
) -> None:
    """Let no SQLite file be shared by machines: its locks do not hold on all network drives.

    Args:
        storage: of the study.
        trials: of the study.
        sweep_dir: the sweep's folder.

    Raises:
        ConfigError: a trial was begun by another machine.
    """
    engine = getattr(getattr(storage, "_backend", storage), "engine", None)
    if engine is None or engine.dialect.name != "sqlite":
        return
    here = socket.gethostname()
    others = sorted({host for trial in trials if (host := host_of(trial)) not in (None, here)})
    if others:
        raise ConfigError(
            f"the study is kept in SQLite, which several machines must not share: it has trials "
            f"of {', '.join(map(str, others))}, and this is {here}.",
            where="hydra.sweeper.storage",
            fix="stop the sweep everywhere, give "
            f"`{conversion(sweep_dir, Path(engine.url.database))}` and then the same command "
            "again, with hydra.sweeper.storage=null; or use a database server.",
        )


def host_of(trial: FrozenTrial) -> str | None:
    """The machine whose sweep began the trial; None where nothing says so."""
    attributes = trial.user_attrs
    host = attributes.get("host") or attributes.get("owner", {}).get("host")  # older studies
    return None if host is None else str(host)


def _open_database(url: str) -> BaseStorage:
    from optuna.storages import RDBStorage, get_storage
    from sqlalchemy.exc import SQLAlchemyError

    waiting = {"connect_args": {"timeout": _WAIT_S}} if url.startswith("sqlite") else {}
    try:
        database = RDBStorage(url, engine_kwargs=waiting)
    except (ImportError, SQLAlchemyError) as error:
        raise ConfigError(
            f"the database cannot be opened: {str(error).splitlines()[0]}",
            where="hydra.sweeper.storage",
            fix="give null, or a URL such as postgresql+psycopg://USER@HOST/NAME whose driver is "
            "installed.",
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
