"""Labels from a network that segments slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from covidlit.checkpoints.file import load_checkpoint, read_record
from covidlit.checkpoints.of_run import model_of_run
from covidlit.cohort.scan_sources import ScanSource
from covidlit.datamodules.slices.channels import slice_images
from covidlit.deploy.exported import network_hash
from covidlit.deploy.torch_engine import find_device
from covidlit.dicom.out import Algorithm
from covidlit.errors import CheckpointError
from covidlit.lesions.diffuse import number_by_instances
from covidlit.lesions.lungs import segment_lungs
from covidlit.lesions.matching import LUNG, match_slices
from covidlit.lesions.slice_instances import SliceInstances, no_instances
from covidlit.models.maskrcnn.slices import SlicePrediction, predict_slices
from covidlit.scans.lesion_labels import LabelError, LesionLabels
from covidlit.scans.scan import Scan
from covidlit.tasks.load import load_task
from covidlit.tasks.segmentation import LesionSegmentation
from covidlit.version import __version__

MIN_SCORE = 0.5
"""Of an instance that counts."""

MIN_VOLUME_ML = 0.05
"""Smaller lesions are left out: a ball of 4.6 mm, less than two voxels of a thick slice."""


class NetworkLabeller:
    """Labels lungs and lesions with a trained `LesionSegmentation`.

    The network looks at the slices in which thresholds on HU find lungs, and at those next to them.
    Its map of classes says where lesions are, its instances which are one; see
    `covidlit.lesions.diffuse`. The lungs are those of its map, with what thresholds find as well.

    Args:
        checkpoint: of `python train.py model=maskrcnn`, or the folder of its run.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        threads: on the CPU; None: torch's own number.

    Raises:
        CheckpointError: missing, damaged, untrusted, or of a model that labels no slices of scans.
    """

    def __init__(
        self, checkpoint: str | Path, *, device: str = "auto", threads: int | None = None
    ) -> None:
        path = model_of_run(checkpoint) if Path(checkpoint).is_dir() else Path(checkpoint)
        self._record = read_record(load_checkpoint(path), path)
        task = load_task(path)
        if not isinstance(task, LesionSegmentation):
            raise CheckpointError(
                f"the checkpoint is of a {type(task).__name__}, which labels no lesions.",
                where=path,
                fix="give one of `python train.py model=maskrcnn data=slices`, or --masks FOLDER.",
            )
        self._input = self._record.preprocess.model_dump()
        self._hash = network_hash(path)
        self._device = find_device(device)
        self._task = task.to(self._device).eval()
        if threads is not None:
            torch.set_num_threads(threads)

    @property
    def algorithm(self) -> Algorithm:
        """The network, by its name in the run and the start of the hash of its weights."""
        return Algorithm(
            f"covidlit {self._record.model}"[:64], f"{__version__} {self._hash[:12]}", "AUTOMATIC"
        )

    def settings(self) -> Mapping[str, Any]:
        """See `Labeller`."""
        return {
            "network": self._hash, "min_score": MIN_SCORE, "min_volume_ml": MIN_VOLUME_ML,
        }  # fmt: skip

    def look_at(self, sources: Sequence[ScanSource]) -> None:
        """See `Labeller`: scans are labelled each by itself."""

    def made_from(self, source: ScanSource) -> Any:
        """See `Labeller`: nothing beside the scan itself."""
        return None

    def label(self, source: ScanSource, name: str, scan: Scan) -> LesionLabels:
        """See `Labeller`."""
        lungs = segment_lungs(scan.hu, scan.spacing) > 0
        present = np.flatnonzero(lungs.any(axis=(1, 2)))
        if not len(present):
            raise LabelError(
                "no lung was found in it.", where=source.path, fix="give scans of the chest."
            )
        first, last = max(0, int(present[0]) - 1), min(len(scan.hu), int(present[-1]) + 2)
        semantic = np.zeros(scan.hu.shape, np.uint8)
        found = self._found(scan, first, last, semantic)
        classes, instances = match_slices(found, scan.spacing, min_score=MIN_SCORE)
        semantic[lungs & (semantic == 0)] = LUNG
        labels = number_by_instances(
            semantic, classes, instances, scan.spacing, min_volume_ml=MIN_VOLUME_ML
        )
        return LesionLabels(*labels, scan.affine)

    def _found(
        self, scan: Scan, first: int, last: int, semantic: NDArray[np.uint8]
    ) -> Iterator[SliceInstances]:
        """The instances of each slice, while its classes are written into `semantic`.

        One slice at a time: the masks of a hundred objects in each of 300 slices take 8 GB.
        """
        predicted = self._predicted(scan, first, last)
        for z in range(len(scan.hu)):
            if first <= z < last:
                one = next(predicted)
                semantic[z] = one.semantic
                yield SliceInstances(one.masks, one.labels, one.scores)
            else:
                yield no_instances(*scan.hu.shape[1:])

    def _predicted(self, scan: Scan, first: int, last: int) -> Iterator[SlicePrediction]:
        images = islice(slice_images(scan, self._input), first, last)
        return predict_slices(
            self._task.net, images, self._task.classes, score_threshold=MIN_SCORE, batch_size=2
        )
