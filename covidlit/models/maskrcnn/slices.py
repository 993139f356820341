"""What the network finds in the slices of a scan, a slice at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covidlit.errors import ConfigError, did_you_mean
from covidlit.models.maskrcnn.network import MaskRCNN
from covidlit.scans.lesion_labels import LESION_CLASSES


@dataclass(frozen=True)
class SlicePrediction:
    """What was found in a slice; `masks`, `labels` and `scores` are those of a SliceInstances.

    Args:
        masks: (n, rows, columns) bool.
        labels: (n,) int64, values of `LESION_CLASSES`.
        scores: (n,) float32.
        boxes: (n, 4) float32, half-open (x0, y0, x1, y1) in pixels.
        semantic: (rows, columns) uint8, values of `LESION_CLASSES`.
    """

    masks: NDArray[np.bool_]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    semantic: NDArray[np.uint8]


def class_values(classes: Sequence[str]) -> NDArray[np.int64]:
    """(classes + 1,) the value in `LESION_CLASSES` of each label of a network, the background's 0.

    Args:
        classes: names of the labels from 1.

    Raises:
        ConfigError: a name that contract 7 does not know.
    """
    values = {name: value for value, name in LESION_CLASSES.items()}
    for name in classes:
        if name not in values:
            raise ConfigError(
                f"the network's class {name!r} is none of {', '.join(values)}.",
                where="classes",
                fix=did_you_mean(name, values)
                or "give the value of each label (values=[0, 1, 3]), such as ground_glass for a "
                "lesion of any kind.",
            )
    return np.array([0, *(values[name] for name in classes)], dtype=np.int64)


def predict_slices(
    net: MaskRCNN,
    images: Iterable[Tensor],
    classes: Sequence[str],
    *,
    values: Sequence[int] | None = None,
    score_threshold: float = 0.0,
    batch_size: int = 4,
) -> Iterator[SlicePrediction]:
    """What the network finds in slices, in their order.

    Args:
        net: in evaluation mode.
        images: (channels, rows, columns) float32 in [0, 1], as it was trained on.
        classes: names of its labels from 1.
        values: of `LESION_CLASSES` for each label, from that of the background on; by default by
            the names.
        score_threshold: leaves out what scores less.
        batch_size: slices at a time.

    Raises:
        ConfigError: see `class_values`.
    """
    table = class_values(classes) if values is None else np.asarray(values, dtype=np.int64)
    if len(table) != net.n_classes:
        raise ConfigError(
            f"the network has {net.n_classes - 1} classes, and {len(table) - 1} are named.",
            where="classes",
            fix="give those that it was trained on.",
        )
    device = net.input_mean.device
    waiting = iter(images)
    while own := list(islice(waiting, batch_size)):
        with torch.inference_mode():
            found = net([image.to(device) for image in own])
        for each in found:
            keep = each["scores"] >= score_threshold
            yield SlicePrediction(
                masks=each["masks"][keep].cpu().numpy(),
                labels=table[each["labels"][keep].cpu().numpy()],
                scores=each["scores"][keep].float().cpu().numpy(),
                boxes=each["boxes"][keep].float().cpu().numpy(),
                semantic=table[each["semantic"].cpu().numpy()].astype(np.uint8),
            )
