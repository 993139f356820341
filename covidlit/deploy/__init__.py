"""Fast prediction: exported networks, the engines that run them, scans prepared meanwhile."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covidlit.deploy.engine import Engine
    from covidlit.deploy.load import ENGINES, load_engine
    from covidlit.deploy.timings import Timings

__all__ = ["ENGINES", "Engine", "Timings", "load_engine"]

_MODULES = {"ENGINES": "load", "Engine": "engine", "Timings": "timings", "load_engine": "load"}


def __getattr__(name: str) -> Any:
    # Reading scans takes half a second to import, and scores of tables do without.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
