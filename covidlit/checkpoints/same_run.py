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

_WHOLE_RUN = {
    "OneCycleLR": ("total_steps", "epochs"),
    "CosineAnnealingLR": ("T_max",),
}
"""Schedulers that are laid out over the length of the run, unless one of these arguments sets it;
see `covidlit.tasks.BaseTask.configure_optimizers`."""

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


def trainer_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of the Trainer in the record of a run; empty where it has none."""
    config = record.get("config")
    trainer = config.get("trainer") if isinstance(config, Mapping) else None
    return trainer if isinstance(trainer, Mapping) else {}


def changed_length(
    before: Mapping[str, Any], now: Mapping[str, Any], scheduler: Mapping[str, Any] | None
) -> str:
    """What differs in the length of two runs, where their schedule depends on it.

    Args:
        before, now: settings of the Trainer; one that is missing is not compared.
        scheduler: its node, or None for a constant learning rate.

    Returns:
        For example "trainer.max_epochs was 10 and is 20"; empty where nothing differs, or where
        the learning rate of an epoch is the same in a run of any length.
    """
    name = str((scheduler or {}).get("_target_")).rpartition(".")[2]
    if name not in _WHOLE_RUN or any(key in (scheduler or {}) for key in _WHOLE_RUN[name]):
        return ""
    changed = [
        f"trainer.{key} was {before[key]!r} and is {now[key]!r}"
        for key in ("max_epochs", "max_steps")
        if key in before and key in now and before[key] != now[key]
    ]
    return "; ".join(changed)


def cut_short(trainer: Mapping[str, Any]) -> str:
    """What a debugging setting left of the training, as a sentence; empty where it left all.

    Args:
        trainer: settings of the Trainer. As there, a whole number is one of batches, a fraction
            one of the training part.
    """
    if dev_run := trainer.get("fast_dev_run"):
        batches = _batches(int(dev_run))
        return f"Training was a trial of {batches} (trainer.fast_dev_run), not a training."
    if overfit := trainer.get("overfit_batches"):
        return (
            f"Training used {_batches(overfit)} again and again (trainer.overfit_batches), to see "
            "whether the network can learn them by heart."
        )
    limit = trainer.get("limit_train_batches")
    if limit is None or (isinstance(limit, float) and limit == 1):
        return ""
    return f"Training used {_batches(limit)} in every epoch (trainer.limit_train_batches)."


def _batches(number: float) -> str:
    if isinstance(number, float):
        return f"{number:.3g} of the training part"
    return f"{number} batch" if number == 1 else f"{number} batches"


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
