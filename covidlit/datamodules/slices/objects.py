"""The objects of many slices as a few flat arrays: small, and shared by worker processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.cohort.coco import Coco, rle
from covidlit.datamodules.slices.targets import Instances
from covidlit.errors import ConfigError, did_you_mean

LUNG = "lung"


class SliceObjects:
    """The objects of the slices of a table, by its rows.

    Args:
        slice_ids: of the slices.
        coco: its images named `<slice_id>.png`.
        classes: names in the order of the labels, from 1.

    Attributes:
        lung: label of the lungs; 0: no class is called so.
        annotated: labels that were looked for.

    Raises:
        ConfigError: the annotations are of a class that is not among them.
    """

    def __init__(self, slice_ids: Sequence[str], coco: Coco, classes: Sequence[str]) -> None:
        label = {name: k for k, name in enumerate(classes, 1)}
        for name in coco.classes:
            if name not in label:
                raise ConfigError(
                    f"the annotations are of a class {name!r} that is not among these.",
                    where="data.classes",
                    fix=did_you_mean(name, classes) or f"add it: {[*classes, name]}.",
                )
        self.lung = label.get(LUNG, 0)
        self._n_classes = len(label)
        self.annotated = tuple(label[name] for name in coco.classes)
        row_of = {f"{name}.png": row for row, name in enumerate(slice_ids)}
        row_of_image = {image.image_id: row_of.get(image.file_name, -1) for image in coco.images}
        own = [(row_of_image[a.image_id], a) for a in coco.annotations]
        own = sorted((pair for pair in own if pair[0] >= 0), key=lambda pair: pair[0])
        rows = np.array([row for row, _ in own], np.int64)
        self.labels = np.array([label[a.class_name] for _, a in own], np.int64)
        self.crowd = np.array([a.crowd for _, a in own], bool)
        self.areas = np.array([rle.area(a.counts) for _, a in own], np.int64)
        self._first = np.searchsorted(rows, np.arange(len(slice_ids) + 1))
        lengths = np.array([len(a.counts) for _, a in own], np.int64)
        self._ends = np.concatenate([[0], np.cumsum(lengths)])
        counts = [a.counts for _, a in own]
        self._counts = (np.concatenate(counts) if counts else np.zeros(0)).astype(np.int32)

    def of(self, row: int, shape: tuple[int, int]) -> Instances:
        """The objects of a slice of the shape (rows, columns)."""
        which = range(self._first[row], self._first[row + 1])
        masks = np.zeros((len(which), *shape), np.uint8)
        for k, place in enumerate(which):
            masks[k] = rle.decode(self._counts[self._ends[place] : self._ends[place + 1]], shape)
        part = slice(which.start, which.stop)
        return Instances(masks, self.labels[part], self.crowd[part])

    def count(self, pixel_mm2: NDArray[np.float64], min_area_mm2: float) -> pd.DataFrame:
        """By slice how many objects, lesions, pieces below a size and crowds there are.

        Args:
            pixel_mm2: (slices,) area of a pixel.
            min_area_mm2: smaller pieces are no objects.
        """
        rows = np.repeat(np.arange(len(self._first) - 1), np.diff(self._first))
        large = self.areas * pixel_mm2[rows] >= min_area_mm2 - 1e-9
        columns = {
            "n_objects": large & ~self.crowd,
            "n_lesions": large & ~self.crowd & (self.labels != self.lung),
            "n_too_small": ~large & ~self.crowd,
            "n_crowds": self.crowd,
        }
        size = len(self._first) - 1
        return pd.DataFrame(
            {name: np.bincount(rows[what], minlength=size) for name, what in columns.items()}
        )

    def lesions_of(self, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """(slices, classes) which classes of lesions are in slices; the lung's column is empty.

        Args:
            rows: of the table.
        """
        present = np.zeros((len(self._first) - 1, self._n_classes + 1), bool)
        owner = np.repeat(np.arange(len(self._first) - 1), np.diff(self._first))
        present[owner[~self.crowd], self.labels[~self.crowd]] = True
        present[:, self.lung] = False
        found: NDArray[np.bool_] = present[rows, 1:]
        return found


def rarest_lesion(present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(slices,) the label of the lesion class of each slice that the fewest slices have; 0: none.

    Args:
        present: (slices, classes) which are in each.
    """
    rarity = present.sum(axis=0)
    scored = np.where(present, rarity, len(present) + 1)
    return np.where(present.any(axis=1), scored.argmin(axis=1) + 1, 0).astype(np.int64)
