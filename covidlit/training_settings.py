"""Which settings change a training: a run goes on from a checkpoint only with the same ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_NODES = (
    "seed", "data", "label_rule", "split", "augmentation", "model.task",
    "trainer.accumulate_grad_batches", "trainer.gradient_clip_val", "trainer.limit_train_batches",
    "trainer.overfit_batches", "trainer.precision", "trainer.devices", "trainer.num_nodes",
)  # fmt: skip
_PLACES = {"n_jobs", "num_workers", "backend", "cache_dir", "folder", "path", "pretrained"}
"""Settings below these nodes that say where and with how many processes the work is done. Whether
another path holds the same scans is told by the split's hash."""

_LISTED = 6


def number_of_devices(devices: object) -> int | None:
    """How many devices the `devices` of a Trainer are; None where that depends on the machine.

    Args:
        devices: a number (-1: all there are), a list of indices, either as text, or "auto".
    """
    if isinstance(devices, str):
        names = [name for name in devices.split(",") if name.strip()]
        if "," in devices:
            return len(names)
        devices = int(devices) if devices.strip().isdecimal() else None
    if isinstance(devices, Sequence):
        return len(devices)
    return devices if isinstance(devices, int) and devices > 0 else None


def changed_settings(before: object, now: object) -> str:
    """What differs between two resolved configurations (`conf/train.yaml`) and changes training.

    Returns:
        For example "data.batch_size was 10 and is 4"; empty where nothing differs, or where one of
        them is no configuration.
    """
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return ""
    old, new = dict(_settings(before)), dict(_settings(now))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    found = [f"{name} was {old.get(name)!r} and is {new.get(name)!r}" for name in names[:_LISTED]]
    more = [f"{len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return "; ".join(found + more)


def _settings(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for node in _NODES:
        value: Any = config
        for key in node.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if node == "trainer.devices":
            value = number_of_devices(value) or value
        yield from _leaves(node, value)


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Dotted names and values; what is null is not set."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in _PLACES:
                yield from _leaves(f"{name}.{key}", inner)
    elif value is not None:
        yield name, value
