"""What a synthetic scan shows: organs where they belong, lesions where their disease puts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage

from covidlit.synthetic import plan_cohort
from covidlit.synthetic.cases import Case
from covidlit.synthetic.grid import Grid, grid_of
from covidlit.synthetic.lesion_plan import Label, Lesion, plan_lesions
from covidlit.synthetic.lesions import lung_points
from covidlit.synthetic.noise import scanner_noise
from covidlit.synthetic.render import Rendered, render
from covidlit.synthetic.thorax import Chest
from covidlit.synthetic.tubes import Tubes, capsule_distance, fill_tubes


def case_of(aetiology: str, number: int = 0) -> Case:
    own = [case for case in plan_cohort("mild", 300, 0) if case.aetiology == aetiology]
    return own[number]


@pytest.fixture(scope="module")
def healthy() -> tuple[Case, Grid, Rendered]:
    case = case_of("healthy")
    grid = grid_of(case, 96, 5.0)
    return case, grid, render(case, grid)


def test_tissues_have_their_density(healthy: tuple[Case, Grid, Rendered]) -> None:
    case, grid, drawn = healthy
    patient = Chest(case).patient

    def at(x: float, y: float, z: float, radius: float = 5.0) -> float:
        centre = np.array([z, y, x])
        return float(np.median(drawn.hu[grid.box(centre - radius, centre + radius)]))

    w, d, h, sway = patient.width, patient.depth, patient.height, patient.sway
    assert at(-3 * w + sway, 12 * d, 70 * h, 4) < -850  # trachea
    assert 20 < at(16 * w + sway, -30 * d, -66 * h) < 65  # heart: blood
    assert 45 < at(-70 * w, 0, -160 * h) < 70  # liver
    assert at(0, 58 * d, -60 * h, 9) > 90  # vertebra
    assert -930 < at(-75 * w, -20, -20) < -720  # lung
    assert drawn.hu[:, 0, 0].max() < -900  # air in the corner
    assert (drawn.hu > 350).sum() * grid.voxel_ml > 100  # bone
    fat = ((drawn.hu > -130) & (drawn.hu < -75)).sum() * grid.voxel_ml
    assert fat > 800
    lung = drawn.classes == Label.LUNG
    assert 2000 < lung.sum() * grid.voxel_ml < 7000
    _, pieces = scipy.ndimage.label(lung)
    sizes = np.sort(np.bincount(scipy.ndimage.label(lung)[0].ravel())[1:])
    assert sizes[-2:].sum() > 0.97 * lung.sum(), pieces  # two lungs, apart or not


def test_the_back_of_the_lung_is_denser(healthy: tuple[Case, Grid, Rendered]) -> None:
    _, grid, drawn = healthy
    inner = scipy.ndimage.binary_erosion(drawn.classes == Label.LUNG, iterations=2)
    y = np.broadcast_to(grid.axes[1], inner.shape)
    values, height = drawn.hu[inner].astype(float), y[inner]
    front, back = np.percentile(height, [25, 75])
    assert np.median(values[height > back]) > np.median(values[height < front]) + 10


def test_vessels_taper_towards_the_pleura() -> None:
    chest = Chest(case_of("healthy"))
    ends = chest.tree.end
    outermost = np.argsort(np.abs(ends[:, 0]))[-300:]
    assert chest.tree.radius[outermost].mean() < 0.35 * chest.tree.radius.max()


def test_a_thin_tube_weighs_what_it_should() -> None:
    grid = Grid((20, 40, 40), (5.0, 3.0, 3.0), (0.0, 0.0, 0.0))
    tube = Tubes(np.array([[20.0, 30, 20]]), np.array([[90.0, 80, 70]]), np.array([[0.8, 0.8]]))
    length = np.linalg.norm(tube.end - tube.start)
    volume = fill_tubes(grid, tube).sum() * grid.voxel_ml * 1000
    assert volume == pytest.approx(np.pi * 0.8**2 * length, rel=1e-3)


def test_distance_to_a_capsule_against_geometry() -> None:
    grid = Grid((11, 11, 11), (2.0, 2.0, 2.0), (-10.0, -10.0, -10.0))
    tube = Tubes(np.array([[-4.0, 0, 0]]), np.array([[4.0, 0, 0]]), np.array([[3.0, 3.0]]))
    z, y, x = np.meshgrid(*(axis.ravel() for axis in grid.flat_axes), indexing="ij")
    expected = np.sqrt(np.maximum(np.abs(x) - 4, 0) ** 2 + y**2 + z**2) - 3
    distance = capsule_distance(grid, tube, 50.0)
    np.testing.assert_allclose(distance, expected, atol=1e-4)


def test_noise_follows_dose_thickness_and_kernel() -> None:
    case = replace(case_of("healthy"), mas=150)
    sizes = {
        name: Grid((8, 128, 128), (thickness, pixel, pixel), (0.0, 0.0, 0.0))
        for name, thickness, pixel in (("thick", 5.0, 0.7), ("thin", 1.25, 0.7), ("wide", 5.0, 2.8))
    }
    level = {name: scanner_noise(case, g, slice(0, 8)).std() for name, g in sizes.items()}
    assert level["thick"] == pytest.approx(case.scanner.noise_hu, rel=0.03)
    assert level["thin"] == pytest.approx(2 * level["thick"], rel=0.03)
    assert level["wide"] < 0.6 * level["thick"]
    low = scanner_noise(replace(case, mas=600), sizes["thick"], slice(0, 8)).std()
    assert low == pytest.approx(level["thick"] / 2, rel=0.03)
    noise = scanner_noise(case, sizes["thick"], slice(0, 8))
    neighbours = np.corrcoef(noise[:, :, 1:].ravel(), noise[:, :, :-1].ravel())[0, 1]
    between_slices = np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]
    assert neighbours > 0.25
    assert abs(between_slices) < 0.05


@pytest.fixture(scope="module")
def plans() -> Callable[[str], list[tuple[Case, list[Lesion]]]]:
    """The planned lesions of the first 30 cases of an aetiology."""
    cases = plan_cohort("mild", 600, 0)
    points: dict[int, object] = {}

    def of(aetiology: str) -> list[tuple[Case, list[Lesion]]]:
        chosen = [case for case in cases if case.aetiology == aetiology][:30]
        for case in chosen:
            points.setdefault(case.index, lung_points(Chest(case)))
        return [(case, plan_lesions(case, points[case.index])) for case in chosen]  # type: ignore[arg-type]

    return of


def test_lesions_lie_where_their_disease_puts_them(
    plans: Callable[[str], list[tuple[Case, list[Lesion]]]],
) -> None:
    def both_sides(lesions: list[Lesion]) -> bool:
        return len({np.sign(lesion.centre[0]) for lesion in lesions}) == 2

    def share(planned: list[tuple[Case, list[Lesion]]], label: Label) -> float:
        own = sum(le.volume_ml for _, les in planned for le in les if le.label == label)
        return own / sum(le.volume_ml for _, les in planned for le in les)

    covid, bacterial, viral = plans("covid"), plans("bacterial"), plans("viral")
    for planned in (covid, bacterial, viral):
        for case, lesions in planned:
            assert sum(le.volume_ml for le in lesions) == pytest.approx(case.lesion_volume_ml)
    assert np.mean([both_sides(lesions) for _, lesions in covid]) > 0.75
    assert np.mean([both_sides(lesions) for _, lesions in bacterial]) < 0.35
    assert share(covid, Label.GROUND_GLASS) > 0.5 > share(covid, Label.CONSOLIDATION)
    assert share(bacterial, Label.CONSOLIDATION) > 0.4
    assert share(viral, Label.GROUND_GLASS) > 0.6
    for case, lesions in covid:
        wall = Chest(case).patient
        depths = [-_distance(wall, lesion) for lesion in lesions]
        assert np.median(depths) < 22
    behind = [le.centre[1] > 0 for _, lesions in covid for le in lesions]
    assert np.mean(behind) > 0.7


def _distance(patient: object, lesion: Lesion) -> float:
    x, y, z = lesion.centre
    point = Grid((1, 1, 1), (1.0, 1.0, 1.0), (z, y, x))
    return float(patient.cavity_distance(point).item())  # type: ignore[attr-defined]


@pytest.mark.parametrize("aetiology", ["covid", "bacterial", "other"])
def test_drawn_lesions_have_their_volume_and_density(aetiology: str) -> None:
    case = case_of(aetiology)
    grid = grid_of(case, 64, 5.0)
    with_lesions = render(case, grid)
    without = render(replace(case, lesion_volume_ml=0.0), grid)
    lesion = with_lesions.classes >= Label.CONSOLIDATION
    assert lesion.sum() * grid.voxel_ml == pytest.approx(case.lesion_volume_ml, rel=0.03)
    assert not (without.classes > 1).any()
    # Lesions take their place from the lung; nothing else moves.
    np.testing.assert_array_equal(with_lesions.classes > 0, without.classes > 0)
    change = with_lesions.hu.astype(int) - without.hu
    assert not change[with_lesions.classes == 0].any()
    haze = with_lesions.classes == Label.GROUND_GLASS
    if haze.sum() > 50:
        assert 150 < np.median(change[haze]) < 500
    solid = with_lesions.classes == Label.CONSOLIDATION
    if solid.sum() > 50:
        assert -150 < np.median(with_lesions.hu[solid]) < 80


def test_repeated_scans_show_the_same_body_and_lesions() -> None:
    cases = plan_cohort("severity", 40, 0)
    first = next(c for c in cases if sum(d.patient == c.patient for d in cases) > 1)
    visits = [c for c in cases if c.patient == first.patient][:2]
    plans = [plan_lesions(c, lung_points(Chest(visits[0]))) for c in visits]
    assert plans[0][0].centre == plans[1][0].centre
    bodies = [Chest(c).patient for c in visits]
    assert bodies[0].width == bodies[1].width
    assert bodies[0].dome_mm != bodies[1].dome_mm  # another breath


def test_the_preset_lesions_has_all_five_classes() -> None:
    labels: set[int] = set()
    for case in plan_cohort("lesions", 40, 0):
        if case.lesion_volume_ml and labels != set(range(2, 7)):
            labels |= {lesion.label for lesion in plan_lesions(case, lung_points(Chest(case)))}
    assert labels == set(range(2, 7))
