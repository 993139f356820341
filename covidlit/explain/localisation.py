"""Whether heat lies on lesions: hit rate against chance, and the share of heat inside lesions.

The rule is that of the pointing game (Zhang et al., "Top-down neural attention by excitation
backprop", IJCV 2018): one point per scan, the maximum, with a tolerance in millimetres.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from covidlit.errors import CovidlitError
from covidlit.explain.heatmap import Heatmap
from covidlit.lesions import FIRST_LESION, LesionLabels

MARGIN_MM = 15.0
"""A maximum that lies this close to a lesion is a hit."""

LATTICE_MM = 3.0
"""Chance is the mean over lung voxels on a lattice of about this spacing."""


@dataclass(frozen=True)
class Localisation:
    """How the heat of one scan lies to its lesions.

    Args:
        hit: whether the maximum lies within the margin of a lesion.
        distance_mm: from the maximum to the nearest lesion voxel.
        chance: share of the lung within the margin of a lesion: how often a point drawn evenly
            from the lung would be a hit.
        heat_in_lesions: share of all heat that lies inside lesions; None without any heat.
        heat_in_lung: share of all heat that lies inside the lung, lesions included.
        lesions_of_lung: share of the lung's volume that lesions take.
    """

    hit: bool
    distance_mm: float
    chance: float
    heat_in_lesions: float | None
    heat_in_lung: float | None
    lesions_of_lung: float


@dataclass(frozen=True)
class LesionTruth:
    """The lesions of one scan, made ready for any number of heatmaps of it.

    Distances are between points and centres of lesion voxels in mm, on the labels' own grid: as
    exact as a Euclidean distance transform of the whole volume, at a hundredth of its time.

    Args:
        labels: of the scan (contract 7); everything but the background is lung.
        margin_mm: how far from a lesion is still a hit.

    Raises:
        CovidlitError: there is no lesion in the labels.
    """

    labels: LesionLabels
    margin_mm: float = MARGIN_MM
    _tree: cKDTree = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lesion = self.labels.classes >= FIRST_LESION
        if not lesion.any():
            raise CovidlitError("the labels hold no lesion.", fix="leave this scan out.")
        tree = cKDTree(_places(np.argwhere(lesion), self.labels.affine))
        object.__setattr__(self, "_tree", tree)

    @cached_property
    def chance(self) -> float:
        """How often a point drawn evenly from the lung would be a hit."""
        lesion, lung = self.labels.classes >= FIRST_LESION, self.labels.classes > 0
        return _share_within(lung, lesion, self._tree, self.labels.affine, self.margin_mm)

    def hits(self, points_mm: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which points (n, 3), LPS mm (x, y, z), lie within the margin of a lesion."""
        distance, _ = self._tree.query(points_mm)
        return np.asarray(distance <= self.margin_mm)

    def localise(self, heat: Heatmap) -> Localisation:
        """Hold a heatmap of the scan against its lesions."""
        lesion, lung = self.labels.classes >= FIRST_LESION, self.labels.classes > 0
        distance = float(self._tree.query(heat.peak_mm)[0])
        z, y, x = lesion.shape
        values = heat.on((z, y, x), self.labels.affine)
        total = float(values.sum(dtype=np.float64))
        inside = [float(values[part].sum(dtype=np.float64)) for part in (lesion, lung)]
        return Localisation(
            hit=distance <= self.margin_mm,
            distance_mm=distance,
            chance=self.chance,
            heat_in_lesions=inside[0] / total if total > 0 else None,
            heat_in_lung=inside[1] / total if total > 0 else None,
            lesions_of_lung=float(lesion.sum() / lung.sum()),
        )


def _share_within(
    lung: NDArray[np.bool_],
    lesion: NDArray[np.bool_],
    tree: cKDTree,
    affine: NDArray[np.float64],
    margin_mm: float,
) -> float:
    """Share of the lung's voxels, on a lattice, that lie within the margin of a lesion."""
    steps = [max(1, round(LATTICE_MM / s)) for s in np.linalg.norm(affine[:3, :3], axis=0)]
    lattice = tuple(slice(step // 2, None, step) for step in steps)
    inside = np.argwhere(lung[lattice])
    if not len(inside):  # a lung of a few voxels
        steps, lattice = [1, 1, 1], (slice(None),) * 3
        inside = np.argwhere(lung)
    is_lesion = lesion[lattice][tuple(inside.T)]
    others = inside[~is_lesion] * steps + [step // 2 for step in steps]
    if not len(others):
        return 1.0
    near, _ = tree.query(_places(others, affine), distance_upper_bound=margin_mm * (1 + 1e-9))
    return float((is_lesion.sum() + np.isfinite(near).sum()) / len(inside))


def _places(indices: NDArray[np.integer], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return indices @ affine[:3, :3].T + affine[:3, 3]
