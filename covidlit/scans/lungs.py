"""Whether a volume shows the lungs, and how much of them: thresholds on a coarse grid, no network.

Lung is what lies inside the body and is lighter than fat but no bare air, thicker than a table's
shell, and fills a good part of the section on at least one side. Bowel is bare air with a thin rim,
sinuses are small, so neither an abdomen nor a head has any. Lungs full of pneumonia are lung as
long as a part of them holds some air.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from covidlit.scans.thinned import thinned

LUNG_HU = (-965, -220)
"""Lung, aerated or inflamed, lies between these: bare air below, fat above."""

THICKNESS_MM = 30.0
"""What is thinner everywhere is no lung but a table's core, a rim of bowel gas, a fold of skin."""

LEAST_SHARE = 0.06
"""A lung fills at least this share of the body's section in some slices (our limit). Healthy ones
fill about 0.2 each; bowel gas, sinuses and cushions less than this."""

LEAST_PIECE = 0.05
"""A piece of lung fills at least this share of the body's section in some slice (our limit)."""

HEIGHT_OVER_WIDTH = 0.85
"""Height of adult lungs in inspiration over their width from side to side: 23 over 27 cm."""

_FULLNESS = 0.62  # mean section of a whole lung over its largest one
_EMPTY = 0.05  # a section below this share of the largest one is the lung's end
_SIDES = ("right", "left")


@dataclass(frozen=True)
class LungView:
    """What can be seen of the lungs.

    Args:
        percent: how much of both lungs lies in the volume, 0 to 100; an estimate where they are
            cut, from their sections and their width.
        sides: which were found, of "right" and "left" (of the patient).
        cut_above, cut_below: whether the volume ends in the lungs towards the head, the feet.
    """

    percent: float
    sides: tuple[str, ...] = ()
    cut_above: bool = False
    cut_below: bool = False

    @property
    def text(self) -> str:
        """In words: "about 54% of the lungs in view, cut above"."""
        if not self.sides:
            return "no lung in view"
        cut = [word for word in ("above", "below") if getattr(self, f"cut_{word}")]
        ends = f", cut {' and '.join(cut)}" if cut else ""
        alone = f", only the {self.sides[0]} one found" if len(self.sides) == 1 else ""
        about = "about " * bool(cut)
        return f"{about}{self.percent:.0f}% of the lungs in view{ends}{alone}"


def lungs_in_view(hu: NDArray[np.integer], spacing: Sequence[float]) -> LungView:
    """Look for the lungs in a volume.

    Args:
        hu: Hounsfield units (z, y, x), canonical: z to the head, y to the back, x to the left.
        spacing: in mm, (z, y, x).

    Returns:
        `percent` 0 where no lung was found. A lung that is missing, or white throughout, counts
        as one that is out of view.
    """
    coarse, steps = thinned(hu, spacing)
    values = _smoothed(coarse, steps)
    body = _body(values)
    lung = _lung(values, body, steps)
    if not lung.any():
        return LungView(0.0)
    section = body.sum(axis=(1, 2)).astype(np.float64)
    middle = _median_index(body.sum(axis=(0, 1)))
    halves = (lung[:, :, :middle], lung[:, :, middle:])
    areas = [half.sum(axis=(1, 2)).astype(np.float64) for half in halves]
    found = [bool((area > LEAST_SHARE * section).any()) for area in areas]
    if not any(found):
        return LungView(0.0)
    columns = np.flatnonzero(lung.any(axis=(0, 1)))
    width = (columns[-1] - columns[0] + 1) * steps[2]
    width *= 2 if not all(found) else 1
    height = HEIGHT_OVER_WIDTH * width / steps[0]
    total, seen, above, below = 0.0, 0.0, False, False
    for area in (area for area, there in zip(areas, found, strict=True) if there):
        visible, whole, top, bottom = _extrapolated(area, section, height)
        seen, total = seen + visible, total + whole
        above, below = above or top, below or bottom
    share = seen / total * sum(found) / 2
    sides = tuple(side for side, there in zip(_SIDES, found, strict=True) if there)
    return LungView(round(float(100 * min(1.0, share)), 1), sides, above, below)


