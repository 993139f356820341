"""Whether the values of a volume can be Hounsfield units, and what they look like where not."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from covidlit.counted import counted
from covidlit.scans.scan import AIR_HU

MOST_LABELS = 64
"""Labels count as such up to this number of different values."""

_AIR = (AIR_HU, -800)  # between these: air about the body, and lung
_TISSUE = (-200, 300)
_LEAST_AIR, _LEAST_TISSUE = 1e-3, 0.02  # share of the voxels in any CT of a body
_METAL = 4000
_SPAN = 30.0
_OFFSETS = (1000, 1024, 8192, 32768)


class Doubt(NamedTuple):
    """Why values are no Hounsfield units.

    Args:
        check: "label_map" for labels and for images that hold one value only, else "not_hu".
        message: what the values look like, and how to mend it.
    """

    check: str
    message: str


def doubt_about_hu(values: NDArray[Any]) -> Doubt | None:
    """What makes values no Hounsfield units of a body in air; None for any CT of one.

    Args:
        values: of a volume, of any shape, before they are rounded or cut off; those that are not
            finite do not count, nor does what lies at or below `AIR_HU` count as air, since that is
            how covidlit writes voxels without an image.
    """
    values = values.ravel()
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)].astype(np.float32, copy=False)
    if not values.size:
        return Doubt("label_map", "it holds no value at all; leave it out")
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Doubt("label_map", f"every voxel is {low:g}: there is no image in it; leave it out")
    if (labels := _labels(values, low, high)) is not None:
        return labels
    if high - low <= _SPAN:
        return Doubt(
            "not_hu",
            f"values lie between {low:g} and {high:g}, like intensities that were scaled for a "
            "network (0 to 1, or by mean and deviation); use the image from before that",
        )
    air = ((values > _AIR[0]) & (values < _AIR[1])).mean()
    tissue = ((values >= _TISSUE[0]) & (values <= _TISSUE[1])).mean()
    # Padding far below air is one value; air that lies there is noise about another intercept.
    below = values[values < -1100]
    shifted = below.size > 0.01 * values.size and np.ptp(below[:: max(1, below.size // 9999)]) > 40
    if air >= _LEAST_AIR and tissue >= _LEAST_TISSUE and not (shifted and _offset(values)):
        metal = (values > _METAL).mean()
        if metal > 0.01:
            return Doubt(
                "not_hu",
                f"{metal:.0%} of the voxels are above {_METAL} HU, which no tissue is: the rescale "
                "slope may be wrong; convert the series again",
            )
        return None
    offset = _offset(values)
    if offset is not None:
        sign, mend = ("+", "subtract") if offset > 0 else ("-", "add")
        return Doubt(
            "not_hu",
            f"values look like HU {sign} {abs(offset)} (the intercept was not applied): {mend} "
            f"{abs(offset)}, or convert the series again",
        )
    if low >= 0 and high <= 255:
        return Doubt(
            "not_hu",
            f"values lie between {low:g} and {high:g}, like grey values of a picture (0 to 255) "
            "that a window was applied to; use the CT that it was made from",
        )
    missing = [
        words
        for share, least, words in (
            (air, _LEAST_AIR, f"no air (no voxel between {_AIR[0]} and {_AIR[1]} HU)"),
            (tissue, _LEAST_TISSUE, f"no tissue (few voxels within {_TISSUE[0]}..{_TISSUE[1]} HU)"),
        )
        if share < least
    ]
    cause = "rescale slope or intercept may be missing, or it is no CT"
    if high > 64000:
        cause = "negative values seem to have been read as unsigned ones"
    return Doubt(
        "not_hu",
        f"{' and '.join(missing)}; values lie between {low:g} and {high:g}: {cause}; convert the "
        "series again",
    )


def _labels(values: NDArray[Any], low: float, high: float) -> Doubt | None:
    """Few different whole numbers, 0 among them, as in a segmentation."""
    if low != 0 or high > 65535 or (values.dtype.kind == "f" and (values != np.rint(values)).any()):
        return None
    found = np.flatnonzero(np.bincount(values.astype(np.int64)))
    # A mask may be of any two or three values, such as 0 and 255; more of them with large gaps are
    # grey values of a simple picture, or HU + 1000 of a phantom.
    if len(found) > MOST_LABELS or (len(found) > 3 and high > 4 * len(found) + 128):
        return None
    shown = ", ".join(str(value) for value in found[:4]) + ", ..." * (len(found) > 4)
    return Doubt(
        "label_map",
        f"it holds {counted(len(found), 'value')} only ({shown}), like the labels of a "
        "segmentation: no CT; leave it out, or keep masks in another folder",
    )


def _offset(values: NDArray[Any]) -> int | None:
    """What was added to HU, where air and soft tissue are found at one distance from theirs."""
    counted, edges = np.histogram(values, bins=np.arange(-70000, 70001, 20))
    share = counted / values.size
    middles = (edges[:-1] + edges[1:]) / 2

    def near(place: float, reach: float) -> float:
        return float(share[np.abs(middles - place) <= reach].sum())

    found = [
        offset
        for size in _OFFSETS
        for offset in (size, -size)
        if min(near(offset - 1000, 80), near(offset + 25, 175)) >= 0.02
        and ((values >= offset - 1200) & (values <= offset + _METAL)).mean() >= 0.6
        and (values > offset + _METAL).mean() < 0.01
    ]
    if not found:
        return None
    # 1000 and 1024 are told apart by where most of the air lies, padding aside.
    low = values.min()
    air = values[(np.abs(values - np.float32(found[0] - 1000)) <= 100) & (values != low)]
    lowest = (values == low).sum()
    middle = float(np.median(air)) if air.size > max(0.02 * values.size, lowest / 3) else float(low)
    return min(found, key=lambda offset: abs(middle - (offset - 1000)))
