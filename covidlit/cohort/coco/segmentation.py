"""The `segmentation` of a COCO annotation, in each of its forms, as checked run lengths."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from covidlit.cohort.coco import rle
from covidlit.cohort.coco.polygons import Ring, fill_box, pixels_of
from covidlit.cohort.coco.problems import shown
from covidlit.counted import counted

_REDRAW = "draw the object again, or delete the annotation"
_EXPORT = "export the file again with masks or polygons"
LARGEST_FILL = 1 << 26
"""Pixels in the boxes around all outlines of one object: 256 times a slice of 512 x 512. Filling
them takes about four bytes for each."""

_LARGEST_RING = 1_000_000
"""Points of an outline; a slice has fewer pixels' corners."""


class SegmentationError(ValueError):
    """A segmentation that is no mask of its image.

    Args:
        what: is wrong, to complete "annotation 7: ...".
        fix: what to do about it.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fix = fix


def counts_of(segmentation: Any, shape: tuple[int, int]) -> rle.Counts:
    """The run lengths of a segmentation: polygons, compressed or plain run lengths.

    Args:
        segmentation: as JSON gives it.
        shape: of the image, (rows, columns).

    Raises:
        SegmentationError: it is none of these, of another size, or covers no pixel.
    """
    if segmentation is None or segmentation in ([], {}):
        raise SegmentationError(
            "has no segmentation", "annotate a mask or a polygon: a box alone tells no outline"
        )
    if isinstance(segmentation, dict):
        counts = _run_lengths(segmentation, shape)
    elif isinstance(segmentation, list):
        rings = _rings(segmentation, shape)
        if (pixels := pixels_of(rings, shape)) > LARGEST_FILL:
            raise SegmentationError(
                f"has outlines around {pixels} pixels, and at most {LARGEST_FILL} are filled",
                "check width and height of the image, or write the mask as run lengths",
            )
        counts = rle.encode_box(*fill_box(rings, shape), shape)
    else:
        raise SegmentationError(
            f"segmentation is {shown(segmentation)}, neither polygons nor run lengths", _EXPORT
        )
    if rle.area(counts) == 0:
        raise SegmentationError("covers no pixel", _REDRAW)
    return counts


def _run_lengths(segmentation: dict[str, Any], shape: tuple[int, int]) -> rle.Counts:
    size = segmentation.get("size")
    if not (isinstance(size, list) and len(size) == 2 and all(type(n) is int for n in size)):
        raise SegmentationError(
            f"the size of its run lengths is {shown(size)}, not [height, width]", _EXPORT
        )
    if tuple(size) != shape:
        # Told by what the file says: nothing of that size is ever made.
        turned = " (width and height are exchanged)" if tuple(size[::-1]) == shape else ""
        raise SegmentationError(
            f"its run lengths are of {shown(size[0])} x {shown(size[1])} pixels, and the image has "
            f"{shape[0]} x {shape[1]} (height x width){turned}",
            "give the annotation the size of its image, or export the file again",
        )
    counts = segmentation.get("counts")
    try:
        if isinstance(counts, str):
            return rle.checked_counts(rle.from_text(counts), shape)
        if isinstance(counts, list):
            most = shape[0] * shape[1]
            if not all(type(n) is int and 0 <= n <= most for n in counts):
                wrong = next(n for n in counts if not (type(n) is int and 0 <= n <= most))
                raise SegmentationError(
                    f"its run lengths hold {shown(wrong)}, no number of pixels of the image",
                    _EXPORT,
                )
            return rle.checked_counts(np.array(counts, dtype=np.int64), shape)
    except SegmentationError:
        raise
    except ValueError as problem:
        raise SegmentationError(f"its run lengths cannot be read: {problem}", _EXPORT) from None
    raise SegmentationError(
        f"the counts of its run lengths are {shown(counts)}, neither text nor a list", _EXPORT
    )


def _rings(polygons: list[Any], shape: tuple[int, int]) -> list[Ring]:
    # One outline without the list around it is read as what it can only be.
    if all(type(value) in (int, float) for value in polygons):
        polygons = [polygons]
    return [_ring(polygon, number, shape) for number, polygon in enumerate(polygons, 1)]


def _ring(polygon: Any, number: int, shape: tuple[int, int]) -> Ring:
    name = f"polygon {number}"
    if not isinstance(polygon, list):
        raise SegmentationError(f"{name} is {shown(polygon)}, not a list of numbers", _EXPORT)
    if len(polygon) > 2 * _LARGEST_RING:
        raise SegmentationError(f"{name} has {len(polygon) // 2} points", _REDRAW)
    for value in polygon:
        if type(value) not in (int, float):
            raise SegmentationError(f"{name} holds {shown(value)}, which is no number", _EXPORT)
        if isinstance(value, float) and not math.isfinite(value):
            raise SegmentationError(f"{name} holds {value}, which is no place", _REDRAW)
    if len(polygon) % 2:
        raise SegmentationError(f"{name} has {len(polygon)} numbers: x and y are pairs", _EXPORT)
    if len(polygon) < 6:
        raise SegmentationError(
            f"{name} has {counted(len(polygon) // 2, 'point')}, and an outline needs 3", _REDRAW
        )
    rows, columns = shape
    for value, extent, axis in ((v, (columns, rows)[k % 2], "xy"[k % 2]) for k, v in
                                enumerate(polygon)):  # fmt: skip
        # Tools let outlines run over the edge of the image; farther away it is another image.
        if not -extent <= value <= 2 * extent:
            raise SegmentationError(
                f"{name} reaches to {axis} = {shown(value)}, and the image has {columns} x {rows} "
                "pixels (width x height)",
                "check that width and height of the image are those that it was drawn on",
            )
    return np.array(polygon, dtype=np.float64).reshape(-1, 2)
