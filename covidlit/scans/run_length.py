"""Masks as run lengths, the way COCO writes them: small enough for a table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco
from numpy.typing import NDArray

# It announces every step and prints its table into the log of whoever evaluates.
logging.getLogger("faster_coco_eval").setLevel(logging.WARNING)

Encoded = dict[str, Any]
"""`size` (rows, columns) and `counts`, as COCO's functions take them."""


def encode_masks(masks: NDArray[Any]) -> list[str]:
    """The run lengths of masks (n, rows, columns), in COCO's compressed text."""
    if len(masks) == 0:
        return []
    stacked = np.asfortranarray(np.moveaxis(np.asarray(masks, dtype=np.uint8), 0, -1))
    return [each["counts"].decode() for each in coco.encode(stacked)]


def encode_mask(mask: NDArray[Any]) -> str:
    """The run lengths of a mask (rows, columns), in COCO's compressed text."""
    return encode_masks(mask[None])[0]


def decode_masks(counts: Sequence[str], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Masks (n, rows, columns) from their run lengths."""
    if len(counts) == 0:
        return np.zeros((0, *shape), dtype=bool)
    decoded = coco.decode(encoded(counts, shape))
    return np.moveaxis(decoded, -1, 0).astype(bool)


def encoded(counts: Sequence[str], shape: tuple[int, int]) -> list[Encoded]:
    """Run lengths as COCO's functions take them."""
    size = [int(shape[0]), int(shape[1])]
    return [{"size": size, "counts": text.encode()} for text in counts]


def areas(counts: Sequence[str], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Pixels of each mask."""
    if len(counts) == 0:
        return np.zeros(0, dtype=np.int64)
    return np.asarray(coco.area(encoded(counts, shape)), dtype=np.int64)


def overlaps(
    one: Sequence[str],
    other: Sequence[str],
    shape: tuple[int, int],
    crowd: Sequence[bool] | NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """(one, other) intersection over union of each mask with each of the others.

    With those that are a crowd it is the intersection over the area of the one, as COCO's is: the
    share of it that lies there.
    """
    if len(one) == 0 or len(other) == 0:
        return np.zeros((len(one), len(other)))
    crowds = [False] * len(other) if crowd is None else [bool(each) for each in crowd]
    found = coco.iou(encoded(one, shape), encoded(other, shape), crowds)
    return np.asarray(found, dtype=np.float64)


def union(counts: Sequence[str], shape: tuple[int, int]) -> str:
    """The mask of what any of the masks covers."""
    if len(counts) == 0:
        return encode_mask(np.zeros(shape, dtype=np.uint8))
    text: bytes = coco.merge(encoded(counts, shape), False)["counts"]
    return text.decode()


def intersection(counts: Sequence[str], shape: tuple[int, int]) -> str:
    """The mask of what all of the masks cover."""
    text: bytes = coco.merge(encoded(counts, shape), True)["counts"]
    return text.decode()
