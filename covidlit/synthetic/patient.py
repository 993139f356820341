"""The body of one synthetic patient: sizes, and the surfaces that everything else hangs on.

All lengths in mm, in a frame whose origin is the carina: x to the patient's left, y to the back,
z to the head. Distances are first-order approximations: exact on a surface, good within some cm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from covidlit.synthetic.cases import Case
from covidlit.synthetic.grid import F32, Grid

# Profiles along the body at unit scale: height over the carina, then half-widths in mm.
_HEIGHT = np.array([-190, -140, -100, -60, -20, 20, 50, 70, 85, 97, 106, 130], float)
_CAVITY_X = np.array([126, 132, 134, 132, 126, 116, 100, 83, 64, 42, 14, 6], float)
_CAVITY_Y = np.array([80, 88, 92, 92, 89, 81, 70, 58, 45, 30, 10, 5], float)
_CAVITY_CENTRE = np.array([-4, 0, 0, 0, 0, 2, 6, 10, 14, 17, 18, 18], float)
_BODY_X = np.array([143, 150, 155, 157, 157, 161, 166, 172, 178, 181, 183, 184], float)
_BODY_Y = np.array([104, 112, 118, 119, 117, 109, 100, 92, 85, 78, 72, 62], float)
_BODY_CENTRE = np.array([4, 8, 10, 11, 11, 12, 14, 16, 17, 18, 18, 18], float)
_EXPONENT = 2.4


@dataclass(frozen=True)
class Patient:
    """Sizes of one patient, and how deep the breath of one scan is.

    Args:
        width, depth, height: scales of the trunk, 1 for a middle-sized man.
        fat_mm: thickness of the fat under the skin.
        breast_mm: radius of the breasts, 0 for men.
        airway: scale of trachea and bronchi.
        heart: scale of the heart.
        bone_hu: density of the spongy bone.
        lung_hu: mean density of the lung; deeper breath, thinner lung.
        gravity_hu: rise of the density from the front to the back of the lung.
        dome_mm: height of the right and left dome of the diaphragm, from the carina.
        dependent_hu, dependent_mm: haze at the back, where the lungs lie lowest: strength, depth;
            harmless, and often 0.
        sway: small shifts of the mediastinum to the side.
    """

    width: float
    depth: float
    height: float
    fat_mm: float
    breast_mm: float
    airway: float
    heart: float
    bone_hu: float
    lung_hu: float
    gravity_hu: float
    dome_mm: tuple[float, float]
    dependent_hu: float
    dependent_mm: float
    sway: float

    def profile(self, grid: Grid, table: np.ndarray) -> np.ndarray:
        """A profile along the body at the slices of a grid, (z, 1, 1), float64."""
        z = np.asarray(grid.axes[0], dtype=float) / self.height
        # Three points per slice smooth the corners of the piecewise linear table.
        return sum(np.interp(z + step, _HEIGHT, table) for step in (-8.0, 0.0, 8.0)) / 3

    def cavity_half_depth(self, grid: Grid) -> np.ndarray:
        """Half the depth of the chest's inside at each slice, (z, 1, 1)."""
        return self.profile(grid, _CAVITY_Y) * self.depth

    def cavity_centre(self, grid: Grid) -> np.ndarray:
        """y of the middle of the chest's inside at each slice, (z, 1, 1)."""
        return self.profile(grid, _CAVITY_CENTRE) * self.depth

    def vertebra_y(self, grid: Grid) -> np.ndarray:
        """y of the middle of the vertebral bodies at each slice, (z, 1, 1)."""
        z = np.asarray(grid.axes[0], dtype=float) / self.height
        return (58.0 - 0.0011 * (z + 30) ** 2) * self.depth

    def cavity_distance(self, grid: Grid) -> F32:
        """Distance to the inside of the chest wall, negative within, (z, y, x)."""
        return _superellipse(
            grid,
            self.profile(grid, _CAVITY_X) * self.width,
            self.cavity_half_depth(grid),
            self.cavity_centre(grid),
        )

    def body_distance(self, grid: Grid) -> F32:
        """Distance to the skin, breasts apart, negative within, (z, y, x)."""
        extra = self.fat_mm - 14.0
        return _superellipse(
            grid,
            self.profile(grid, _BODY_X) * self.width + 14 + extra,
            self.profile(grid, _BODY_Y) * self.depth + 12 + 0.7 * extra,
            self.profile(grid, _BODY_CENTRE) * self.depth,
        )

    def diaphragm_distance(self, grid: Grid) -> tuple[F32, F32]:
        """Distance to the diaphragm, negative above it, and the z part of its normal."""
        z, y, x = grid.axes
        right = x < 0
        side = np.where(right, -1.0, 1.0)
        outward = side * x - 62 * self.width
        reach = np.where(outward > 0, 72.0, 105.0) * self.width
        back = y + 8 * self.depth
        qx = (outward / reach) ** 2
        qy = (back / (np.where(back > 0, 98.0, 88.0) * self.depth)) ** 2
        q = (qx + qy).astype(np.float32)
        top = np.where(right, *self.dome_mm).astype(np.float32)
        dome = top - (22 * q + 50 * q * np.minimum(q, 1.6)) * np.float32(self.height)
        steep = (22 + 100 * q) * np.float32(2 * self.height)
        slope = steep * np.hypot(np.sqrt(qx) / reach, np.sqrt(qy) / (93.0 * self.depth))
        normal = (1 / np.sqrt(1 + slope**2)).astype(np.float32)
        return (dome - z) * normal, normal


