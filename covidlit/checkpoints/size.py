"""What a checkpoint may hold: no sizes that its weights cannot have, no endless values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from covidlit.models.weight_differences import Shaped

MOST_VALUES = 2_000_000
"""Plain values in a checkpoint, weights not counted (a run's own: some thousands, and one for each
scan of its split)."""


def too_large(hparams: Mapping[str, Any], weights: Mapping[str, Shaped]) -> str:
    """Which hyper-parameter is a size that the weights cannot have; empty where none is.

    Args:
        hparams: of the task.
        weights: its state.
    """
    most = max(1_000_000, n_values(weights))
    sizes = {"net": hparams.get("net"), "n_classes": hparams.get("n_classes")}
    for name, value in _numbers(sizes):
        if abs(value) > most:
            return f"{name} is {value}, and all its weights are {n_values(weights)} numbers"
    return ""


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


def n_values(weights: Mapping[str, Shaped]) -> int:
    """All numbers of all weights."""
    return sum(prod(weight.shape) for weight in weights.values())


def _numbers(content: Any, place: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _numbers(value, f"{place}.{name}" if place else str(name))
    elif isinstance(content, Sequence) and not isinstance(content, str | bytes):
        for value in content:
            yield from _numbers(value, place)
    elif isinstance(content, int) and not isinstance(content, bool):
        yield place, content
