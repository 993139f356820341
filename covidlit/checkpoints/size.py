"""A network is built no larger than the weights that it is built for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

MOST_VALUES = 2_000_000
"""Plain values in a checkpoint, weights not counted (a run's own: some thousands, and one for each
scan of its split)."""

_SPARE_VALUES = 50_000_000
_SPARE_MODULES = 10_000
"""Up to these a network is built, so that the weights that do not fit can be named."""


def too_large(hparams: Mapping[str, Any], weights: Mapping[str, Tensor]) -> str:
    """Which hyper-parameter is a size that the weights cannot have; empty where none is.

    Args:
        hparams: of the task.
        weights: its state.
    """
    most = max(1_000_000, _n_values(weights))
    sizes = {"net": hparams.get("net"), "n_classes": hparams.get("n_classes")}
    for name, value in _numbers(sizes):
        if abs(value) > most:
            return f"{name} is {value}, and all its weights are {_n_values(weights)} numbers"
    return ""


@contextmanager
def no_larger_than(weights: Mapping[str, Tensor]) -> Iterator[None]:
    """End the building of a module as soon as it has grown beyond the weights for it.

    A module that registers a weight twice, or buffers that are not kept, has some room.

    Raises:
        ValueError: (within) it is larger.
    """
    most_values = 2 * _n_values(weights) + _SPARE_VALUES
    most_modules = 20 * len(weights) + _SPARE_MODULES
    thread = threading.get_ident()
    counts = {"values": 0, "modules": 0}

    def add(kind: str, number: int, most: int) -> None:
        if threading.get_ident() != thread:
            return
        counts[kind] += number
        if counts[kind] > most:
            raise ValueError(
                f"they ask for a network of more than {most} {kind}, and its weights are "
                f"{_n_values(weights)} numbers in {len(weights)} tensors"
            )

    def on_tensor(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        add("values", 0 if tensor is None else tensor.numel(), most_values)
        add("modules", 1, most_modules)

    def on_module(module: nn.Module, name: str, child: nn.Module | None) -> None:
        add("modules", 1, most_modules)

    hooks: tuple[tuple[Callable[..., Any], Callable[..., None]], ...] = (
        (register_module_parameter_registration_hook, on_tensor),
        (register_module_buffer_registration_hook, on_tensor),
        (register_module_module_registration_hook, on_module),
    )
    with ExitStack() as stack:
        for register, hook in hooks:
            stack.callback(register(hook).remove)
        yield


def n_plain_values(content: Any, most: int = MOST_VALUES) -> int:
    """How many values a nested mapping or sequence holds, each as often as it is found; or more
    than `most`, where counting ends.

    A pickle may hold one list many times over: small in the file, endless to go through.
    """
    count, waiting = 0, [content]
    while waiting and count <= most:
        value = waiting.pop()
        count += 1
        if isinstance(value, Mapping):
            waiting.extend(value.keys())
            waiting.extend(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            waiting.extend(value)
        if len(waiting) > most:
            return most + 1
    return count


def _n_values(weights: Mapping[str, Tensor]) -> int:
    return sum(weight.numel() for weight in weights.values())


def _numbers(content: Any, place: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _numbers(value, f"{place}.{name}" if place else str(name))
    elif isinstance(content, Sequence) and not isinstance(content, str | bytes):
        for value in content:
            yield from _numbers(value, place)
    elif isinstance(content, int) and not isinstance(content, bool):
        yield place, content