def _median_index(counts: NDArray[np.integer]) -> int:
    """The median of indices, each of which stands as often as its count says."""
    upto = np.cumsum(counts)
    ends = [
        int(np.searchsorted(upto, k, side="right")) for k in ((upto[-1] - 1) // 2, upto[-1] // 2)
    ]
    return sum(ends) // 2


def _smoothed(
    coarse: NDArray[np.integer], steps: tuple[float, float, float]
) -> NDArray[np.float32]:
    """Noise and vessels averaged out over about 10 mm, in the plane only where slices are thick."""
    values = np.clip(coarse, -1024, 300).astype(np.float32)
    size = [3 if step < 8 else 1 for step in steps]
    return scipy.ndimage.uniform_filter(values, size)


def _body(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The largest component of tissue with what it encloses in each slice."""
    tissue = values > LUNG_HU[1]
    if not tissue.any():
        return tissue
    largest = cc3d.largest_k(tissue, k=1, connectivity=6) > 0
    outside = ~largest
    # All slices below each other as one image, with a row between them: components in the plane.
    apart = np.pad(outside, ((0, 0), (0, 1), (0, 0)))
    labels = cc3d.connected_components(apart.reshape(-1, apart.shape[2]), connectivity=4)
    labels = labels.reshape(apart.shape)[:, :-1]
    edges = (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1])
    open_ = np.unique(np.concatenate([edge.ravel() for edge in edges]))
    is_open = np.zeros(int(labels.max()) + 1, bool)
    is_open[open_] = True
    is_open[0] = False
    return largest | (outside & ~is_open[labels])


def _lung(
    values: NDArray[np.float32], body: NDArray[np.bool_], steps: tuple[float, float, float]
) -> NDArray[np.bool_]:
    low, high = LUNG_HU
    candidate = body & (values > low) & (values < high)
    if not candidate.any():
        return candidate
    # In the plane only: a slab of a few thick slices has lungs, too.
    across = [1, *(max(1, round(THICKNESS_MM / step)) for step in steps[1:])]
    cores = scipy.ndimage.minimum_filter(candidate.view(np.uint8), across, mode="constant") > 0
    if not cores.any():
        return cores
    labels = cc3d.connected_components(candidate, connectivity=26)
    section = body.sum(axis=(1, 2))
    kept = np.zeros(int(labels.max()) + 1, bool)
    for label in np.unique(labels[cores]):
        # The colon is full of stool and gas on both sides, too, but its section is small.
        kept[label] = ((labels == label).sum(axis=(1, 2)) > LEAST_PIECE * section).any()
    kept[0] = False
    found: NDArray[np.bool_] = kept[labels]
    return found


def _extrapolated(
    area: NDArray[np.float64], section: NDArray[np.float64], height: float
) -> tuple[float, float, bool, bool]:
    """What is seen of one lung, what it would be as a whole, and whether it is cut above, below.

    Args:
        area: of the lung by slice, feet to head, in voxels.
        section: of the body.
        height: of a whole lung, in slices.
    """
    largest = max(float(area.max()), 2 * LEAST_SHARE * float(np.median(section)))
    bottom, top = area[0] / largest, area[-1] / largest
    below, above = bool(bottom > _EMPTY), bool(top > _EMPTY)
    seen = float(area.sum())
    if not below and not above:
        return seen, seen, above, below
    whole = _FULLNESS * largest * height
    missing = sum(_end(share) for share, cut in ((bottom, below), (top, above)) if cut) * whole
    return seen, max(whole, seen + missing), above, below


def _end(share: float) -> float:
    """Share of a whole lung that lies beyond a section of `share` of the largest one.

    Both ends are taken as halves of an ellipsoid, whose section falls with the square of the
    distance from its middle.
    """
    distance = np.sqrt(max(0.0, 1 - min(1.0, share)))  # of its middle, 1 at the tip
    return float((2 - 3 * distance + distance**3) / 4)
