"""Labels from a network that segments slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covidlit.cohort.scan_sources import ScanSource
from covidlit.datamodules.slices.channels import check_takes_scans, resize_labels, slice_images
from covidlit.deploy.load_slices import load_slice_network
from covidlit.dicom.out import Algorithm
from covidlit.lesions.diffuse import lesions_of_map
from covidlit.lesions.lungs import segment_lungs
from covidlit.lesions.matching import LUNG, match_slices
from covidlit.lesions.slice_instances import SliceInstances, no_instances
from covidlit.models.maskrcnn.slices import SlicePrediction, class_values, predict_slices
from covidlit.scans.lesion_labels import LabelError, LesionLabels
from covidlit.scans.scan import Scan
from covidlit.tasks.threads import torch_threads
from covidlit.version import __version__

MIN_SCORE = 0.5
"""Of an instance that counts."""

MIN_VOLUME_ML = 0.05
"""Smaller lesions are left out: a ball of 4.6 mm, less than two voxels of a thick slice."""

DOUBTFUL_ML = 1.0
"""A smaller piece of the map, a ball of 12 mm, is a lesion where an object was found in it."""

BEYOND_MM = 60.0
"""How far from the lungs of the thresholds the network is followed."""

ENOUGH_MM2 = 100.0
"""Of lung and lesion in a slice, for the next one to be looked at."""


class NetworkLabeller:
    """Labels lungs and lesions with a trained `LesionSegmentation`.

    The network looks at the slices in which thresholds on HU find lungs, at those next to them, and
    on from there as long as it finds lung or lesion itself, for at most `BEYOND_MM`: of a base that
    is dense or under fluid, thresholds find nothing.
    Its map of classes says where lesions are, its objects which small pieces of it are some; see
    `covidlit.lesions.diffuse`. The lungs are those of its map, with what thresholds find as well.

    Args:
        checkpoint: of `python train.py model=maskrcnn`, the folder of its run, or its export.
        engine: "auto", "torch" or "openvino"; see `covidlit.deploy.load_slices`.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        threads: on the CPU; None: one per core.

    Attributes:
        name: what labels, with its threads, for people.
        note: why an export that is there was not taken; else empty.

    Raises:
        CheckpointError: missing, damaged, untrusted, or of a model that labels no slices of scans.
        ExportError, ConfigError: see `load_slice_network`; or the network has learnt from pictures
            without HU, or other classes than those of contract 7.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        engine: str = "auto",
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self._network = load_slice_network(checkpoint, engine, device=device, threads=threads)
        self._input = self._network.record.preprocess.model_dump()
        check_takes_scans(self._input)
        class_values(self._network.task.classes)
        self.name, self.note = self._network.name, self._network.note

    def engine_of(self, source: ScanSource) -> str:
        """See `Labeller`."""
        return self._network.engine

    def algorithm_of(self, source: ScanSource) -> Algorithm:
        """The network, by its name in the run, the start of the hash of its weights, its engine."""
        network = self._network
        version = f"{__version__} {network.sha256[:12]} {network.engine}"
        return Algorithm(f"covidlit {network.record.model}".strip()[:64], version[:64], "AUTOMATIC")

    def settings(self) -> Mapping[str, Any]:
        """See `Labeller`."""
        return {
            "network": self._network.sha256, "engine": self._network.engine, "min_score": MIN_SCORE,
            "min_volume_ml": MIN_VOLUME_ML, "doubtful_ml": DOUBTFUL_ML,
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
        objects, _ = match_slices(found, scan.spacing, min_score=MIN_SCORE)
        semantic[lungs & (semantic == 0)] = LUNG
        labels = lesions_of_map(
            semantic, objects, scan.spacing, min_volume_ml=MIN_VOLUME_ML, doubtful_ml=DOUBTFUL_ML
        )
        return LesionLabels(*labels, scan.affine)

    def _found(
        self, scan: Scan, first: int, last: int, semantic: NDArray[np.uint8]
    ) -> Iterator[SliceInstances]:
        """The instances of each slice, while its classes are written into `semantic`.

        One slice at a time: the masks of a hundred objects in each of 300 slices take 8 GB.
        """
        nothing = no_instances(*scan.hu.shape[1:])
        below = list(self._beyond(scan, range(first - 1, -1, -1), semantic))
        yield from [nothing] * (first - len(below))
        yield from reversed(below)
        looked_at = range(first, last)
        for z, one in zip(looked_at, self._predicted(scan, looked_at), strict=True):
            semantic[z] = one.semantic
            yield SliceInstances(one.masks, one.labels, one.scores)
        n_above = 0
        for own in self._beyond(scan, range(last, len(scan.hu)), semantic):
            n_above += 1
            yield own
        yield from [nothing] * (len(scan.hu) - last - n_above)

    def _beyond(
        self, scan: Scan, places: range, semantic: NDArray[np.uint8]
    ) -> Iterator[SliceInstances]:
        """What is found from a border of the lungs on, as long as there is something."""
        pixel = scan.spacing[1] * scan.spacing[2]
        for z in places[: int(BEYOND_MM / scan.spacing[0])]:
            (one,) = self._predicted(scan, range(z, z + 1))
            if np.count_nonzero(one.semantic) * pixel < ENOUGH_MM2:
                return
            semantic[z] = one.semantic
            yield SliceInstances(one.masks, one.labels, one.scores)

    def _predicted(self, scan: Scan, places: range) -> Iterator[SlicePrediction]:
        """What is found in slices, at the size of the scan."""
        network, shape = self._network, scan.hu.shape[1:]
        # As many slices at a time as there are cores, rather than all cores on one of them.
        with torch_threads(1 if network.workers > 1 else None):
            for one in predict_slices(
                network.task.net, slice_images(scan, self._input, places), network.task.classes,
                score_threshold=MIN_SCORE, batch_size=1, stages=network.stages,
                workers=network.workers,
            ):  # fmt: skip
                yield one if one.semantic.shape == shape else _resized(one, shape)


def _resized(found: SlicePrediction, shape: tuple[int, ...]) -> SlicePrediction:
    """What was found in a slice of the size that the network takes, at the size of the scan."""

    def scaled(layers: NDArray[Any]) -> NDArray[np.uint8]:
        own: Tensor = resize_labels(torch.from_numpy(layers.astype(np.uint8)), shape)
        return own.numpy()

    scale = np.array([new / old for new, old in zip(shape, found.semantic.shape, strict=True)])
    return SlicePrediction(
        masks=scaled(found.masks) > 0,
        labels=found.labels,
        scores=found.scores,
        boxes=(found.boxes * np.tile(scale[::-1], 2)).astype(np.float32),
        semantic=scaled(found.semantic[None])[0],
    )
