"""Factors of shapes whose truth is known: balls, ellipsoids and shells on any voxels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.spatial.transform import Rotation

from covidlit.lesions import Factors, LesionLabels, quantify_labels, spread
from covidlit.lesions.sections import volume_by_sections
from covidlit.scans.scan import Scan

FINE, THICK = (1.0, 0.7, 0.7), (5.0, 0.7, 0.7)
LUNG_HU, LESION_HU = -850, -350
HALF = np.array([60.0, 60.0, 60.0])
"""Half-sizes of the volume in mm; the lung is a ball of 50 mm about its middle."""
LUNG_MM = 50.0


def points(spacing: tuple[float, float, float]) -> np.ndarray:
    """mm (z, y, x) from the middle of the volume, (z, y, x, 3)."""
    axes = [np.arange(-half, half + 1e-9, step) for half, step in zip(HALF, spacing, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def affine_of(spacing: tuple[float, float, float]) -> np.ndarray:
    out = np.zeros((4, 4))
    out[[2, 1, 0], [0, 1, 2]] = spacing
    out[:3, 3] = -HALF[::-1]
    out[3, 3] = 1
    return out


def ellipsoid(
    at: np.ndarray, radii: tuple[float, float, float], centre: np.ndarray, turn: Rotation
) -> np.ndarray:
    """Below 1 inside: the distance from the centre over the radius in that direction."""
    return np.linalg.norm(turn.apply((at - centre).reshape(-1, 3)) / radii, axis=1).reshape(
        at.shape[:3]
    )


def measured(
    inside: np.ndarray, spacing: tuple[float, float, float], hu: np.ndarray | None = None
) -> Factors:
    at = points(spacing)
    classes = (np.linalg.norm(at, axis=-1) < LUNG_MM).astype(np.uint8)
    inside = inside & (classes == 1)
    classes[inside] = 3
    if hu is None:
        hu = np.where(inside, LESION_HU, LUNG_HU)
    labels = LesionLabels(classes, inside.astype(np.int32), affine_of(spacing))
    return quantify_labels(Scan(hu.astype(np.int16), affine_of(spacing), "1.2.3"), labels)


def sphericity_of(radii: tuple[float, float, float]) -> float:
    """Of an ellipsoid of revolution (a, b, b), by its surface integral."""
    a, b, _ = radii

    def ring(t: float) -> float:
        return 2 * np.pi * b * np.sin(t) * np.hypot(a * np.sin(t), b * np.cos(t))

    volume = 4 / 3 * np.pi * a * b * b
    return float((36 * np.pi * volume**2) ** (1 / 3) / quad(ring, 0, np.pi)[0])


SHAPES = [(10.0, 10.0, 10.0), (20.0, 12.0, 12.0), (24.0, 12.0, 12.0)]
TURNS = [(0, 0, 0), (90, 0, 0), (25, 40, 10), (0, 50, 70)]
VOLUME = {FINE: (0.02, 0.02), THICK: (0.07, 0.025)}
"""Bounds on the volume: of a smallest radius of 10 mm, of more. Where four slices of 5 mm are all
that shows a ball, no count of voxels is better; of smooth bodies, areas of sections are."""

SHIFTS = [(0, 0, 0), (2.2, -0.35, 0.1)]


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("radii", SHAPES)
@pytest.mark.parametrize("spacing", [FINE, THICK])
def test_ellipsoids(
    spacing: tuple[float, float, float],
    radii: tuple[float, float, float],
    turn: tuple[float, float, float],
    shift: tuple[float, float, float],
) -> None:
    if len(set(radii)) == 1 and turn != (0, 0, 0):
        pytest.skip("a ball looks the same turned")
    rotation = Rotation.from_euler("zyx", turn, degrees=True)
    inside = ellipsoid(points(spacing), radii, np.array(shift), rotation) < 1
    factors = measured(inside, spacing)
    row = factors.lesions.iloc[0]
    volume = 4 / 3 * np.pi * np.prod(radii) / 1000
    assert row["volume_ml"] == pytest.approx(volume, rel=VOLUME[spacing][min(radii) > 10])
    longest = 2 * max(radii)
    # Within a voxel, of which the long axis decides which way it is crossed.
    axis = rotation.inv().apply([1, 0, 0]) if len(set(radii)) > 1 else np.array([1.0, 0, 0])
    voxel = max(np.abs(axis) @ spacing, max(spacing[1:]))
    assert row["max_diameter_3d_mm"] == pytest.approx(longest, abs=voxel)
    form = sphericity_of(radii)
    assert row["form"] == pytest.approx(form, rel=0.03 if spacing == FINE else 0.05)
    assert row["mean_density_hu"] == LESION_HU
    assert row["density_sd_hu"] == 0
    assert row["max_diameter_2d_mm"] <= row["max_diameter_3d_mm"] + 1e-9


@pytest.mark.parametrize("spacing", [FINE, THICK])
def test_the_diameter_in_a_slice_is_that_of_the_largest_section(
    spacing: tuple[float, float, float],
) -> None:
    at, straight = points(spacing), Rotation.identity()
    row = measured(ellipsoid(at, (12, 20, 12), np.zeros(3), straight) < 1, spacing).lesions.iloc[0]
    assert row["max_diameter_2d_mm"] == pytest.approx(40, abs=0.7)
    upright = measured(ellipsoid(at, (20, 12, 12), np.zeros(3), Rotation.identity()) < 1, spacing)
    assert upright.lesions.iloc[0]["max_diameter_2d_mm"] == pytest.approx(24, abs=0.7)
    assert upright.lesions.iloc[0]["max_diameter_3d_mm"] == pytest.approx(40, abs=spacing[0])


@pytest.mark.parametrize("spacing", [FINE, THICK])
def test_shells_are_measured_without_what_they_enclose(
    spacing: tuple[float, float, float],
) -> None:
    distance = np.linalg.norm(points(spacing) - [0.4, 0.2, 0.3], axis=-1)
    row = measured((distance < 20) & (distance > 14), spacing).lesions.iloc[0]
    assert row["volume_ml"] == pytest.approx(4 / 3 * np.pi * (20**3 - 14**3) / 1000, rel=0.02)
    assert row["max_diameter_3d_mm"] == pytest.approx(40, abs=spacing[0])
    assert row["form"] < 0.8  # both surfaces count


@pytest.mark.parametrize("depth", [0.0, 0.9, 3.0, 12.0, 25.0])
@pytest.mark.parametrize("turn", [(0, 0, 0), (35, 20, 60), (0, 90, 0)])
@pytest.mark.parametrize("spacing", [FINE, THICK])
def test_the_distance_to_the_pleura(
    spacing: tuple[float, float, float], turn: tuple[float, float, float], depth: float
) -> None:
    direction = Rotation.from_euler("zyx", turn, degrees=True).apply([0, 0.0, 1.0])
    centre = direction * (LUNG_MM - 10 - depth)
    distance = np.linalg.norm(points(spacing) - centre, axis=-1)
    row = measured(distance < 10, spacing).lesions.iloc[0]
    # Both surfaces lie up to half a voxel off in the direction they face.
    bound = float(np.abs(direction) @ spacing) + 0.4
    assert row["pleural_distance_mm"] == pytest.approx(depth, abs=bound)
    if depth == 0:
        assert row["pleural_distance_mm"] <= bound


@pytest.mark.parametrize("slope", [20.0, 60.0])
@pytest.mark.parametrize(("spacing", "bound"), [(FINE, 0.03), (THICK, 0.1)])
def test_the_edge_of_a_ramp_is_its_slope(
    spacing: tuple[float, float, float], bound: float, slope: float
) -> None:
    distance = np.linalg.norm(points(spacing) - [0.3, 0.1, 0.2], axis=-1)
    hu = np.clip(-600 + slope * (18 - distance), LUNG_HU, LESION_HU)
    wide = (LESION_HU - LUNG_HU) / slope / 2
    factors = measured(distance < 18, spacing, hu)
    assert wide > 3
    assert factors.scan["edge_clarity_hu_per_mm"] == pytest.approx(slope, rel=bound)


@pytest.mark.parametrize(("spacing", "bound"), [(FINE, 0.15), (THICK, 0.3)])
def test_a_step_gives_what_its_definition_says(
    spacing: tuple[float, float, float], bound: float
) -> None:
    distance = np.linalg.norm(points(spacing) - [0.3, 0.1, 0.2], axis=-1)
    clarity = measured(distance < 18, spacing).scan["edge_clarity_hu_per_mm"]
    assert clarity == pytest.approx(3 * (LESION_HU - LUNG_HU) / (4 * 3.0), rel=bound)


@pytest.mark.parametrize("shift", [*SHIFTS, (-1.3, 0.2, 0.3), (0.9, 0.1, -0.2)])
@pytest.mark.parametrize("radii", [*SHAPES, (20.0, 14.0)])
@pytest.mark.parametrize("spacing", [FINE, THICK])
def test_the_areas_of_sections_give_smooth_volumes_within_2_percent(
    spacing: tuple[float, float, float], radii: tuple[float, ...], shift: tuple[float, float, float]
) -> None:
    at, turn = points(spacing), Rotation.from_euler("zyx", (25, 40, 10), degrees=True)
    if len(radii) == 2:
        away = np.linalg.norm(at - shift, axis=-1)
        inside = (away < radii[0]) & (away > radii[1])
        volume = 4 / 3 * np.pi * (radii[0] ** 3 - radii[1] ** 3) / 1000
    else:
        inside = ellipsoid(at, radii, np.array(shift), turn) < 1
        volume = 4 / 3 * np.pi * np.prod(radii) / 1000
    affine = affine_of(spacing)
    labels = LesionLabels(inside.astype(np.uint8) * 3, inside.astype(np.int32), affine)
    table = spread(Scan(np.full(inside.shape, -350, np.int16), affine, "1.2.3"), labels)
    found = table.set_index("definition").loc["areas of sections, parabolas between and beyond"]
    assert found["value"] == pytest.approx(volume, rel=0.02)


def test_a_flat_end_is_counted_by_sections() -> None:
    box = np.ones((6, 8, 9), bool)
    assert volume_by_sections(box) == pytest.approx(box.sum())
    widening = np.zeros((6, 40, 40), bool)
    for k, part in enumerate(widening):
        part[: 30 + k, :30] = True
    assert volume_by_sections(widening) == pytest.approx(widening.sum(), rel=0.01)


def test_noise_hardly_moves_the_edge() -> None:
    distance = np.linalg.norm(points(FINE), axis=-1)
    hu = np.clip(-600 + 30 * (18 - distance), LUNG_HU, LESION_HU)
    quiet = measured(distance < 18, FINE, hu).scan["edge_clarity_hu_per_mm"]
    hu = hu + np.random.default_rng(0).normal(0, 40, hu.shape)
    noisy = measured(distance < 18, FINE, hu).scan["edge_clarity_hu_per_mm"]
    assert noisy == pytest.approx(quiet, rel=0.03)


@pytest.mark.parametrize("radii", [(14.0, 14.0, 14.0), (20.0, 12.0, 12.0)])
@pytest.mark.parametrize("turn", TURNS)
def test_both_spacings_give_alike_factors(
    radii: tuple[float, float, float], turn: tuple[float, float, float]
) -> None:
    rotation = Rotation.from_euler("zyx", turn, degrees=True)
    one, other = (
        measured(
            ellipsoid(points(s), radii, np.array([0.4, 0.2, 0.3]), rotation) < 1, s
        ).lesions.iloc[0]
        for s in (FINE, THICK)
    )
    assert other["volume_ml"] == pytest.approx(one["volume_ml"], rel=0.03)
    assert other["max_diameter_3d_mm"] == pytest.approx(one["max_diameter_3d_mm"], abs=5)
    assert other["max_diameter_2d_mm"] == pytest.approx(one["max_diameter_2d_mm"], abs=1.4)
    assert other["form"] == pytest.approx(one["form"], abs=0.04)
    assert other["pleural_distance_mm"] == pytest.approx(one["pleural_distance_mm"], abs=5)
    assert other["edge_clarity_hu_per_mm"] == pytest.approx(one["edge_clarity_hu_per_mm"], rel=0.3)
