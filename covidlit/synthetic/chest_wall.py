"""Skin, fat, muscle and bones of the trunk, and the table under it."""

from __future__ import annotations

import numpy as np

from covidlit.synthetic.grid import F32, Grid
from covidlit.synthetic.patient import Patient
from covidlit.synthetic.texture import SmoothNoise, coverage, paint

AIR, FAT, MUSCLE, CORTEX = -1000.0, -104.0, 52.0, 720.0


def draw_trunk(patient: Patient, grid: Grid, skin: F32, cavity: F32, marbling: SmoothNoise) -> F32:
    """Air, table, skin, fat and muscle: everything but bones and what lies within the chest.

    Args:
        skin: distance to the skin, `Patient.body_distance`.
        cavity: distance to the inside of the chest wall.
        marbling: field that parts muscle from the fat between muscles.

    Returns:
        HU, (z, y, x).
    """
    edge = max(grid.spacing[1], 0.8)
    wave = marbling.on(grid)
    hu = np.full(grid.shape, AIR, np.float32)
    _draw_table(patient, hu, grid)
    body = coverage(skin, edge)
    paint(hu, body, FAT)
    if patient.breast_mm:
        _draw_breasts(patient, grid, hu, wave, edge)
    paint(hu, body * coverage(np.abs(skin + 1.0) - 1.0, edge), 5.0)
    # Fat between the muscles: sheets that follow the surface, and the armpits.
    muscle = skin + np.float32(patient.fat_mm)
    sheets = np.abs(cavity - 16 - 4 * wave) - (0.2 + 1.6 * wave)
    outer = np.abs(skin + np.float32(patient.fat_mm + 12) + 3 * wave) - (0.2 - 1.8 * wave)
    sheets = np.minimum(sheets, outer)
    axilla = _axilla(patient, grid)
    flesh = np.maximum(muscle, -np.minimum(sheets, axilla))
    paint(hu, coverage(flesh, edge) * body, MUSCLE)
    return hu


def _draw_table(patient: Patient, hu: F32, grid: Grid) -> None:
    """A couch of two curved carbon shells with foam between them."""
    _, y, x = grid.axes
    back = (12 + 130 * patient.depth) + 0.7 * (patient.fat_mm - 14) + 3.0
    box = grid.box(np.array([-1e4, back - 60, -215.0]), np.array([1e4, back + 40, 215.0]))
    hu, y, x = hu[box], y[:, box[1]], x[:, :, box[2]]
    shell = y - (back - x**2 / 900.0).astype(np.float32)
    width = np.maximum(np.abs(x) - 205, -1).astype(np.float32)
    for depth in (1.5, 21.0):
        line = np.maximum(np.abs(shell - depth) - 1.2, width)
        hu += coverage(line, max(grid.spacing[1], 1.0)) * np.float32(860)
    foam = np.maximum(np.abs(shell - 11) - 9, width)
    hu += coverage(foam, max(grid.spacing[1], 1.0)) * np.float32(60)


def _draw_breasts(patient: Patient, grid: Grid, hu: F32, wave: F32, edge: float) -> None:
    size = patient.breast_mm
    front = -92 * patient.depth - 0.5 * (patient.fat_mm - 14)
    middle = np.array([-45 * patient.height, front, 0.0])
    reach = np.array([1.3 * size, 0.8 * size, 1e4])
    box = grid.box(middle - reach, middle + reach)
    z, y, x = grid.box_grid(box).axes
    # Lying on the back, breasts flatten and slide to the side.
    out = (np.abs(x) - 82 * patient.width) / (1.25 * size)
    up, forward = (z - middle[0]) / (1.25 * size), (y - front) / (0.72 * size)
    breast = (np.sqrt(out**2 + forward**2 + up**2) - 1) * (0.8 * size)
    breast = breast.astype(np.float32)
    paint(hu[box], coverage(breast, edge), FAT)
    gland = np.where(wave[box] > 0.35, breast + 13, np.float32(9))
    paint(hu[box], coverage(gland, 4.0) * np.float32(0.8), 25.0)


