"""Contract 10, the checkpoint: opened without running anything, and checked before it is used."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from covidlit.checkpoints.checks import (
    GARBLED,
    check_content,
    check_file,
    damaged,
    unreadable,
    untrusted,
)
from covidlit.checkpoints.record import RunRecord, validated_record
from covidlit.files import atomic_path


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of covidlit; nothing in it is ever executed.

    Returns:
        Lightning's mapping (`state_dict`, `hyper_parameters`, ...) and, under "covidlit", `format`,
        `task`, `record`, `versions` and `rng`. All tensors on the CPU.

    Raises:
        CheckpointError: missing, truncated, not a checkpoint, of another format, a classical
            baseline; or untrusted: it holds other objects than tensors and plain values, or a
            `_target_` that may not be built. The message names what was found.
    """
    path = Path(path)
    check_file(path)
    content = _read(path)
    check_content(content, path, Tensor)
    return dict(content)


def read_record(checkpoint: Mapping[str, Any], where: object) -> RunRecord:
    """The record of the run that wrote a checkpoint, as returned by `load_checkpoint`.

    Raises:
        CheckpointError: it is missing or incomplete.
    """
    return validated_record(checkpoint["covidlit"]["record"], where)


def update_record(path: str | Path, **fields: Any) -> None:
    """Add to the record of a checkpoint what was found out after training; atomic.

    Args:
        path: the checkpoint.
        fields: of `RunRecord`, for example `operating_point=0.41`.

    Raises:
        CheckpointError: see `load_checkpoint`; or a field that the record does not have.
    """
    checkpoint = load_checkpoint(path)
    checkpoint["covidlit"]["record"] |= fields
    record = read_record(checkpoint, path)
    checkpoint["covidlit"]["record"] = record.model_dump(mode="json")
    with atomic_path(path) as temporary:
        torch.save(checkpoint, temporary)


def _read(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if found := re.findall(r"(?:GLOBAL|global:?)\s+`?([\w.]+\.[\w.]+)", str(error)):
            raise untrusted(path, found) from error
        raise damaged(path) from error
    except OSError as error:
        raise unreadable(path, error) from error
    except GARBLED as error:
        raise damaged(path) from error
