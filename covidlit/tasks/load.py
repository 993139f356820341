"""The trained task of a checkpoint, of whichever class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from covidlit.settings.targets import CLASSIFICATION
from covidlit.tasks.classifier import Classifier
from covidlit.tasks.restore import restore

if TYPE_CHECKING:
    from covidlit.tasks.base import BaseTask

_CLASSIFICATIONS = (CLASSIFICATION, "covidlit.tasks.VolumeClassification")


def load_task(path: str | Path) -> BaseTask:
    """The trained task of a checkpoint; see `BaseTask.load_from_checkpoint`."""
    from covidlit.tasks.base import BaseTask

    return BaseTask.load_from_checkpoint(path)


def load_for_prediction(path: str | Path) -> Classifier | BaseTask:
    """As `load_task`, and without Lightning where the task is a classification.

    Raises:
        CheckpointError: see `covidlit.tasks.restore.restore`.
    """
    task: Classifier | BaseTask = restore(path, dict.fromkeys(_CLASSIFICATIONS, Classifier))
    return task
