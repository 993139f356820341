"""Contract 10, the checkpoint: what it says of its run, and how it is opened and checked."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from covidlit.checkpoints.record import PreprocessRecord, RunRecord, run_record
from covidlit.settings.targets import ALLOWED_TARGETS, allow_target, build, is_allowed

if TYPE_CHECKING:
    from covidlit.checkpoints.file import load_checkpoint, read_record, update_record

__all__ = [
    "ALLOWED_TARGETS",
    "PreprocessRecord",
    "RunRecord",
    "allow_target",
    "build",
    "is_allowed",
    "load_checkpoint",
    "read_record",
    "run_record",
    "update_record",
]

_OF_THE_FILE = ("load_checkpoint", "read_record", "update_record")


def __getattr__(name: str) -> Any:
    # Reading a checkpoint takes torch; the record and the allow-list serve without it.
    if name not in _OF_THE_FILE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("covidlit.checkpoints.file"), name)
