"""Open a study that is there already, without making anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from sqlalchemy.exc import SQLAlchemyError

from covidlit.errors import ConfigError, did_you_mean
from covidlit.sweep.storage import JOURNAL, SQLITE, open_storage, study_file

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage


def existing_study(folder: Path, storage: str | None = None, name: str | None = None) -> Study:
    """The study of a sweep's folder.

    Args:
        folder: the sweep's folder.
        storage: URL of its database; None: the file in the folder.
        name: of the study; None: the only one in the storage.

    Raises:
        ConfigError: there is no such folder, storage or study, the storage cannot be read, or it
            holds several studies and none is named.
    """
    opened, where = open_existing(folder, storage)
    names = sorted(optuna.get_all_study_names(opened))
    if name is None and len(names) == 1:
        name = names[0]
    if name in names:
        return optuna.load_study(study_name=name, storage=opened)
    if not names:
        raise ConfigError(
            "the storage holds no study.", where=where, fix="the sweep makes it when it begins."
        )
    listed = ", ".join(names)
    if name is None:
        raise ConfigError(
            f"the storage holds {len(names)} studies: {listed}.", where=where,
            fix="name one by --study-name.",
        )  # fmt: skip
    fix = did_you_mean(name, names, n=3) or f"the studies are {listed}."
    raise ConfigError(f"there is no study {name!r}.", where=where, fix=fix)


def open_existing(folder: Path, storage: str | None) -> tuple[BaseStorage, object]:
    """The storage of a sweep's folder, and what to call it in messages.

    A URL may hold a password and is not told.

    Raises:
        ConfigError: there is no such folder or storage, or it cannot be read.
    """
    if not folder.is_dir():
        raise ConfigError(
            "there is no such folder.", where=folder,
            fix="give the folder of a sweep, such as runs/sweeps/csacnet.",
        )  # fmt: skip
    where: object = folder
    if storage is None:
        if (file := study_file(folder)) is None:
            raise ConfigError(
                f"there is no study here: neither {JOURNAL} nor {SQLITE}.", where=folder,
                fix="give the folder of a sweep, or where its study is kept by --storage.",
            )  # fmt: skip
        where = file
    elif storage.startswith("sqlite:///"):
        where = Path(storage.removeprefix("sqlite:///"))
        if not where.is_file():
            raise ConfigError("there is no such file.", where=where, fix="check --storage.")
    else:
        where = "--storage"

    try:
        return open_storage(storage, folder), where
    except (SQLAlchemyError, ImportError, RuntimeError, ValueError) as error:
        what = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise ConfigError(
            f"the study cannot be read: {what}.", where=where,
            fix="check the file or the URL; other versions of Optuna may write another format.",
        ) from error  # fmt: skip
