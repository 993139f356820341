"""Tasks: LightningModules that train, test and predict with a network."""

from covidlit.tasks.base import BaseTask
from covidlit.tasks.classification import VolumeClassification

__all__ = ["BaseTask", "VolumeClassification"]
