"""The files in which models of times to an event are kept: JSON that names its kind."""

from __future__ import annotations

import json
from pathlib import Path

COX, BOOSTED = "cox", "boosted_hazards"
"""Kinds, as they stand in a file, and the names of files."""

FILES = tuple(f"{kind}.json" for kind in (COX, BOOSTED))
"""In the `checkpoints/` of a run."""


def is_survival_file(path: str | Path) -> bool:
    """Whether a file is a model of times to an event, or lies where one is expected."""
    path = Path(path)
    return path.is_file() and (path.name in FILES or survival_kind(path) is not None)


def survival_kind(path: str | Path) -> str | None:
    """The kind of model that a file holds; None where it holds no such model."""
    path = Path(path)
    if path.suffix.lower() != ".json":
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    kind = content.get("kind") if isinstance(content, dict) else None
    return kind if kind in (COX, BOOSTED) else None
