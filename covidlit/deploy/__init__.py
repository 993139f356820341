"""Fast prediction: exported networks, the engines that run them, scans prepared meanwhile."""

from covidlit.deploy.engine import Engine
from covidlit.deploy.load import ENGINES, load_engine
from covidlit.deploy.timings import Timings

__all__ = ["ENGINES", "Engine", "Timings", "load_engine"]