def _axilla(patient: Patient, grid: Grid) -> F32:
    z, y, x = grid.axes
    out = (np.abs(x) - 142 * patient.width) / 26
    back = (y - 2) / 24
    up = (z - 62 * patient.height) / 48
    return (np.sqrt(out**2 + back**2 + up**2) - 1) * np.float32(24)


def bone(hu: F32, distance: F32, marrow: float, edge: float, cortex_mm: float = 1.6) -> None:
    """Paint a bone: a shell of cortex and the marrow within it."""
    paint(hu, coverage(distance, edge), CORTEX)
    paint(hu, coverage(distance + cortex_mm, edge), marrow)


def draw_ribs(patient: Patient, grid: Grid, hu: F32, cavity: F32) -> None:
    """Ribs that run forward and down around the chest, cartilage in front, and the sternum."""
    z, y, x = (np.broadcast_to(axis, grid.shape) for axis in grid.axes)
    wall = (cavity > -2) & (cavity < 15) & (np.abs(z - 0) < 400)
    wall &= (z < 104 * patient.height) & (np.abs(x) < 190)
    s, zz, yy, xx = (a[wall] for a in (cavity, z, y, x))
    values = hu[wall]
    edge = float(max(grid.spacing[1], 0.8))
    thick = float(np.hypot(edge, 0.4 * grid.spacing[0]))
    turn = np.arctan2(np.abs(xx), yy) / np.float32(np.pi)  # 0 at the spine, 1 at the sternum
    spacing = 25.5 * patient.height
    fall = (78 * np.minimum(turn, 0.72) - 60 * np.maximum(turn - 0.72, 0)) * patient.height
    phase = (zz + fall) / spacing
    off = (phase - np.rint(phase)) * spacing
    height = 5.6 - 1.2 * np.abs(turn - 0.5)
    across = np.hypot(off * (4.2 / height), s - 6.2) - np.float32(4.2)
    front = turn > 0.80
    low = zz < -128 * patient.height  # floating ribs end at the side
    along = np.where(turn > 0.955, 4.0, np.where(low & (turn > 0.55), 4.0, -9.0))
    along = np.where(turn < 0.09, 4.0, along)
    rib = np.maximum(across, along).astype(np.float32)
    marrow = np.where(front, 75.0, patient.bone_hu + 20).astype(np.float32)
    hard = np.where(front, 110.0, CORTEX).astype(np.float32)
    values += coverage(rib, thick) * (hard - values)
    values += coverage(rib + 1.5, thick) * (marrow - values)
    hu[wall] = values


def draw_sternum(patient: Patient, grid: Grid, hu: F32) -> None:
    """Manubrium, body and xiphoid, just in front of the chest's inside."""
    height = patient.height
    box = grid.box(
        np.array([-112 * height, -150 * patient.depth, -45.0]),
        np.array([80 * height, 0.0, 45.0]),
    )
    grid, hu = grid.box_grid(box), hu[box]
    if not hu.size:
        return
    z, y, x = grid.axes
    edge = float(max(grid.spacing[1], 0.8))
    front = (patient.cavity_centre(grid) - patient.cavity_half_depth(grid)).astype(np.float32)
    half = np.interp(
        z / height, [-112, -95, -60, 10, 30, 40, 68, 74], [2, 8, 17, 14, 17, 25, 29, 12]
    )
    # At the top the sternum stands farther forward than the tapering chest.
    centre = np.maximum(front, -62 * patient.depth) * 0.25 + 0.75 * front - 7.5
    flat = np.hypot(
        np.maximum(np.abs(x) - (half - 4.5), 0), (y - centre) * np.float32(1.15)
    ) - np.float32(5.4)
    ends = np.maximum(z - 72 * height, -104 * height - z)
    bone(hu, np.maximum(flat, ends).astype(np.float32), patient.bone_hu * 0.75 + 10, edge, 1.3)


