"""What is said of whole slices in training: right or not, false alarms, distance of outlines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from covidlit.scans.surface import surface_distance

SCORE = 0.5
"""Score from which a detection counts where one decision is needed."""

_RIGHT, _ASKED, _FALSE, _EMPTY, _DISTANCE, _OUTLINED = range(6)


class SliceMetric(Metric):
    """`slice_accuracy`, `false_positives` and `surface`, as the report of a run defines them.

    `slice_accuracy`: share of slices in which a lesion is there and detected at a score of 0.5, or
    neither. `false_positives`: such detections per slice without a lesion. `surface`: mean distance
    of the outlines of lesions of any class, in mm (pixels where the spacing is not known), averaged
    over slices with lesions in both. NaN where there is no such slice.
    """

    full_state_update = False
    sums: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(6, dtype=torch.float64), dist_reduce_fx="sum")

    def update(
        self,
        found: Mapping[str, Tensor],
        target: Mapping[str, Tensor],
        lung: int,
        known: Tensor,
        spacing: Sequence[float] | Tensor | None = None,
    ) -> None:
        """Add a slice.

        Args:
            found: of `MaskRCNN.forward`, without classes that nobody looked for.
            target: see `LesionSegmentation`.
            lung: the label that is no lesion; 0: there is none.
            known: (classes + 1,) bool, which classes were looked for.
            spacing: of rows and columns in mm; None or NaN: not known.
        """
        added = np.zeros(6)
        lesions = [k for k in range(1, len(known)) if k != lung]
        has = bool((target["labels"] != lung).any())
        sure = int(((found["labels"] != lung) & (found["scores"] >= SCORE)).sum())
        looked = torch.tensor([k for k in lesions if bool(known[k])])
        one, other = (
            torch.isin(each["semantic"].cpu().long(), looked).numpy() for each in (found, target)
        )
        # Lesions that are all below the smallest size: none to detect, and not without.
        without = not has and not other.any() and all(bool(known[k]) for k in lesions)
        if has or without:
            added[_ASKED], added[_RIGHT] = 1, has == (sure > 0)
        if without:
            added[_EMPTY], added[_FALSE] = 1, sure
        distance = surface_distance(one, other, _known_spacing(spacing))
        if distance is not None:
            added[_OUTLINED], added[_DISTANCE] = 1, distance.mean
        self.sums += torch.as_tensor(added, device=self.sums.device)

    def compute(self) -> dict[str, Tensor]:
        """See the class."""
        pairs = {
            "slice_accuracy": (_RIGHT, _ASKED),
            "false_positives": (_FALSE, _EMPTY),
            "surface": (_DISTANCE, _OUTLINED),
        }
        return {
            name: (self.sums[top] / self.sums[bottom]).float()
            for name, (top, bottom) in pairs.items()
        }


def _known_spacing(spacing: Sequence[float] | Tensor | None) -> tuple[float, float]:
    own = (1.0, 1.0) if spacing is None else (float(spacing[0]), float(spacing[1]))
    return own if np.isfinite(own).all() else (1.0, 1.0)
