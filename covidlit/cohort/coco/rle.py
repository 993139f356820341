"""Run lengths of masks as COCO writes them: column by column, the first run of zeros.

Own, and in NumPy: the compiled readers trust what a file says, and a count too many makes them
write outside of the mask.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
"""Lengths of the runs of 0 and 1 in turn, over the columns one after the other; sum rows x
columns."""

_GROUPS = 10
"""A count is written in groups of 5 bits; more of them than this are no length of a run."""


def encode(mask: NDArray[np.generic]) -> Counts:
    """The run lengths of a mask (rows, columns)."""
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]]))
    return np.concatenate([[0], counts]) if flat.size and flat[0] else counts.astype(np.int64)


def encode_box(mask: NDArray[np.bool_], first: tuple[int, int], shape: tuple[int, int]) -> Counts:
    """The run lengths of a mask that is set in a box alone; the image takes no memory.

    Args:
        mask: (rows, columns) of the box.
        first: row and column of its first pixel in the image.
        shape: of the image, (rows, columns).
    """
    padded = np.zeros((mask.shape[1], mask.shape[0] + 2), np.int8)
    padded[:, 1:-1] = mask.T
    rises = np.diff(padded, axis=1)
    edges = []
    for sign in (1, -1):  # where runs start, and the first pixel after each
        column, row = np.nonzero(rises == sign)
        edges.append((column + first[1]) * shape[0] + row + first[0])
    starts, stops = edges
    joined = np.flatnonzero(starts[1:] == stops[:-1])  # over the end of a column of the image
    runs = np.column_stack([np.delete(starts, joined + 1), np.delete(stops, joined)]).ravel()
    total = shape[0] * shape[1]
    ends = runs if len(runs) and runs[-1] == total else np.append(runs, total)
    return np.diff(ends, prepend=0).astype(np.int64)


def decode(counts: NDArray[np.integer], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The mask (rows, columns) of 0 and 1; the counts as `checked_counts` lets them pass."""
    values = np.arange(len(counts), dtype=np.int64) % 2
    flat = np.repeat(values.astype(np.uint8), counts)
    return np.ascontiguousarray(flat.reshape(shape[::-1]).T)


def area(counts: NDArray[np.integer]) -> int:
    """How many pixels of the mask are set."""
    return int(np.sum(counts[1::2]))


def to_text(counts: NDArray[np.integer]) -> str:
    """Compressed run lengths: from the fourth on, each as its difference to that two before.

    Groups of 5 bits from the lowest on, with a bit that says whether another follows, as one
    character from "0" on each.
    """
    values = np.asarray(counts, dtype=np.int64)
    deltas = values.copy()
    deltas[3:] -= values[1:-2]
    codes = np.zeros((len(deltas), _GROUPS), np.uint8)
    used = np.zeros((len(deltas), _GROUPS), bool)
    going = np.ones(len(deltas), bool)
    for k in range(_GROUPS):
        group = deltas & 0x1F
        deltas = deltas >> 5
        more = np.where(group & 0x10, deltas != -1, deltas != 0)
        codes[:, k] = group + 32 * more + 48
        used[:, k] = going
        going = going & more
    return codes[used].tobytes().decode("ascii")


def from_text(text: str) -> Counts:
    """The run lengths of compressed ones, not yet held against a size.

    Raises:
        ValueError: characters that are none of these, or a count that is cut off.
    """
    try:
        codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError:
        raise ValueError("it holds characters that no run lengths are written with") from None
    if ((codes < 0) | (codes > 63)).any():
        raise ValueError("it holds characters that no run lengths are written with")
    if len(codes) == 0:
        return np.zeros(0, np.int64)
    last = (codes & 0x20) == 0
    if not last[-1]:
        raise ValueError("its last count is cut off")
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _GROUPS:
        raise ValueError("it holds a count that is no number of pixels")
    place = np.arange(len(codes)) - np.repeat(starts, lengths)
    values = np.add.reduceat((codes & 0x1F) << (5 * place), starts)
    negative = (codes[ends] & 0x10) != 0
    values = values - (negative.astype(np.int64) << (5 * lengths))
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def checked_counts(counts: NDArray[np.integer], shape: tuple[int, int]) -> Counts:
    """The counts, if they are those of a mask (rows, columns); takes no memory for the mask.

    Raises:
        ValueError: a count below 0, or another number of pixels.
    """
    values = np.asarray(counts, dtype=np.int64)
    if (values < 0).any():
        raise ValueError("it holds a count below 0")
    total = sum(values.tolist())  # whole numbers of Python's, which do not overflow
    if total != shape[0] * shape[1]:
        raise ValueError(
            f"its counts are of {total} pixels, and the image has {shape[0]} x {shape[1]}"
        )
    return values
