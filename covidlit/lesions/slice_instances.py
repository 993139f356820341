"""What a network found in one axial slice: instances, each a mask with a class and a score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covidlit.counted import counted
from covidlit.scans.lesion_labels import LESION_CLASSES, LabelError


@dataclass(frozen=True)
class SliceInstances:
    """The instances of one slice.

    Args:
        masks: bool (n, rows, columns); instances may overlap.
        labels: int64 (n,), values of `LESION_CLASSES` other than 0 (contract 7).
        scores: float32 (n,), 0 to 1.

    Raises:
        LabelError: arrays of another type or shape, a class that contract 7 does not know, a score
            that is no number from 0 to 1. Names the instance.
    """

    masks: NDArray[np.bool_]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.labels)
        if self.masks.dtype != np.bool_ or self.masks.ndim != 3 or len(self.masks) != n:
            raise LabelError(
                f"masks must be bool (n, rows, columns) for {counted(n, 'label')}, got "
                f"{self.masks.dtype} {self.masks.shape}."
            )
        if self.labels.ndim != 1 or self.labels.dtype.kind not in "iu":
            raise LabelError(
                f"labels must be whole numbers (n,), got {self.labels.dtype} {self.labels.shape}."
            )
        if self.scores.shape != (n,):
            raise LabelError(f"there must be a score per label ({n}), got {self.scores.shape}.")
        known = [value for value in LESION_CLASSES if value]
        unknown = np.flatnonzero(~np.isin(self.labels, known))
        if len(unknown):
            raise LabelError(
                f"instance {unknown[0]}: label {self.labels[unknown[0]]}: must be "
                + ", ".join(f"{value} ({LESION_CLASSES[value]})" for value in known)
                + ".",
                fix="map the network's classes to those of the lesion labels first.",
            )
        wrong = np.flatnonzero(~((self.scores >= 0) & (self.scores <= 1)))
        if len(wrong):
            raise LabelError(f"instance {wrong[0]}: score {self.scores[wrong[0]]}: must be 0 to 1.")

    def __len__(self) -> int:
        return len(self.labels)


def no_instances(rows: int, columns: int) -> SliceInstances:
    """A slice in which nothing was found."""
    return SliceInstances(
        np.zeros((0, rows, columns), bool), np.zeros(0, np.int64), np.zeros(0, np.float32)
    )
