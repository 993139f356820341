"""The machine that a run is trained on, in `hardware.json`."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

from covidlit.settings.trainer import number_of_devices


def hardware_record(config: Mapping[str, Any]) -> dict[str, Any]:
    """Processor, devices and versions that the training runs on, JSON-able.

    Args:
        config: the resolved configuration (`conf/train.yaml`).

    Returns:
        `accelerator` is "cpu", "cuda" or "mps"; models without a Trainer are fitted on the CPU.
        `n_devices` is None where the machine decides it and has no GPU.
    """
    import torch

    trainer = config["model"].get("trainer")
    kind = "cpu" if trainer is None else _accelerator(str(trainer.get("accelerator", "auto")))
    asked = None if trainer is None else number_of_devices(trainer.get("devices", 1))
    record: dict[str, Any] = {
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "accelerator": kind,
        "n_devices": 1 if trainer is None else asked,
        "n_nodes": 1 if trainer is None else trainer.get("num_nodes", 1),
        "device_names": [],
        "cuda": None,
        "cudnn": None,
    }
    if kind == "cuda":
        found = range(torch.cuda.device_count())
        record["device_names"] = sorted({torch.cuda.get_device_name(index) for index in found})
        record["n_devices"] = asked or torch.cuda.device_count()
        record["cuda"] = torch.version.cuda
        record["cudnn"] = torch.backends.cudnn.version()
    return record


def _accelerator(asked: str) -> str:
    """What Lightning makes of an `accelerator`, for those that covidlit knows; others by name."""
    import torch

    if asked in ("gpu", "auto", "cuda") and torch.cuda.is_available():
        return "cuda"
    if asked in ("gpu", "auto", "mps") and torch.backends.mps.is_available():
        return "mps"
    return "cpu" if asked == "auto" else asked
