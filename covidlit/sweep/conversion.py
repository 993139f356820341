"""Copy the study of a sweep from a database into a journal, which several machines may share."""

from __future__ import annotations

from pathlib import Path

import optuna

from covidlit.errors import ConfigError
from covidlit.sweep.existing_study import open_existing
from covidlit.sweep.journal import alone, open_journal
from covidlit.sweep.storage import JOURNAL


def to_journal(folder: Path, storage: str | None = None) -> None:
    """Copy all studies of a sweep's database into the journal of its folder, all or nothing.

    The database stays as it is. No sweep may run meanwhile.

    Args:
        folder: the sweep's folder.
        storage: URL of the database; None: the SQLite file in the folder.

    Raises:
        ConfigError: there is a journal already, or no study that can be read.
    """
    opened, where = open_existing(folder, storage)
    with alone(folder):
        journal, unfinished = folder / JOURNAL, folder / f"{JOURNAL}.part"
        if journal.exists():
            raise ConfigError(
                "there is a journal already.", where=journal,
                fix="sweeps go on with it; to copy another study, move it away.",
            )  # fmt: skip
        unfinished.unlink(missing_ok=True)  # of a copy that was killed
        names = optuna.get_all_study_names(opened)
        if not names:
            raise ConfigError(
                "the storage holds no study.", where=where, fix="give the one that does."
            )
        copy = open_journal(unfinished)
        for name in names:
            optuna.copy_study(from_study_name=name, from_storage=opened, to_storage=copy)
        unfinished.rename(journal)
