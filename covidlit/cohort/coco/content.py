"""What a COCO file of labelled slices holds, read and checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covidlit.errors import CovidlitError


class CocoError(CovidlitError):
    """A COCO file that cannot be read, or not as what it must be."""


@dataclass(frozen=True)
class CocoImage:
    """One image.

    Args:
        image_id: as the file has it.
        file_name: as the file has it.
        rows, columns: pixels.
    """

    image_id: int | str
    file_name: str
    rows: int
    columns: int


@dataclass(frozen=True)
class CocoAnnotation:
    """One object of an image.

    Args:
        annotation_id: as the file has it.
        image_id: of its image.
        class_name: one of ours.
        counts: its mask, see `covidlit.cohort.coco.rle`.
        crowd: a region of many objects that are not told apart (`iscrowd`).
    """

    annotation_id: int | str
    image_id: int | str
    class_name: str
    counts: NDArray[np.int64]
    crowd: bool = False


@dataclass(frozen=True)
class Coco:
    """The content of a COCO file.

    Args:
        images: in the file's order.
        annotations: in the file's order.
        classes: names of the classes that were annotated, ours, each once.
    """

    images: tuple[CocoImage, ...]
    annotations: tuple[CocoAnnotation, ...]
    classes: tuple[str, ...]
