"""A whole healthy chest: every organ of a patient on a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from covidlit.synthetic import abdomen, chest_wall, mediastinum
from covidlit.synthetic.cases import Case
from covidlit.synthetic.grid import F32, Grid
from covidlit.synthetic.lung_tree import LEVELS, bent, grow_tree
from covidlit.synthetic.patient import Patient, patient_of
from covidlit.synthetic.texture import SmoothNoise, coverage, paint
from covidlit.synthetic.tubes import Tubes, fill_tubes, join


@dataclass(frozen=True)
class LungSpace:
    """Where the lungs are, on one grid.

    Args:
        cavity: distance to the chest wall, negative within.
        diaphragm: distance to the diaphragm, negative above.
        distance: distance to the lung's surface, negative within.
        heart: distance to the pericardium.
        width: mm over which the surface is blurred by the voxels.
    """

    cavity: F32
    diaphragm: F32
    distance: F32
    heart: F32
    width: F32

    @property
    def part(self) -> F32:
        """The part of each voxel that is lung, 0 to 1."""
        return coverage(self.distance, self.width)


MIDDLE_MM = 112.0
"""The mediastinum lies within so much of the midline."""


def lung_space(patient: Patient, grid: Grid) -> LungSpace:
    """Where the lungs of a patient are on a grid."""
    cavity = patient.cavity_distance(grid)
    diaphragm, normal = patient.diaphragm_distance(grid)
    distance = np.maximum(cavity, diaphragm)
    heart = np.full(grid.shape, 99.0, np.float32)
    box = middle_box(grid)
    local = grid.box_grid(box)
    if 0 not in local.shape:
        heart[box] = mediastinum.heart_distance(patient, local)
        middle = mediastinum.mediastinum_distance(patient, local, heart[box])
        np.maximum(distance[box], -middle, out=distance[box])
    pixel = max(grid.spacing[1], 0.8)
    # Thick slices blur what lies flat in them.
    flat = np.where(diaphragm >= distance - 1e-3, normal, np.float32(0.25))
    width = np.sqrt(np.float32(pixel**2) + (np.float32(grid.spacing[0]) * flat) ** 2)
    return LungSpace(cavity, diaphragm, distance, heart, width)


def middle_box(grid: Grid) -> tuple[slice, slice, slice]:
    """The part of a grid that holds the mediastinum."""
    reach = np.array([1e4, 105.0, MIDDLE_MM])
    return grid.box(-reach, reach)


class Chest:
    """The anatomy of one case, to be drawn on any grid."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.patient = patient_of(case)
        rng = case.patient_generator("texture")
        self.marbling = SmoothNoise(rng, 14.0, (112.0,) * 3)
        self.parenchyma = SmoothNoise(rng, 26.0)
        self.lobules = SmoothNoise(rng, 7.0, (56.0,) * 3)
        self.vessels = mediastinum.great_vessels(self.patient)
        self.tree, self.bronchi = self._grow()

    def _grow(self) -> tuple[Tubes, Tubes]:
        """Arteries and veins, and bronchi, of both lungs."""
        rng, patient = self.case.patient_generator("tree"), self.patient
        w, d, h = patient.width, patient.depth, patient.height
        vessels, bronchi = [], []
        for side in (-1, 1):
            artery = (side * 45 * w + patient.sway, (0 if side < 0 else 8) * d, -26 * h)
            vein = (side * 34 * w + patient.sway, 2 * d, -46 * h)
            airway = (side * 49 * w + patient.sway, 26 * d, -44 * h)
            for root, radius, end in ((artery, 6.6, 0.62), (vein, 6.0, 0.62)):
                tree = grow_tree(root, self._targets(rng, side, 2**LEVELS), radius, end)
                vessels.append(bent(tree, rng))
            bronchi.append(bent(grow_tree(airway, self._targets(rng, side, 64), 3.6, 0.8), rng))
        return join(*vessels), join(*bronchi)

    def _targets(self, rng: np.random.Generator, side: int, count: int) -> np.ndarray:
        """Points spread evenly in one lung, (count, 3), (x, y, z) in mm."""
        coarse = Grid((33, 26, 20), (8.0, 8.0, 7.0), (-160.0, -96.0, 8.0 if side > 0 else -141.0))
        space = lung_space(self.patient, coarse)
        margin = -3.0 if count > 100 else -16.0
        inside = np.argwhere(space.distance < margin)
        pick = inside[rng.integers(0, len(inside), count)]
        at = (pick + rng.uniform(-0.5, 0.5, pick.shape)) * coarse.spacing + coarse.origin
        return at[:, ::-1]

    def draw(self, grid: Grid) -> tuple[F32, F32]:
        """Draw the healthy chest.

        Returns:
            HU without noise, and the part of each voxel that is lung (0 to 1), both (z, y, x).
        """
        patient = self.patient
        space = lung_space(patient, grid)
        skin = patient.body_distance(grid)
        hu = chest_wall.draw_trunk(patient, grid, skin, space.cavity, self.marbling)
        chest_wall.draw_ribs(patient, grid, hu, space.cavity)
        chest_wall.draw_shoulders(patient, grid, hu)
        pixel = max(grid.spacing[1], 0.8)
        inside = coverage(space.cavity, pixel)
        paint(hu, inside, mediastinum.FAT)
        box = middle_box(grid)
        middle = grid.box_grid(box)
        near = mediastinum.vessel_distances(middle, self.vessels)
        mediastinum.draw_mediastinum(patient, middle, hu[box], inside[box], space.heart[box], near)
        below = inside * coverage(-space.diaphragm, space.width)
        self._draw_abdomen(grid, hu, below, space)
        chest_wall.draw_spine(patient, grid, hu)
        chest_wall.draw_sternum(patient, grid, hu)
        part = space.part
        part[box] *= 1 - near.sheath(pixel)
        paint(hu, part, self.lung_hu(grid, space.cavity))
        paint(hu, fill_tubes(grid, self.tree), 40.0)
        airways = np.full(grid.shape, 99.0, np.float32)
        airways[box] = near.airways
        mediastinum.draw_airways(grid, hu, airways, self.bronchi)
        return hu, part

    def _draw_abdomen(self, grid: Grid, hu: F32, below: F32, space: LungSpace) -> None:
        top = max(self.patient.dome_mm) + 12
        box = grid.box(np.array([-1e4, -140.0, -175.0]), np.array([top, 140.0, 175.0]))
        local = grid.box_grid(box)
        if 0 not in local.shape:
            abdomen.draw_abdomen(
                self.patient, local, hu[box], below[box], space.diaphragm[box], space.cavity[box]
            )

    def lung_hu(self, grid: Grid, cavity: F32) -> F32:
        """Density of the lung without its vessels: gravity, lobules, fissures; HU, (z, y, x)."""
        patient = self.patient
        _z, y, _x = grid.axes
        depth = np.float32(patient.gravity_hu) * ((y / (88 * patient.depth)) ** 1)
        hu = patient.lung_hu + 0.5 * depth + 9 * self.parenchyma.on(grid)
        if grid.spacing[1] < 2.5:
            hu += 14 * self.lobules.on(grid)
        if patient.dependent_hu:
            lying = np.clip((y - 25 * patient.depth) / (40 * patient.depth), 0, 1)
            hu += (
                patient.dependent_hu * lying * np.exp(np.minimum(cavity, 0) / patient.dependent_mm)
            )
        # Fissures: films of a millimetre, faint in a thick slice.
        for plane, where, flat in fissures(patient, grid):
            width = float(np.hypot(grid.spacing[1], grid.spacing[0] * flat))
            film = np.clip(1 - np.abs(plane) / width, 0, 1) * (1.1 / width) * where
            hu = hu + film * 800
        return hu.astype(np.float32)


def fissures(patient: Patient, grid: Grid) -> list[tuple[F32, F32, float]]:
    """Distance to the major and the minor fissure, where they run, and their normal along z."""
    z, y, x = grid.axes
    h, d = patient.height, patient.depth
    slope = 0.95 * h / d
    norm = np.hypot(1, slope)
    wave = 6 * np.sin(x / 31.0)
    major = ((z + 42 * h - slope * y + wave) / norm).astype(np.float32)
    everywhere = np.ones((1, 1, 1), np.float32)
    minor = (z + 34 * h + 5 * np.cos(x / 40.0) + 0.06 * y).astype(np.float32)
    right_front = ((major > 0) & (x < 0)).astype(np.float32)
    return [(major, everywhere, float(1 / norm)), (minor, right_front, 1.0)]
