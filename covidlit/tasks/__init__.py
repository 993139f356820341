"""Tasks: LightningModules that train, test and predict with a network."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covidlit.tasks.base import BaseTask
    from covidlit.tasks.classification import VolumeClassification
    from covidlit.tasks.segmentation import LesionSegmentation
    from covidlit.tasks.severity import SeverityPrediction

__all__ = ["BaseTask", "LesionSegmentation", "SeverityPrediction", "VolumeClassification"]

_MODULES = {
    "BaseTask": "base",
    "LesionSegmentation": "segmentation",
    "SeverityPrediction": "severity",
    "VolumeClassification": "classification",
}


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import, and `classifier` and `losses` do without it.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
