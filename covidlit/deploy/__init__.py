"""Fast prediction: exported networks, the engines that run them, scans prepared meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from covidlit.deploy.engine import Engine
    from covidlit.deploy.load import ENGINES, load_engine
    from covidlit.deploy.timings import Timings

__all__ = ["ENGINES", "Engine", "Timings", "load_engine"]

# Reading scans takes half a second to import, and scores of tables do without.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "engine": ["Engine"],
        "load": ["ENGINES", "load_engine"],
        "timings": ["Timings"],
    },
)
