"""What the network finds in the slices of a scan, a slice at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covidlit.errors import ConfigError, did_you_mean
from covidlit.models.maskrcnn.network import MaskRCNN
from covidlit.models.maskrcnn.stages import Stages
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
    stages: Stages | None = None,
    workers: int = 1,
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
        stages: what computes the network; None: the network itself.
        workers: batches at a time, each by a thread of its own.

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

    def found(own: list[Tensor]) -> list[SlicePrediction]:
        with torch.inference_mode():
            each = net([one.to(device) for one in own], stages=stages, min_score=score_threshold)
        return [_prediction(one, table) for one in each]

    waiting = iter(images)
    batches = iter(lambda: list(islice(waiting, batch_size)), [])
    if workers == 1:
        for own in batches:
            yield from found(own)
        return
    ahead: deque[Future[list[SlicePrediction]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for own in batches:
            ahead.append(pool.submit(found, own))
            if len(ahead) > workers:  # one more than can be worked on, lest all masks be held
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()


def _prediction(found: dict[str, Tensor], table: NDArray[np.int64]) -> SlicePrediction:
    return SlicePrediction(
        masks=found["masks"].cpu().numpy(),
        labels=table[found["labels"].cpu().numpy()],
        scores=found["scores"].float().cpu().numpy(),
        boxes=found["boxes"].float().cpu().numpy(),
        semantic=table.astype(np.uint8)[found["semantic"].cpu().numpy()],
    )
