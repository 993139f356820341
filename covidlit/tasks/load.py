"""The trained task of a checkpoint, of whichever class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from covidlit.checkpoints.file import load_checkpoint
from covidlit.errors import CheckpointError
from covidlit.settings.targets import CLASSIFICATION, SEVERITIES
from covidlit.tasks.classifier import Classifier
from covidlit.tasks.fusion import Fusion
from covidlit.tasks.restore import restore

if TYPE_CHECKING:
    from covidlit.tasks.base import BaseTask
    from covidlit.tasks.segmenter import Segmenter

SEGMENTATION = "covidlit.tasks.segmentation.LesionSegmentation"
_SEGMENTATIONS = (SEGMENTATION, "covidlit.tasks.LesionSegmentation")
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


def load_fusion(path: str | Path) -> Fusion:
    """The trained severity prediction of a checkpoint, without Lightning.

    Raises:
        CheckpointError: see `covidlit.tasks.restore.restore`; or it is another task's.
    """
    name = str(load_checkpoint(path)["covidlit"]["task"])
    if name not in SEVERITIES:
        raise CheckpointError(
            f"the checkpoint is of a {name.rpartition('.')[2]}, which takes no table of numbers.",
            where=path,
            fix="give one of `python train.py model=fusion_ann data=clinical`.",
        )
    task: Fusion = restore(path, dict.fromkeys(SEVERITIES, Fusion))
    return task


def load_segmenter(path: str | Path) -> Segmenter:
    """The trained segmentation of a checkpoint, without Lightning.

    Raises:
        CheckpointError: see `covidlit.tasks.restore.restore`; or it is another task's.
    """
    from covidlit.tasks.segmenter import Segmenter

    name = str(load_checkpoint(path)["covidlit"]["task"])
    if name not in _SEGMENTATIONS:
        raise CheckpointError(
            f"the checkpoint is of a {name.rpartition('.')[2]}, which labels no lesions.",
            where=path,
            fix="give one of `python train.py model=maskrcnn data=slices`.",
        )
    task: Segmenter = restore(path, dict.fromkeys(_SEGMENTATIONS, Segmenter))
    return task
