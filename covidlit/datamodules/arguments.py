"""The datamodule's arguments as the types that it needs, whatever a YAML file held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import Any

from covidlit.errors import ConfigError
from covidlit.preprocess import Geometry


@contextmanager
def config_errors(name: str) -> Iterator[None]:
    """Turn what Python says about values of a wrong type or name into an error of the settings.

    Raises:
        ConfigError: a TypeError or ValueError was raised inside.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{type(error).__name__}: {error}.", where=name, fix=f"correct the settings of {name}."
        ) from error


def as_path(value: object, name: str) -> Path:
    """A path from a path or a text."""
    if not isinstance(value, str | Path):
        raise ConfigError(f"must be a path, not {value!r}.", where=name, fix=f"give {name}=PATH.")
    return Path(value)


def as_geometry(value: Geometry | Mapping[str, Any] | None) -> Geometry:
    """A Geometry from its arguments; None: its defaults."""
    if isinstance(value, Geometry):
        return value
    with config_errors("geometry"):
        return Geometry(**dict(value or {}))


def as_window(value: object) -> tuple[float, float]:
    """The lowest and highest HU of a window from a sequence of two numbers, the lowest first."""
    numbers = list(value) if isinstance(value, Iterable) else []
    if len(numbers) != 2 or not all(isinstance(hu, Real) for hu in numbers):
        problem = f"must be two numbers of HU, not {value!r}."
    elif not numbers[0] < numbers[1]:
        problem = f"{numbers[0]} to {numbers[1]} HU is empty."
    else:
        return float(numbers[0]), float(numbers[1])
    raise ConfigError(
        problem, where="window", fix="give the lowest HU first, for example [-1000, 400]."
    )