def _superellipse(grid: Grid, half_x: np.ndarray, half_y: np.ndarray, centre_y: np.ndarray) -> F32:
    _, y, x = grid.axes
    n = _EXPONENT
    ux = np.abs(x) / half_x
    uy = np.abs(y - centre_y) / half_y
    level = (ux**n).astype(np.float32) + (uy**n).astype(np.float32)
    steep = ((n * ux ** (n - 1) / half_x) ** 2).astype(np.float32) + (
        (n * uy ** (n - 1) / half_y) ** 2
    ).astype(np.float32)
    level -= 1
    level /= np.sqrt(np.maximum(steep, 1e-5, out=steep), out=steep)
    return level


def patient_of(case: Case) -> Patient:
    """The body of a case: drawn once per patient, but for the breath, drawn for each scan."""
    rng, breath = case.patient_generator("body"), case.generator("breath")
    female = case.sex == "F"
    size = rng.normal(0.93 if female else 1.02, 0.035)
    depth_of_breath = float(np.clip(breath.normal(0, 1), -2, 2))
    right = -68 + rng.normal(0, 5) - 9 * depth_of_breath
    left = right - rng.normal(12, 4)
    lung = -838 + rng.normal(0, 14) - 20 * depth_of_breath - 0.25 * (case.age - 50)
    return Patient(
        width=float(size + rng.normal(0, 0.03)),
        depth=float(size + rng.normal(0, 0.045)),
        height=float(size + rng.normal(0, 0.03)),
        fat_mm=float(np.clip(rng.normal(19 if female else 14, 6), 5, 34)),
        breast_mm=float(np.clip(rng.normal(52, 9), 35, 75)) if female else 0.0,
        airway=float((0.86 if female else 1.0) * rng.normal(1, 0.06)),
        heart=float(size * rng.normal(1.0, 0.05) * (1 + 0.001 * (case.age - 50))),
        bone_hu=float(np.clip(rng.normal(240 - 1.8 * (case.age - 40), 30), 80, 340)),
        lung_hu=float(lung),
        gravity_hu=float(np.clip(breath.normal(62, 18) - 14 * depth_of_breath, 20, 130)),
        dome_mm=(float(right), float(left)),
        dependent_hu=float(breath.uniform(30, 110) * (breath.random() < 0.3)),
        dependent_mm=float(breath.uniform(3, 8)),
        sway=float(rng.normal(0, 3)),
    )
