"""Packages of the extra `deploy`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from covidlit.errors import ConfigError


def require_extra(package: str) -> Any:
    """Import a package of the extra `deploy`.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"{package} cannot be imported ({error}).",
            where="engine",
            fix="pip install 'covidlit[deploy]'",
        ) from error
