"""Draw planned lesions into a chest, with their labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from covidlit.synthetic.grid import F32, Grid
from covidlit.synthetic.lesion_plan import Label, Lesion, LungPoints, plan_lesions
from covidlit.synthetic.texture import SmoothNoise, paint
from covidlit.synthetic.thorax import Chest, fissures, lung_space
from covidlit.synthetic.tubes import fill_tubes


def lung_points(chest: Chest) -> LungPoints:
    """Points in the lungs of a patient on a grid of 6 mm."""
    coarse = Grid((44, 34, 49), (6.0, 6.0, 6.0), (-165.0, -98.0, -144.0))
    space = lung_space(chest.patient, coarse)
    inside = space.distance < -2
    at = np.argwhere(inside) * coarse.spacing + coarse.origin
    major = np.broadcast_to(fissures(chest.patient, coarse)[0][0], coarse.shape)[inside]
    return LungPoints(
        at[:, ::-1].astype(float),
        -space.cavity[inside].astype(float),
        -space.diaphragm[inside].astype(float),
        major < 0,
    )


def draw_lesions(chest: Chest, grid: Grid, hu: F32, lung: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Draw the lesions of a case, in place.

    Each lesion takes the voxels of the lung where its field is lowest, as many as its volume
    says: so volumes are what was planned, whatever the shape.

    Args:
        chest: the case's anatomy.
        grid: of the whole scan.
        hu: HU without noise, changed.
        lung: voxels that are lung.

    Returns:
        Classes (contract 7), uint8, (z, y, x).
    """
    classes = lung.astype(np.uint8)
    lesions = plan_lesions(chest.case, lung_points(chest))
    rng = chest.case.patient_generator("lesion shapes")
    border, lines = SmoothNoise(rng, 16.0, (96.0,) * 3), SmoothNoise(rng, 6.5, (52.0,) * 3)
    for lesion in lesions:
        box = _box(lesion, grid)
        local = grid.box_grid(box)
        if 0 in local.shape:
            continue
        field = _field(chest, lesion, local)
        field += np.float32(lesion.rough) * border.on(local)
        free = classes[box] == Label.LUNG
        wanted = max(1, round(lesion.volume_ml / grid.voxel_ml))
        candidates = field[free]
        if not candidates.size:
            continue
        wanted = min(wanted, candidates.size)
        level = np.partition(candidates, wanted - 1)[wanted - 1]
        inside = free & (field <= level)
        # A soft border of a few mm, in the lung only; other lesions keep their own density.
        radius = _radius(lesion)
        softness = np.float32((1.5 if lesion.label in _SHARP else 3.5) / radius + 0.02)
        part = np.clip(0.5 + (level - field) / (2 * softness), 0, 1) * free
        _fill(chest, lesion, local, hu[box], part.astype(np.float32), lines)
        classes[box][inside] = lesion.label
    return classes


_SHARP = (Label.CONSOLIDATION, Label.EFFUSION)


def _radius(lesion: Lesion) -> float:
    return float((lesion.volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3)) + 2.0


def _box(lesion: Lesion, grid: Grid) -> tuple[slice, slice, slice]:
    reach = {"pleural": 2.6, "patch": 2.1, "segment": 2.8, "basal": 4.0, "dependent": 5.5}
    half = reach[lesion.shape] * _radius(lesion) + 14
    centre = np.array(lesion.centre)[::-1]
    return grid.box(centre - half, centre + half)


def _field(chest: Chest, lesion: Lesion, grid: Grid) -> F32:
    """A field that is low within the lesion; about 1 where a sphere of its volume would end."""
    z, y, x = grid.axes
    cx, cy, cz = lesion.centre
    radius = np.float32(_radius(lesion))
    patient = chest.patient
    ball = np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) / radius
    if lesion.shape == "patch":
        return ball
    if lesion.shape in ("pleural", "basal"):
        depth = -patient.cavity_distance(grid)
        if lesion.shape == "basal":
            depth = np.minimum(depth, -patient.diaphragm_distance(grid)[0])
        flat = np.float32(2.6 if lesion.shape == "basal" else 0.4)
        return np.hypot(
            np.float32(0.75 if lesion.shape == "basal" else 0.92) * ball,
            flat * np.maximum(depth, 0) / radius,
        )
    if lesion.shape == "dependent":
        # Fluid: the lowest parts of the pleural space, a little up along the wall.
        wall = -patient.cavity_distance(grid)
        level = (cy - y) + 0.45 * np.maximum(z - cz, 0)
        same_side = np.where(np.sign(x) == np.sign(cx), 0, 1e3)
        return ((level + 0.8 * wall) / radius + same_side).astype(np.float32)
    # A wedge that points to the hilum and keeps to its lobe.
    side = np.sign(cx)
    hilum = np.array([side * 42 * patient.width, 8 * patient.depth, -28 * patient.height])
    axis = np.array(lesion.centre) - hilum
    length = max(float(np.linalg.norm(axis)), 20.0)
    ux, uy, uz = axis / length
    px, py, pz = x - hilum[0], y - hilum[1], z - hilum[2]
    along = px * ux + py * uy + pz * uz
    across = np.sqrt(np.maximum(px**2 + py**2 + pz**2 - along**2, 0))
    wide = across / np.clip(along / length, 0.25, 1.5) / radius
    near = np.maximum(0.72 * length - along, 0) / (0.5 * radius)
    far = np.maximum(along - length, 0) / (2.2 * radius)
    field = np.sqrt(wide**2 + near**2 + far**2)
    major = fissures(patient, grid)[0][0]
    own = np.sign(fissures(patient, _point(lesion))[0][0]).item()
    return (field + 1.2 * (np.sign(major) != own) + 9 * (np.sign(x) != side)).astype(np.float32)


def _point(lesion: Lesion) -> Grid:
    x, y, z = lesion.centre
    return Grid((1, 1, 1), (1.0, 1.0, 1.0), (z, y, x))


def _fill(chest: Chest, lesion: Lesion, grid: Grid, hu: F32, part: F32, lines: SmoothNoise) -> None:
    """Change the density where a lesion lies, in place.

    Args:
        part: how much of each voxel the lesion takes, 0 to 1.
    """
    if lesion.label == Label.EFFUSION:
        paint(hu, part, np.float32(lesion.density_hu))
        return
    if lesion.label == Label.CONSOLIDATION:
        # Bronchi stay open: air bronchograms.
        open_part = fill_tubes(grid, chest.bronchi)
        paint(hu, part * (1 - 0.9 * open_part), np.float32(lesion.density_hu))
        return
    # What is left of the air in a voxel limits what a haze can add.
    airy = np.clip(-hu / 750, 0, 1)
    if lesion.label == Label.GROUND_GLASS:
        hu += part * airy * np.float32(lesion.density_hu)
        return
    mesh = np.clip(1.4 - 2.6 * np.abs(lines.on(grid)), 0, 1)
    if lesion.label == Label.INTERSTITIAL:
        hu += part * airy * (np.float32(lesion.density_hu) + 330 * mesh)
        return
    # Fibrosis: coarse lines with cysts of air between.
    cyst = np.clip(lines.on(grid) - 0.9, 0, 1)
    hu += part * airy * (np.float32(lesion.density_hu) + 420 * mesh - 300 * cyst)
