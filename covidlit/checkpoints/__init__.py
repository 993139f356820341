"""Contract 10, the checkpoint: what it says of its run, and how it is opened and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

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

# Reading a checkpoint takes torch; the record and the allow-list serve without it.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "file": ["load_checkpoint", "read_record", "update_record"],
    },
)
