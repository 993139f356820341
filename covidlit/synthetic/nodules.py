"""Solid nodules of the lung: no pneumonia, and no class of the lesion labels."""

from __future__ import annotations

import numpy as np

from covidlit.synthetic.grid import F32, Grid
from covidlit.synthetic.lesions import lung_points
from covidlit.synthetic.texture import SmoothNoise, coverage, paint
from covidlit.synthetic.thorax import Chest

INCIDENTAL = 0.12
"""Share of patients of any class with a nodule by the way."""


def draw_nodules(chest: Chest, grid: Grid, hu: F32) -> None:
    """Draw the nodules of a case, in place: 1 to 4 of 5 to 16 mm where the aetiology says so."""
    rng = chest.case.patient_generator("nodules")
    incidental = rng.random() < INCIDENTAL
    if chest.case.aetiology == "nodule":
        count = int(rng.integers(1, 5))
    elif incidental:
        count = 1
    else:
        return
    points = lung_points(chest)
    weight = np.where(points.depth > 6, 1.0, 0.6)
    shape = SmoothNoise(rng, 6.0, (52.0,) * 3)
    for _ in range(count):
        centre = np.array(points.draw(rng, weight, None))[::-1]
        radius = float(rng.uniform(2.5, 8.0) if chest.case.aetiology == "nodule" else 3.0)
        solid = float(rng.uniform(10, 90))
        box = grid.box(centre - radius - 6, centre + radius + 6)
        local = grid.box_grid(box)
        if 0 in local.shape:
            continue
        z, y, x = local.axes
        away = np.sqrt((z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2)
        distance = (away - radius).astype(np.float32) + np.float32(0.12 * radius) * shape.on(local)
        part = coverage(distance, float(np.hypot(grid.spacing[1], 0.6 * grid.spacing[0])))
        paint(hu[box], part, np.maximum(hu[box], solid))
