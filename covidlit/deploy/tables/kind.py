"""Whether a file is a model of tables, told from its bytes: nothing that loads one is imported."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile, ZipFile

from covidlit.checkpoints.kept_survival import is_survival_file
from covidlit.checkpoints.of_run import model_of_run
from covidlit.errors import CheckpointError

KINDS = ("clinical", "factors")
"""Of the input record: data whose rows are numbers of a table."""


def is_table_model(path: str | Path) -> bool:
    """Whether a checkpoint or a run's folder seems to be of a model of tables.

    Looks into the archive alone, without unpickling anything or loading a network.
    """
    try:
        path = model_of_run(path) if Path(path).is_dir() else Path(path)
        if is_survival_file(path):
            return True
        with ZipFile(path) as archive:
            for name in archive.namelist():
                if name == "schema.json" or name.endswith("data.pkl"):
                    return _speaks_of_tables(archive.read(name), name)
    except (CheckpointError, OSError, BadZipFile, NotImplementedError, RuntimeError):
        return False  # whoever loads it says what is wrong
    return False


def is_survival_model(path: str | Path) -> bool:
    """Whether a file or a run's folder seems to be of a model of times to an event."""
    try:
        return is_survival_file(model_of_run(path) if Path(path).is_dir() else path)
    except CheckpointError:
        return False  # whoever loads it says what is wrong


def _speaks_of_tables(content: bytes, name: str) -> bool:
    if name.endswith("data.pkl"):
        return b"SeverityPrediction" in content
    bare = content.replace(b"\\", b"").replace(b" ", b"")
    return any(b'"kind":"%s"' % kind.encode() in bare for kind in KINDS)
