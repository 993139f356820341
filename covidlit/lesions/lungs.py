"""The lungs as a volume, from HU alone: thresholds, the airways out, what is dense at the wall in.

In order, on a grid of about 2 mm: the body; what is lighter than `LUNG_BELOW_HU` in it; without the
airways; in pieces as large as lungs; closed; then the chest wall is followed where pneumonia or
fluid hides it: seen from the mediastinum, the outer border of a lung is smooth over angle and
height, so that dents narrower than `DENT_DEGREES` or `DENT_MM` are filled. The border itself is
taken from the full volume.

What it cannot do: a lung or a lobe that is white throughout is not found; a dent wider than both
limits stays outside, unless it lies behind the lung; the last millimetres of fluid before the ribs
are given away, to keep the muscle between them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cc3d
import fill_voids
import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from covidlit.arguments import n_cores
from covidlit.lesions.airways import find_airways
from covidlit.lesions.distance import distance_within
from covidlit.lesions.lung_sides import LEFT, RIGHT, label_sides, seam_between_lungs
from covidlit.lesions.lung_wall import SHELL_MM, fill_dents
from covidlit.scans.scan import AIR_HU
from covidlit.scans.thinned import thinned

LUNG_BELOW_HU = -400
"""Midway between aerated lung (-850) and tissue (40)."""

BODY_ABOVE_HU = -300
GRID_MM = 2.0
CLOSING_MM = 9.0
"""Vessels and small foci at the hilum and the fissures are closed by a ball of this radius."""

_LEAST_ML = 40.0  # of a piece of lung
_LEAST_SHARE = 0.05  # of the largest piece
_BARE_AIR_HU = -945  # mean of bowel gas; emphysema is denser
_WALL_MM = 2.0  # of the airways
_WALL_ROOM_MM = 40.0  # a layer of fluid can be so thick


def segment_lungs(hu: NDArray[np.integer], spacing: Sequence[float]) -> NDArray[np.uint8]:
    """The lungs with what they hold: vessels, ground glass, consolidation, fluid at the wall.

    Args:
        hu: Hounsfield units (z, y, x), canonical: z to the head, y to the back, x to the left.
        spacing: in mm, (z, y, x).

    Returns:
        uint8 (z, y, x): 0 outside, 1 the right lung, 2 the left one; all 0 where there is none.
    """
    small, steps = thinned(hu, spacing, GRID_MM)
    small = np.ascontiguousarray(small)
    body = _body(small)
    empty = np.zeros(hu.shape, np.uint8)
    if not body.any():
        return empty
    middle = float(np.median(np.nonzero(body.any(axis=(0, 1)))[0]))
    airways = _widened(find_airways(small, body, steps, middle), _WALL_MM, steps)
    aerated = body & (small < LUNG_BELOW_HU) & ~airways
    lung = _lung_pieces(aerated, small, steps)
    if not lung.any():
        return empty
    seam = seam_between_lungs(lung, steps, middle)
    whole = _completed(label_sides(lung, seam), small, seam, steps) & body & ~airways
    fine = _at_full_size(whole, airways, hu, spacing, steps)
    column = seam * (steps[2] / float(spacing[2]))
    z, y = (
        np.clip(np.arange(n) // round(step / float(own)), 0, m - 1)
        for n, step, own, m in zip(hu.shape, steps, spacing, seam.shape, strict=False)
    )
    return label_sides(fine, column[z][:, y])


def _completed(
    sides: NDArray[np.uint8],
    hu: NDArray[np.integer],
    seam: NDArray[np.float32],
    steps: tuple[float, float, float],
) -> NDArray[np.bool_]:
    """Both lungs, each one closed, its outer border without dents and without holes."""
    out = np.zeros(sides.shape, bool)
    for side in (RIGHT, LEFT):
        one = sides == side
        if not one.any():
            continue
        box = _box(one, [0, *(round(_WALL_ROOM_MM / step) for step in steps[1:])])
        shifted = seam[box[0], box[1]] - box[2].start
        closed = _closed(one[box], CLOSING_MM, steps)
        part, shell = fill_dents(closed, hu[box], steps, shifted, side)
        holes = _filled(part | shell) & ~part & ~shell
        near = _widened(holes, SHELL_MM + 1, steps)
        out[box] |= _filled(part | holes | (shell & near))
    return out


def _box(mask: NDArray[np.bool_], margin: Sequence[int]) -> tuple[slice, slice, slice]:
    """The smallest box around what is True, and so many voxels more at either end."""
    ends = []
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        at = np.flatnonzero(mask.any(axis=others))
        ends.append(slice(max(0, int(at[0]) - margin[axis]), int(at[-1]) + 1 + margin[axis]))
    return ends[0], ends[1], ends[2]


def segment_airways(hu: NDArray[np.integer], spacing: Sequence[float]) -> NDArray[np.bool_]:
    """The air of windpipe and main bronchi, to about `GRID_MM`.

    Args:
        hu: Hounsfield units (z, y, x), canonical.
        spacing: in mm, (z, y, x).

    Returns:
        All False where no windpipe was found.
    """
    small, steps = thinned(hu, spacing, GRID_MM)
    small = np.ascontiguousarray(small)
    body = _body(small)
    if not body.any():
        return np.zeros(hu.shape, np.bool_)
    middle = float(np.median(np.nonzero(body.any(axis=(0, 1)))[0]))
    found = find_airways(small, body, steps, middle)
    at = (
        np.clip(np.arange(n) // round(step / float(own)), 0, m - 1)
        for n, step, own, m in zip(hu.shape, steps, spacing, found.shape, strict=False)
    )
    return found[np.ix_(*at)]


def _body(hu: NDArray[np.integer]) -> NDArray[np.bool_]:
    """The largest component of tissue with what it encloses in each slice."""
    tissue = hu > BODY_ABOVE_HU
    if not tissue.any():
        return tissue
    body: NDArray[np.bool_] = cc3d.largest_k(tissue, k=1, connectivity=6) > 0
    for section in body:
        section |= fill_voids.fill(section)
    return body


def _lung_pieces(
    aerated: NDArray[np.bool_], hu: NDArray[np.integer], steps: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """The pieces that are as large as lungs and not bare air; thin bridges to others are cut."""
    voxel_ml = float(np.prod(steps)) / 1000
    labels, count = cc3d.connected_components(aerated, connectivity=6, return_N=True)
    if not count:
        return aerated
    sizes = np.bincount(labels.ravel(), minlength=count + 1).astype(float)
    sizes[0] = 0
    # By what lies within: the voxels at the wall hold tissue, too.
    within = scipy.ndimage.binary_erosion(aerated, np.ones((1, 3, 3)))
    number, density = labels[within], hu[within].astype(np.float64)
    counts = np.maximum(np.bincount(number, minlength=count + 1), 1)
    mean = np.bincount(number, density, count + 1) / counts
    least = max(_LEAST_ML / voxel_ml, _LEAST_SHARE * sizes[mean > _BARE_AIR_HU].max(initial=0))
    kept = (sizes >= least) & (mean > _BARE_AIR_HU)
    kept[0] = False
    found: NDArray[np.bool_] = kept[labels]
    return found


def _widened(
    mask: NDArray[np.bool_], by_mm: float, steps: tuple[float, float, float]
) -> NDArray[np.bool_]:
    if not mask.any():
        return mask
    wide: NDArray[np.bool_] = distance_within(~mask, steps, n_cores()) <= by_mm
    return wide


def _closed(
    mask: NDArray[np.bool_], by_mm: float, steps: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Closing by a ball."""
    if not mask.any():
        return mask
    margin = [int(by_mm // step) + 2 for step in steps]
    padded = np.pad(mask, [(m, m) for m in margin])
    wide = _widened(padded, by_mm, steps)
    back = distance_within(wide, steps, n_cores()) > by_mm
    cut = tuple(slice(m, -m) for m in margin)
    return back[cut] | mask


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Holes closed in the volume and in each slice."""
    out: NDArray[np.bool_] = fill_voids.fill(mask).astype(bool)
    for section in out:
        if section.any():
            section |= fill_voids.fill(section).astype(bool)
    return out


def _at_full_size(
    whole: NDArray[np.bool_],
    airways: NDArray[np.bool_],
    hu: NDArray[Any],
    spacing: Sequence[float],
    steps: tuple[float, float, float],
) -> NDArray[np.bool_]:
    """The coarse lungs on the voxels of the volume; within a voxel of the border, HU decide."""
    factor = [round(step / float(own)) for step, own in zip(steps, spacing, strict=True)]
    if factor == [1, 1, 1]:
        return whole
    inner = scipy.ndimage.binary_erosion(whole, np.ones((1, 3, 3)), border_value=1)
    outer = scipy.ndimage.binary_dilation(whole, np.ones((1, 3, 3))) & ~airways
    # 0 outside, 1 within a voxel outside the border, 2 within one inside, 3 well inside
    zone = outer.astype(np.uint8) + whole + inner
    index = [
        np.clip(np.arange(n) // f, 0, m - 1)
        for n, f, m in zip(hu.shape, factor, whole.shape, strict=True)
    ]
    fine = np.empty(hu.shape, bool)
    for z, values in enumerate(hu):
        at = zone[index[0][z]][index[1]][:, index[2]]
        fine[z] = (at == 3) | ((at > 0) & (values < LUNG_BELOW_HU) & (values >= AIR_HU))
    return fine
