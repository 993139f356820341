"""Heart, great vessels, gullet, windpipe and main bronchi, in the fat between the lungs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from covidlit.synthetic.grid import F32, Grid
from covidlit.synthetic.patient import Patient
from covidlit.synthetic.texture import coverage, paint
from covidlit.synthetic.tubes import Tubes, capsule_distance, fill_tubes, join, polyline

FAT, BLOOD, WALL = -98.0, 42.0, 36.0


@dataclass(frozen=True)
class GreatVessels:
    """Tubes of the mediastinum; mm."""

    aorta: Tubes
    others: Tubes
    gullet: Tubes
    airways: Tubes


def great_vessels(patient: Patient) -> GreatVessels:
    """Where the great vessels and airways of a patient run."""
    w, d, h, sway = patient.width, patient.depth, patient.height, patient.sway

    def line(points: list[tuple[float, float, float]], radii: list[float] | float) -> Tubes:
        placed = [(x * w + sway, y * d, z * h) for x, y, z in points]
        return polyline(placed, np.asarray(radii) * w)  # type: ignore[arg-type]

    aorta = line(
        [(8, -18, -62), (-10, -34, -30), (-17, -38, 2), (-10, -30, 24), (6, -12, 33),
         (21, 12, 27), (26, 30, 6), (25, 37, -30), (20, 36, -80), (12, 31, -130), (6, 22, -200)],
        [14, 16, 15.5, 15, 14, 13, 12.5, 12.2, 12, 11.5, 11],
    )  # fmt: skip
    others = join(
        line([(24, -52, -52), (26, -42, -26), (20, -22, -16)], [14, 13.5, 12.5]),  # trunk
        line([(20, -22, -17), (2, -12, -20), (-22, -8, -22), (-44, -2, -30)], [11.5, 11, 10, 8]),
        line([(20, -22, -16), (36, -4, -10), (48, 10, -20)], [11.5, 10.5, 8]),
        line([(-32, -26, 48), (-33, -24, 10), (-32, -24, -42)], [8.5, 9.5, 10]),  # superior cava
        line([(-32, -26, 48), (-34, -22, 80), (-42, -18, 112)], [7, 6.5, 5]),
        line([(-30, -28, 46), (-2, -36, 54), (24, -28, 74), (38, -18, 108)], [6.5, 6.5, 6, 5]),
        line([(-6, -24, 34), (-13, -14, 60), (-22, -8, 98), (-24, -6, 130)], [6, 5.5, 5, 4]),
        line([(5, -14, 38), (15, -6, 66), (20, -4, 128)], [4.6, 4.2, 4]),
        line([(17, 4, 36), (26, 12, 66), (34, 12, 100), (58, 2, 116)], [5, 4.6, 4.5, 4.2]),
        line([(-8, 44, 20), (-8, 43, -60), (-6, 38, -150)], [2.8, 3.0, 3.0]),  # azygos
        line([(-8, 44, 20), (-22, 24, 18), (-32, -14, 12)], [3.2, 3.4, 3.6]),
        line([(-26, -8, -84), (-28, -2, -120), (-22, 8, -190)], [11, 12, 11]),  # inferior cava
    )
    gullet = line(
        [(2, 30, 130), (6, 33, 60), (6, 33, 0), (5, 33, -50), (9, 26, -100), (18, 10, -140)], 6.5
    )
    a = patient.airway / w
    airways = join(
        line([(-1, 8, 132), (-3, 12, 70), (-2, 18, 20), (0, 20, 2)], [8.4 * a, 8.6 * a] * 2),
        line([(0, 20, 2), (-18, 20, -13), (-34, 20, -25)], [7.6 * a, 6.8 * a, 6.2 * a]),
        line([(-34, 20, -25), (-42, 24, -45), (-48, 32, -66)], [5.4 * a, 4.8 * a, 3.4 * a]),
        line([(-27, 20, -19), (-46, 18, -12), (-62, 16, -4)], [4.4 * a, 3.8 * a, 2.6 * a]),
        line([(0, 20, 2), (24, 22, -18), (44, 24, -33)], [6.6 * a, 5.8 * a, 5.2 * a]),
        line([(40, 24, -30), (54, 8, -30), (66, -2, -24)], [4.2 * a, 3.4 * a, 2.4 * a]),
        line([(44, 24, -33), (50, 32, -52), (56, 38, -70)], [4.8 * a, 4.0 * a, 2.8 * a]),
    )
    return GreatVessels(aorta, others, gullet, airways)


def heart_distance(patient: Patient, grid: Grid) -> F32:
    """Distance to the pericardium, negative within: an egg that points to the left and front."""
    z, y, x = grid.axes
    size = patient.heart
    dx = (x - 16 * patient.width - patient.sway) / size
    dy = (y + 30 * patient.depth) / size
    dz = (z + 66 * patient.height) / size
    long = 0.80 * dx - 0.38 * dy - 0.46 * dz
    wide = 0.45 * dx + 0.89 * dy + 0.05 * dz
    high = 0.40 * dx - 0.25 * dy + 0.88 * dz
    bulge = 1 + 0.0022 * np.clip(long, -50, 50)
    r = np.sqrt((long / 64) ** 2 + (wide * bulge / 48) ** 2 + (high * bulge / 50) ** 2)
    return (r - 1) * np.float32(50 * size)


def mediastinum_distance(patient: Patient, grid: Grid, heart: F32) -> F32:
    """Distance to the pleura that covers the mediastinum, negative within."""
    z, y, x = grid.axes
    h, w, d = patient.height, patient.width, patient.depth
    zz = z / h
    vertebra = patient.vertebra_y(grid).astype(np.float32)
    side = x - patient.sway

    def ellipse(cx: F32 | float, cy: F32 | float, a: F32 | float, b: F32 | float) -> F32:
        r = np.hypot((side - cx) / a, (y - cy) / b)
        return ((r - 1) * np.minimum(a, b)).astype(np.float32)

    def at(*pairs: tuple[float, float]) -> F32:
        heights, values = zip(*pairs, strict=True)
        return np.interp(zz, heights, values).astype(np.float32)

    spine = ellipse(0, vertebra + 4, 25 * w, 25 * w)
    middle = ellipse(
        at((-80, 4), (0, -2), (30, 2), (110, 0)),
        at((-100, -10), (-20, -6), (40, -4), (100, 2)) * d,
        at((-190, 30), (-90, 34), (-40, 40), (-22, 44), (0, 38), (25, 38), (60, 37), (90, 46),
           (130, 70)) * w,
        at((-190, 60), (-60, 46), (0, 44), (40, 40), (100, 46), (130, 60)) * d,
    )  # fmt: skip
    front = patient.cavity_centre(grid) - patient.cavity_half_depth(grid)
    anterior = ellipse(
        at((-60, 10), (20, 0)), front.astype(np.float32) + 4,
        at((-190, 46), (-60, 36), (-20, 11), (30, 9), (60, 26), (90, 50)) * w, 40 * d,
    )  # fmt: skip
    gutter = ellipse(at((-60, 22), (0, 24), (25, 20)), vertebra - 21 * d,
                     at((-190, 15), (30, 16), (40, 6)), 17 * d)  # fmt: skip
    knuckle = ellipse(20, 6 * d, at((-5, 2), (10, 19), (36, 19), (46, 2)), 26 * d)
    out = np.minimum(np.minimum(spine, middle), np.minimum(anterior, gutter))
    return np.minimum(np.minimum(out, knuckle), heart - 6.0)


@dataclass(frozen=True)
class VesselDistances:
    """Distances to the tubes of the mediastinum on a grid, mm, known near them."""

    aorta: F32
    others: F32
    gullet: F32
    airways: F32

    def sheath(self, edge: float) -> F32:
        """Coverage of vessels and airways with the fat around them: no lung there."""
        nearest = np.minimum(np.minimum(self.aorta, self.others), self.airways)
        return coverage(nearest - 2.3, edge)


def vessel_distances(grid: Grid, vessels: GreatVessels) -> VesselDistances:
    """Distances to the great vessels and airways on a grid."""
    reach = max(grid.spacing[1], 0.8) + 3.0
    names = ("aorta", "others", "gullet", "airways")
    return VesselDistances(
        **{name: capsule_distance(grid, getattr(vessels, name), reach) for name in names}
    )


def draw_mediastinum(
    patient: Patient, grid: Grid, hu: F32, inside: F32, heart: F32, vessels: VesselDistances
) -> None:
    """Draw heart, vessels and gullet into the fat of the mediastinum, in place.

    Args:
        inside: coverage of the chest's inside.
    """
    edge = max(grid.spacing[1], 0.8)
    paint(hu, inside * coverage(heart + 1.5, edge), BLOOD)
    # The grooves between the chambers hold fat; their muscle is a little denser than blood.
    z, y, x = grid.axes
    groove = np.abs(0.75 * (x - 16) - 0.35 * (y + 30) - 0.2 * (z + 66) + 16)
    rim = np.maximum(groove - 5.0, np.maximum(heart, -heart - 13))
    paint(hu, inside * coverage(rim, max(edge, 3.0)) * 0.8, FAT)
    paint(hu, coverage(vessels.others, edge), BLOOD - 2)
    paint(hu, coverage(vessels.aorta, edge), BLOOD)
    paint(hu, coverage(vessels.gullet, edge), 30.0)


def draw_airways(grid: Grid, hu: F32, airways: F32, bronchi: Tubes) -> None:
    """Walls and lumen of trachea, main bronchi and the bronchi in the lung, in place.

    Args:
        airways: distance to the lumen of trachea and main bronchi.
        bronchi: of the lungs.
    """
    edge = max(grid.spacing[1], 0.8)
    lumen = np.maximum(coverage(airways, edge), fill_tubes(grid, bronchi))
    wall = np.clip(0.07 * bronchi.radius.mean(axis=1, keepdims=True) + 0.5, 0.5, 1.2)
    outer = Tubes(bronchi.start, bronchi.end, bronchi.radius + wall)
    ring = np.maximum(coverage(airways - 1.3, edge), fill_tubes(grid, outer))
    paint(hu, np.clip(ring - lumen, 0, 1), WALL)
    paint(hu, lumen, -1000.0)