def draw_shoulders(patient: Patient, grid: Grid, hu: F32) -> None:
    """Shoulder blades and collar bones."""
    edge, height, w = float(max(grid.spacing[1], 0.8)), patient.height, patient.width
    box = grid.box(np.array([-50 * height, -110.0, -230.0]), np.array([130 * height, 150.0, 230.0]))
    grid, hu = grid.box_grid(box), hu[box]
    if not hu.size:
        return
    z, y, x = grid.axes
    ax = np.abs(x)
    # A plate from near the spine out to the armpit, its plane turned about 35 degrees.
    along = (ax - 112 * w) * 0.80 - (y - 62 * patient.depth) * 0.60
    off = (ax - 112 * w) * 0.60 + (y - 62 * patient.depth) * 0.80
    taper = np.clip((z + 48 * height) / (70 * height), 0, 1)
    thick = 1.6 + 4.0 * np.clip((along - 18) / 26, 0, 1)
    plate = np.maximum(np.abs(off + 0.0025 * along**2) - thick, np.abs(along - 6) - 44 * taper)
    ends = np.maximum(-46 * height - z, z - 96 * height)
    bone(hu, np.maximum(plate, ends).astype(np.float32), patient.bone_hu, edge)
    spine_of_it = np.hypot(along + 4 - 0.5 * (z - 60 * height), (off - 12)) - 5
    bone(hu, np.maximum(spine_of_it, np.abs(z - 72 * height) - 22).astype(np.float32),
         patient.bone_hu, edge)  # fmt: skip
    # Collar bones rise to the sides; the arms are up.
    t = np.clip((ax - 16) / (135 * w), 0, 1)
    cy = -58 * patient.depth + 42 * t - 22 * np.sin(np.pi * t)
    cz = (72 + 46 * t) * height
    collar = np.maximum(np.hypot((y - cy), (z - cz) * 0.85) - 6.0, 18 - ax)
    collar = np.maximum(collar, ax - 150 * w)
    bone(hu, collar.astype(np.float32), patient.bone_hu, edge)


def draw_spine(patient: Patient, grid: Grid, hu: F32) -> None:
    """Vertebrae with canal, arch, transverse and spinous processes, and the discs between."""
    lower = np.array([-1e4, 20 * patient.depth - 40, -52])
    box = grid.box(lower, np.array([1e4, 150.0 * patient.depth + 20, 52]))
    part = hu[box]
    if not part.size:
        return
    z, yy, xx = grid.axes[0], grid.axes[1][:, box[1]], grid.axes[2][:, :, box[2]]
    y = (yy - patient.vertebra_y(grid)).astype(np.float32)
    x = np.broadcast_to(xx, part.shape)
    edge, size = float(max(grid.spacing[1], 0.8)), patient.width
    spacing = 24.5 * patient.height
    phase = z / spacing
    off = ((phase - np.floor(phase)) - 0.5) * spacing  # 0 in the middle of a vertebra
    half = (18.0 - 0.02 * z) * size
    body = np.hypot(x / half, np.where(y > 0, y / 13.5, y / 15.5) / size) - 1
    body = body * np.float32(14)
    disc = np.abs(off) - (spacing / 2 - 2.2)
    # Muscle of the back beside the arches, then the bones.
    paint(part, coverage((body - 1.2), edge) * coverage(-disc, 3.0), 85.0)
    bone(part, np.maximum(body, disc).astype(np.float32), patient.bone_hu, edge)
    ring = np.hypot(x, (y - 23 * size) * 0.95)
    pedicle = np.maximum(np.abs(np.abs(x) - 11.5 * size) - 3.6, np.abs(y - 15 * size) - 8)
    pedicle = np.maximum(pedicle, np.abs(off - 3) - 6)
    arch = np.maximum(ring - 14.5 * size, -(ring - 9.2 * size))
    arch = np.maximum(arch, 14 * size - y)
    process = np.maximum(np.abs(x) - 2.6, np.abs(y - 48 * size) - 17 * size)
    process = np.maximum(process, np.abs(off + 0.28 * (y - 34)) - 7.5)
    wing = np.hypot(y - 21 * size - 0.38 * np.abs(x), (off - 2) * 0.8) - 5.0
    wing = np.maximum(wing, np.abs(np.abs(x) - 22 * size) - 12 * size)
    for shape in (arch, process, wing, pedicle):
        bone(part, np.broadcast_to(shape, part.shape).astype(np.float32), patient.bone_hu, edge)
    paint(part, coverage((ring - 8.6 * size).astype(np.float32), edge), 18.0)
    paint(part, coverage((ring - 5.2 * size).astype(np.float32), edge), 38.0)
    hu[box] = part
