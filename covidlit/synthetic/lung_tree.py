"""Pulmonary arteries, veins and bronchi: trees that fill the lung and taper to the pleura."""

from __future__ import annotations

import numpy as np

from covidlit.synthetic.tubes import F64, Tubes

LEVELS = 9
"""Divisions of a vessel tree in each lung: 512 ends."""


def grow_tree(
    root: tuple[float, float, float], targets: F64, radius_mm: float, end_mm: float
) -> Tubes:
    """A tree from a root that divides in two until each target point has its own branch.

    Each division splits the targets across their longest extent and the branch heads for their
    centre; the radius falls by a constant factor (Murray's law would be 2 ** (1/3)).

    Args:
        root: (x, y, z) in mm.
        targets: (2 ** levels, 3), mm, (x, y, z).
        radius_mm: at the root.
        end_mm: at the ends.
    """
    levels = int(np.log2(len(targets)))
    group = targets[None]
    place = np.array([root], float)
    starts, ends, radii = [], [], []
    for level in range(levels + 1):
        centre = group.mean(axis=1)
        # Short steps near the hilum, the whole way at the end.
        step = 1.0 if level == levels else 0.30 + 0.04 * level
        goal = place + step * (centre - place)
        wide = radius_mm * (end_mm / radius_mm) ** (np.array([level, level + 1]) / (levels + 1))
        starts.append(place)
        ends.append(goal)
        radii.append(np.broadcast_to(wide, (len(goal), 2)))
        if level == levels:
            break
        axis = np.ptp(group, axis=1).argmax(axis=1)
        order = np.take_along_axis(group, axis[:, None, None], axis=2)[..., 0].argsort(axis=1)
        group = np.take_along_axis(group, order[..., None], axis=1)
        group = group.reshape(2 * len(group), -1, 3)
        place = np.repeat(goal, 2, axis=0)
    return Tubes(np.concatenate(starts), np.concatenate(ends), np.concatenate(radii))


def bent(tubes: Tubes, rng: np.random.Generator, part: float = 0.08) -> Tubes:
    """The same tree with each piece bent at its middle by about `part` of its length."""
    length = np.linalg.norm(tubes.end - tubes.start, axis=1, keepdims=True)
    middle = (tubes.start + tubes.end) / 2 + rng.normal(0, part, tubes.start.shape) * length
    radius = tubes.radius.mean(axis=1)
    return Tubes(
        np.concatenate([tubes.start, middle]),
        np.concatenate([middle, tubes.end]),
        np.concatenate(
            [
                np.stack([tubes.radius[:, 0], radius], 1),
                np.stack([radius, tubes.radius[:, 1]], 1),
            ]
        ),
    )
