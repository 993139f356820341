"""Values of a run's files as words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def record_text(record: Mapping[str, Any]) -> str:
    """A mapping as "name value, name value"; null as "not stated"."""
    return ", ".join(f"{name} {plain(value)}" for name, value in record.items())


def plain(value: Any) -> str:
    """A value of a configuration as a person writes it."""
    if value is None:
        return "not stated"
    if isinstance(value, Mapping):
        return f"({record_text(value)})"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(plain(one) for one in value)}]"
    return str(value)


def listed(names: Sequence[Any]) -> str:
    """Names with commas, the last with "and"."""
    texts = [str(name) for name in names]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def numbers(values: Sequence[float]) -> str:
    """Sizes such as "24 x 64 x 64"."""
    return " x ".join(f"{value:g}" for value in values)


def last_name(target: Any) -> str:
    """The last part of a dotted name."""
    return str(target).rpartition(".")[2]
