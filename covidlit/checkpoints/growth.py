"""A network is built no larger than the weights that it is built for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from covidlit.checkpoints.size import n_values

_SPARE_VALUES = 50_000_000
_SPARE_MODULES = 10_000
"""Up to these a network is built, so that the weights that do not fit can be named."""


@contextmanager
def no_larger_than(weights: Mapping[str, Tensor]) -> Iterator[None]:
    """End the building of a module as soon as it has grown beyond the weights for it.

    A module that registers a weight twice, or buffers that are not kept, has some room.

    Raises:
        ValueError: (within) it is larger.
    """
    most_values = 2 * n_values(weights) + _SPARE_VALUES
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
                f"{n_values(weights)} numbers in {len(weights)} tensors"
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
