"""The trained task of a checkpoint."""

from __future__ import annotations

from pathlib import Path

from covidlit.tasks.base import BaseTask


def load_task(path: str | Path) -> BaseTask:
    """The trained task of a checkpoint, of whichever class; see `BaseTask.load_from_checkpoint`."""
    return BaseTask.load_from_checkpoint(path)
