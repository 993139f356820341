"""What a skops file claims to hold, before anything of it is unpacked."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

from covidlit.errors import CheckpointError
from covidlit.process import MEMORY_VARIABLE, archive_problem, memory_limit, over_limit

_SCHEMA = "schema.json"
_GET_ANOTHER = "use a model that covidlit wrote (runs/<name>/<date>/checkpoints/model.skops)."


def check_archive(path: Path) -> None:
    """Refuse a model that would take far more memory than its file.

    Its schema may name one array many times over, and each is loaded; so what it names is counted,
    and not only what the archive holds. A file that is no such archive passes: the loader says why.

    Raises:
        CheckpointError: it claims too much.
    """
    if problem := archive_problem(path) or _of_schema(path):
        raise CheckpointError(f"{problem}.", where=path, fix=_GET_ANOTHER)


def _of_schema(path: Path) -> str:
    most = memory_limit() // 32
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            if sizes.get(_SCHEMA, 0) > most:
                return (
                    f"its schema is larger than {most >> 20} MiB ({MEMORY_VARIABLE} in the "
                    "environment allows more)"
                )
            schema = json.loads(archive.read(_SCHEMA))
    except (KeyError, OSError, ValueError, RecursionError, zipfile.BadZipFile, zlib.error,
            NotImplementedError, EOFError):  # fmt: skip
        return ""
    return over_limit(sum(sizes.get(name, 0) for name in _named(schema)), "its schema")


def _named(schema: Any) -> list[str]:
    """The files that a schema names, each as often as it does."""
    found, waiting = [], [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("file"), str):
                found.append(node["file"])
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return found
