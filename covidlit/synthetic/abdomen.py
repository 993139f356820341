"""What lies under the diaphragm: liver, spleen, stomach, in fat."""

from __future__ import annotations

import numpy as np

from covidlit.synthetic.grid import F32, Grid
from covidlit.synthetic.patient import Patient
from covidlit.synthetic.texture import coverage, paint


def draw_abdomen(
    patient: Patient, grid: Grid, hu: F32, below: F32, diaphragm: F32, cavity: F32
) -> None:
    """Fill the space under the diaphragm, in place.

    Args:
        below: coverage of that space.
        diaphragm: distance to the diaphragm, positive below.
        cavity: distance to the inside of the chest wall.
    """
    if not below.any():
        return
    z, y, x = grid.axes
    w, d = patient.width, patient.depth
    edge = max(grid.spacing[1], 0.8)
    left_top = patient.dome_mm[1]
    paint(hu, below, -98.0)
    # Liver: the right side and a left lobe that thins out across the midline.
    reach = (20 + 62 * np.clip((left_top + 10 - z) / 60, 0.25, 1)) * w
    lobe = (x - reach * np.clip(1 - (y + 55 * d) / (105 * d), 0.15, 1.0)).astype(np.float32)
    spine = 46 * d - np.hypot(x - 6, y - 62 * d)
    liver = np.maximum(np.maximum(lobe, 3.0 - diaphragm), np.maximum(cavity + 3.0, spine))
    paint(hu, below * coverage(liver.astype(np.float32), edge), 57.0)
    spleen = np.sqrt(
        ((x - 92 * w) / 36) ** 2 + ((y - 38 * d) / 46) ** 2 + ((z - left_top + 52) / 52) ** 2
    )
    spleen = np.maximum((spleen - 1) * np.float32(36), np.maximum(cavity + 3, 3 - diaphragm))
    paint(hu, below * coverage(spleen.astype(np.float32), edge), 50.0)
    stomach = np.sqrt(
        ((x - 58 * w) / 44) ** 2 + ((y + 14 * d) / 48) ** 2 + ((z - left_top + 44) / 42) ** 2
    )
    stomach = np.maximum((stomach - 1) * np.float32(42), np.maximum(cavity + 4, 4 - diaphragm))
    stomach = np.maximum(stomach, -spleen).astype(np.float32)
    paint(hu, below * coverage(stomach, edge), 42.0)
    # Gas rises to the front.
    gas = np.maximum(stomach + 4, y + 26 * d)
    paint(hu, below * coverage(gas.astype(np.float32), edge), -960.0)
    paint(hu, below * coverage((np.abs(diaphragm - 1.2) - 1.2).astype(np.float32), edge), 50.0)
