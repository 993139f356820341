"""The configuration in a run's folder, read as what it is: a file from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from covidlit.errors import ConfigError
from covidlit.settings.words import CONFIG

_MAPPINGS = ("data", "model", "split")


def read_run_config(run_dir: str | Path) -> dict[str, Any]:
    """The resolved configuration that a run has left in its folder; plain values, nothing built.

    Raises:
        ConfigError: missing, no YAML of plain values, or no configuration of a run.
    """
    path = Path(run_dir) / CONFIG
    if not path.is_file():
        raise ConfigError("there is no such file.", where=path, fix="give the run's own folder.")
    try:
        config = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise _not_one(path, f"it cannot be read ({type(error).__name__}).") from error
    if not isinstance(config, dict):
        raise _not_one(path, f"it holds a {type(config).__name__}.")
    for name in _MAPPINGS:
        if not isinstance(config.get(name), dict):
            raise _not_one(path, f"its node {name!r} is no mapping.")
    for name in ("seed", "strict"):
        if name not in config:
            raise _not_one(path, f"it has no {name!r}.")
    return {str(name): value for name, value in config.items()}


def load_yaml(text: str) -> Any:
    """The plain values of a YAML or JSON text of unknown origin.

    Raises:
        YAMLError: it is no YAML.
        ValueError: it holds more than `_MOST_VALUES`, or an alias within what it stands for: a few
            lines of aliases stand for more than any memory holds as soon as they are written out.
    """
    try:
        value = yaml.safe_load(text)
        _count(value, 0)
    except RecursionError as error:
        raise ValueError("its values are nested too deeply") from error
    return value


_MOST_VALUES = 1_000_000


def _count(value: Any, known: int) -> int:
    if known > _MOST_VALUES:
        raise ValueError(f"it holds more than {_MOST_VALUES:,} values")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        known = _count(each, known + 1)
    return known


def _not_one(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"this is not the configuration of a run: {what}",
        where=path,
        fix="give a folder that `covidlit train` wrote, or a checkpoint and a path.",
    )
