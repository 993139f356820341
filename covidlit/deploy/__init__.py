"""Fast prediction: exported networks, the engines that run them, scans prepared meanwhile."""

from covidlit.deploy.engine import ENGINES, Engine, load_engine
from covidlit.deploy.timings import Timings

__all__ = ["ENGINES", "Engine", "Timings", "load_engine"]
