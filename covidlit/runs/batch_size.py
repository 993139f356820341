"""How many rows are trained on at a time: as many as were asked for, or as there is memory for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from covidlit.checkpoints.file import load_checkpoint, read_record
from covidlit.errors import ConfigError
from covidlit.runs.memory import available_memory, held_memory
from covidlit.runs.processes import started_from_outside
from covidlit.runs.step_memory import StepMemory, step_memory
from covidlit.settings.trainer import number_of_devices
from covidlit.settings.words import AUTO

if TYPE_CHECKING:
    from covidlit.tasks.base import BaseTask

log = logging.getLogger(__name__)

AUTO_ROWS = 10
"""Rows from which a step learns with `data.batch_size=auto`: the batch of Yao et al. 2021."""

_ROOM = 0.85
"""Share of the free memory that a proposed batch may take by the estimate."""


@dataclass(frozen=True)
class Batches:
    """How a training is fed.

    Args:
        rows: per batch and device (`data.batch_size`).
        accumulated: batches from which a step learns (`trainer.accumulate_grad_batches`).
    """

    rows: int
    accumulated: int = 1

    def __str__(self) -> str:
        return f"data.batch_size={self.rows} trainer.accumulate_grad_batches={self.accumulated}"


def settle_batches(
    config: Mapping[str, Any], task: BaseTask, input_record: Mapping[str, Any]
) -> Batches | None:
    """The batches of a run, held against the memory that is there.

    Args:
        config: the resolved configuration (`conf/train.yaml`).
        task: untrained.
        input_record: of `CohortData.input_record`.

    Returns:
        As asked for, or found for `data.batch_size=auto`; None for data without batches.

    Raises:
        ConfigError: a step takes more memory than there is (unless `check_memory` is false), or
            "auto" where it cannot be found.
    """
    asked, trainer = config["data"].get("batch_size"), config["trainer"]
    accumulated = trainer.get("accumulate_grad_batches") or 1
    if asked is None:
        return None
    if asked == AUTO and started_from_outside():
        raise ConfigError(
            "each process would find a size of its own.",
            where="data.batch_size=auto",
            fix="give a number, the same to every process.",
        )
    if asked == AUTO and config.get("ckpt_path"):
        return _of_checkpoint(config["ckpt_path"])
    wanted = Batches(AUTO_ROWS if asked == AUTO else asked, accumulated)
    if not config.get("check_memory", True) and asked != AUTO:
        return wanted
    gpu = trainer.get("accelerator") in ("gpu", "cuda", "auto") and torch.cuda.is_available()
    free = _free_on_gpu(trainer.get("devices", 1)) if gpu else available_memory()
    memory = _memory(config, task, input_record, wanted.rows, on_gpu=gpu)
    if memory is None or free is None:
        if asked == AUTO:
            raise ConfigError(
                "the memory of a step cannot be estimated for this model on this machine.",
                where="data.batch_size=auto",
                fix="give a number.",
            )
        return wanted
    beside = 1 if gpu else number_of_devices(trainer.get("devices", 1)) or 1

    needed = partial(_times, beside, memory.of)
    fitting = _largest(wanted, needed, _ROOM * free)
    if asked == AUTO and fitting is not None:
        log.info(
            "data.batch_size=auto: %s (a step takes about %.1f GB, %.1f GB are free).",
            fitting, needed(fitting.rows) / 1e9, free / 1e9,
        )  # fmt: skip
        return fitting
    if asked != AUTO and needed(wanted.rows) <= free:
        log.info(
            "A training step takes about %.2f GB, %.2f GB with what is loaded; %.1f GB are free.",
            needed(wanted.rows) / 1e9, (needed(wanted.rows) + held_memory()) / 1e9, free / 1e9,
        )  # fmt: skip
        return wanted
    narrower = None if fitting else _narrower(config, task, input_record, wanted, beside, free)
    raise _too_large(wanted, needed(wanted.rows), free, str(fitting) if fitting else None, narrower)


def _largest(wanted: Batches, needed: Callable[[int], int], most: float) -> Batches | None:
    """The largest batch that fits of those that make up the rows of a step without a rest."""
    rows = wanted.rows * wanted.accumulated
    for divisor in range(min(rows, wanted.rows), 0, -1):
        if rows % divisor == 0 and needed(divisor) <= most:
            return Batches(divisor, rows // divisor)
    return None


def _memory(
    config: Mapping[str, Any],
    task: BaseTask,
    input_record: Mapping[str, Any],
    rows: int,
    *,
    on_gpu: bool,
) -> StepMemory | None:
    return step_memory(
        task, input_record, rows,
        num_workers=config["data"].get("num_workers", 0),
        precision=str(config["trainer"].get("precision", "32-true")), on_gpu=on_gpu,
    )  # fmt: skip


def _narrower(
    config: Mapping[str, Any],
    task: BaseTask,
    input_record: Mapping[str, Any],
    wanted: Batches,
    beside: int,
    free: int,
) -> str | None:
    """The widest network of which one row at least fits, with its batches, as settings."""
    net = task.hparams.get("net") or {}
    width = net.get("width")
    while isinstance(width, int) and width >= 8:
        width //= 2
        with torch.device("meta"):
            other = type(task)(**{**task.hparams, "net": {**net, "width": width}})
        memory = _memory(config, other, input_record, wanted.rows, on_gpu=False)
        if memory is None:
            return None
        fitting = _largest(wanted, partial(_times, beside, memory.of), _ROOM * free)
        if fitting is not None:
            return f"model.task.net.width={width} {fitting}"
    return None


def _times(beside: int, of: Callable[[int], int], rows: int) -> int:
    return beside * of(rows)


def _too_large(
    wanted: Batches, needed: int, free: int, fitting: str | None, narrower: str | None
) -> ConfigError:
    rows = wanted.rows * wanted.accumulated
    ways = [
        f"{settings} fits and learns from {rows} rows per step all the same"
        for settings in (fitting, narrower)
        if settings
    ]
    ways.append("experiment=small trains a narrow network on coarser volumes")
    return ConfigError(
        f"a training step takes about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free: "
        "the system would end the run without a word.",
        where=f"data.batch_size={wanted.rows}",
        fix=f"{'; or '.join(ways)}. Batch norm sees the rows of one batch, "
        "model.task.net.norm=group does without. check_memory=false tries it all the same.",
    )


def _of_checkpoint(path: str) -> Batches:
    """Those of the run that goes on, whatever fits today: others would be another training."""
    config = read_record(load_checkpoint(path), path).config
    rows = (config.get("data") or {}).get("batch_size")
    if not isinstance(rows, int):
        raise ConfigError(
            "the checkpoint does not say how many rows its run was trained on at a time.",
            where="data.batch_size=auto",
            fix="give a number.",
        )
    return Batches(rows, int((config.get("trainer") or {}).get("accumulate_grad_batches") or 1))


def _free_on_gpu(devices: object) -> int:
    """The least that one of the GPUs of a run has; `devices` as in Lightning's Trainer."""
    there = range(torch.cuda.device_count())
    if isinstance(devices, str) and "," in devices:
        devices = [int(index) for index in devices.split(",") if index.strip()]
    if isinstance(devices, Sequence) and not isinstance(devices, str):
        chosen: Sequence[int] = [int(index) for index in devices]
    else:
        chosen = there[: number_of_devices(devices) or len(there)]
    return min(int(torch.cuda.mem_get_info(index)[0]) for index in chosen or there)
