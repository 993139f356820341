"""Tasks: LightningModules that train, test and predict with a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from covidlit.tasks.base import BaseTask
    from covidlit.tasks.classification import VolumeClassification
    from covidlit.tasks.segmentation import LesionSegmentation
    from covidlit.tasks.severity import SeverityPrediction

__all__ = ["BaseTask", "LesionSegmentation", "SeverityPrediction", "VolumeClassification"]

# Lightning takes seconds to import, and `classifier` and `losses` do without it.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "base": ["BaseTask"],
        "classification": ["VolumeClassification"],
        "segmentation": ["LesionSegmentation"],
        "severity": ["SeverityPrediction"],
    },
)
