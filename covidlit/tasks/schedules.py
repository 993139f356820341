"""The optimizer and the scheduler of a task's settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.optim import Optimizer

from covidlit.errors import ConfigError
from covidlit.settings.targets import build

PER_STEP = ("OneCycleLR", "CosineAnnealingLR")
"""Schedulers that step after every batch and are laid out over the whole training."""

_PCT_START = 0.3
"""OneCycleLR's own."""


def make_optimizer(node: Mapping[str, Any], parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimizer that a mapping with `_target_` describes.

    Raises:
        ConfigError: it is not allowed, or its class refuses its settings.
    """
    with refusals_named(node, "optimizer"):
        optimizer: Optimizer = build(node, "optimizers", params=parameters)
    return optimizer


def make_scheduler(
    node: Mapping[str, Any], optimizer: Optimizer, steps: Callable[[], int], mode: str = "min"
) -> Any:
    """The scheduler that a mapping with `_target_` describes.

    Lengths, the top learning rate and the mode are filled in where the mapping does not give them.

    Args:
        node: not empty.
        optimizer: that it drives.
        steps: how many the training takes; asked where a length is needed.
        mode: of the metric that ReduceLROnPlateau follows.

    Raises:
        ConfigError: it is not allowed, or its class refuses its settings.
    """
    name = scheduler_name(node)
    filled: dict[str, Any] = {}
    if name in PER_STEP:
        length = "total_steps" if name == "OneCycleLR" else "T_max"
        if length not in node and "epochs" not in node:
            filled[length] = max(steps(), 2)
        if name == "OneCycleLR" and "max_lr" not in node:
            filled["max_lr"] = optimizer.param_groups[0]["lr"]
    if name == "ReduceLROnPlateau" and "mode" not in node:
        filled["mode"] = mode
    with refusals_named(node, "scheduler"):
        if name == "OneCycleLR":
            node = _with_phases({**node, **filled})
            filled = {}
        return build(node, "schedulers", optimizer=optimizer, **filled)


def scheduler_name(node: Mapping[str, Any] | None) -> str:
    """The class's name alone; empty where there is no scheduler."""
    return str((node or {}).get("_target_", "")).rpartition(".")[2]


@contextmanager
def refusals_named(node: Mapping[str, Any] | None, what: str) -> Iterator[None]:
    """Name the settings where torch's class refuses them, as it is made or when it steps.

    Args:
        node: its settings.
        what: "optimizer" or "scheduler".

    Raises:
        ConfigError: in place of the class's own error.
    """
    try:
        yield
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        given = [f"{name} {value}" for name, value in (node or {}).items() if name[0] != "_"]
        raise ConfigError(
            f"torch refuses these settings ({', '.join(given) or 'none given'}): "
            f"{type(error).__name__}: {str(error).rstrip('.')}.",
            where=f"{what} {scheduler_name(node)}",
            fix=f"correct the settings below model.task.{what}, or leave out those that need not "
            "differ from the preset's.",
        ) from error


def _with_phases(node: dict[str, Any]) -> dict[str, Any]:
    """OneCycleLR's settings without a rise of exactly one step, whose length torch takes for zero.

    It divides by that length. A little shorter, the rise is left out, as it is where it would take
    less than one step.
    """
    total = node.get("total_steps") or node.get("epochs", 0) * node.get("steps_per_epoch", 0)
    start = node.get("pct_start", _PCT_START)
    if start * total == 1:
        return {**node, "pct_start": start * (1 - 1e-6)}
    return node
