"""The smallest batch of an epoch, which a normalisation must be able to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from covidlit.counted import counted
from covidlit.errors import ConfigError
from covidlit.runs.step_memory import step_error
from covidlit.settings.trainer import number_of_devices

if TYPE_CHECKING:
    from covidlit.datamodules.cohort_data import CohortData
    from covidlit.tasks.base import BaseTask

_NORM = "model.task.net.norm"


def check_size(task: BaseTask, input_record: Mapping[str, Any]) -> None:
    """Refuse a network that no batch can train at this size of its input.

    Instance norm of features of one voxel leaves nothing of them.

    Raises:
        ConfigError: with the normalisations that can.
    """
    if (error := step_error(task, input_record, 2)) is None:
        return
    ways = [f"{_NORM}={norm}" for norm in _norms_that_train(task, input_record, 2)]
    raise ConfigError(
        f"the network cannot be trained on an input of this size ({_short(error)}).",
        where="data.geometry.size",
        fix=f"use {_or([*ways, 'a larger one'])}.",
    )


def check_smallest_batch(
    task: BaseTask, data: CohortData, rows: int, trainer: Mapping[str, Any]
) -> None:
    """Refuse batches of which the last one of an epoch is of one row and teaches nothing.

    Batch norm needs two values of each channel, and in a small field of view the deepest features
    have one voxel. Said before the first step, and not at the end of the first epoch.

    Args:
        task: untrained.
        data: set up.
        rows: per batch and device.
        trainer: node of the Trainer.

    Raises:
        ConfigError: with settings that train, each of them tried.
    """
    n = len(data.rows_of("train"))
    drops = getattr(data, "drop_last", None)
    devices = number_of_devices(trainer.get("devices", 1)) or 1
    share = n // devices if drops else -(-n // devices)
    if drops and share < rows:
        raise ConfigError(
            f"data.drop_last leaves no batch of {counted(n, f'training {data.unit}')}: a full one "
            f"has {rows}{f' on each of {devices} devices' if devices > 1 else ''}.",
            where="data.drop_last",
            fix=f"set data.drop_last=false, or data.batch_size={max(share, 1)}.",
        )
    smallest = rows if drops or share % rows == 0 else share % rows
    if smallest != 1 or _stops_before(trainer, share // rows):
        return
    record = data.input_record()
    if (error := step_error(task, record, 1)) is None:
        return
    ways = ["data.drop_last=true"] if drops is False and rows > 1 and share >= rows else []
    ways += [f"data.batch_size={other}" for other in _other_sizes(rows, share)]
    ways += [f"{_NORM}={norm}" for norm in _norms_that_train(task, record, 1)]
    last = "every batch" if rows == 1 else f"the last batch of an epoch ({n} in batches of {rows})"
    raise ConfigError(
        f"{last} is of one {data.unit}, which the network's normalisation cannot learn from: at "
        f"this input size its deepest features have one value per channel ({_short(error)}).",
        where=f"data.batch_size={rows}",
        fix=f"use {_or([*ways, 'a larger data.geometry.size'])}.",
    )


def _stops_before(trainer: Mapping[str, Any], full: int) -> bool:
    """Whether an epoch ends before its last batch, after at most `full` batches."""
    limit = trainer.get("fast_dev_run") or trainer.get("limit_train_batches")
    return isinstance(limit, int) and full >= int(limit) > 0


def _other_sizes(rows: int, share: int) -> list[int]:
    """The nearest size of a batch that leaves none of one row."""
    found = [size for size in range(2, share + 1) if share % size != 1]
    return sorted(found, key=lambda size: (abs(size - rows), -size))[:1]


def _norms_that_train(task: BaseTask, record: Mapping[str, Any], rows: int) -> list[str]:
    net = task.hparams.get("net") or {}
    trained = []
    for norm in ("group", "batch"):
        if "norm" not in net or norm == net["norm"]:
            continue
        with torch.device("meta"):
            other = type(task)(**{**task.hparams, "net": {**net, "norm": norm}})
        if step_error(other, record, rows) is None:
            trained.append(norm)
    return trained


def _or(ways: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(ways[:-1]), ways[-1]]))


def _short(error: str) -> str:
    return " ".join(error.split()).partition(", got input size")[0]
