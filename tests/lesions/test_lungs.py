"""The lungs from HU: held against the truth of synthetic chests, and looked at on a real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from covidlit.lesions import segment_lungs
from covidlit.scans.images import read_image
from covidlit.synthetic.grid import Grid, grid_of
from covidlit.synthetic.presets import plan_cohort
from covidlit.synthetic.render import Rendered, render

CASES = plan_cohort("lesions", 40, 3)
"""2 to 5: COVID-19 with ground glass alone, with effusion or more; 7: bacterial, solid segments."""


def drawn(number: int, matrix: int = 128, thickness: float = 5.0) -> tuple[Rendered, Grid]:
    grid = grid_of(CASES[number], matrix, thickness)
    return render(CASES[number], grid), grid


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.mark.parametrize("number", [2, 3, 4, 5, 6, 7, 11])
def test_lungs_are_those_of_the_truth_with_their_lesions(number: int) -> None:
    truth, grid = drawn(number)
    lungs = segment_lungs(truth.hu, grid.spacing)
    assert lungs.dtype == np.uint8
    assert lungs.shape == truth.hu.shape
    assert dice(lungs > 0, truth.classes > 0) > 0.975
    if (truth.classes > 1).any():
        assert (lungs[truth.classes > 1] > 0).mean() > 0.8
    x = grid.axes[2][0, 0]  # of the patient, 0 in the middle, to the left
    wrong = (lungs[:, :, x < -25] == 2).sum() + (lungs[:, :, x > 25] == 1).sum()
    assert wrong < 0.002 * (lungs > 0).sum()


def test_thin_slices_are_as_good() -> None:
    truth, grid = drawn(4, 192, 1.5)
    assert dice(segment_lungs(truth.hu, grid.spacing) > 0, truth.classes > 0) > 0.985


def test_a_focus_at_the_wall_and_fluid_behind_are_kept_inside() -> None:
    truth, grid = drawn(5)  # healthy
    z, y, x = grid.axes
    hu, lung = truth.hu.copy(), truth.classes > 0
    wall = lung & ((x + 95) ** 2 + (y - 20) ** 2 + (z + 20) ** 2 < 27**2)
    fluid = lung & (x > 0) & (y > 42 - 0.1 * z) & (np.abs(z + 20) < 60)
    hu[wall], hu[fluid] = 40, 10
    lungs = segment_lungs(hu, grid.spacing)
    assert wall.sum() * grid.voxel_ml > 15
    assert fluid.sum() * grid.voxel_ml > 100
    assert (lungs[wall] == 1).mean() > 0.85
    assert (lungs[fluid] == 2).mean() > 0.65
    assert dice(lungs > 0, lung) > 0.97


def test_windpipe_and_bowel_gas_are_out() -> None:
    truth, grid = drawn(5)
    z, y, x = grid.axes
    lungs = segment_lungs(truth.hu, grid.spacing) > 0
    windpipe = (np.hypot(x + 2, y - 17) < 12) & (z > 10) & (z < 90) & (truth.hu < -900)
    below = (truth.hu < -900) & ~(truth.classes > 0) & (z < -90) & (np.hypot(x, y) < 110)
    assert windpipe.sum() > 20
    assert below.sum() > 20
    assert not (lungs & windpipe).any()
    assert not (lungs & below).any()


def test_a_slice_that_was_lost_inside_does_not_cut_the_lungs() -> None:
    truth, grid = drawn(5)
    hu = truth.hu.copy()
    vessels = np.random.default_rng(0).random(hu.shape) < 0.02
    hu[vessels & (truth.classes > 0)] = 40
    lungs = segment_lungs(hu, grid.spacing)
    inside = (truth.classes > 0)[:, ::2]
    assert (lungs[:, ::2][inside] > 0).mean() > 0.97


@pytest.mark.parametrize(
    "hu",
    [
        np.full((12, 40, 40), -1024, np.int16),
        np.full((12, 40, 40), 40, np.int16),
        np.full((1, 1, 1), -850, np.int16),
        np.where(np.hypot(*np.mgrid[-20:20, -20:20]) < 15, 40, -1000)[None].astype(np.int16),
    ],
    ids=["air", "water", "one voxel", "a slice of a phantom"],
)
def test_without_a_lung_there_is_none(hu: np.ndarray) -> None:
    lungs = segment_lungs(hu, (5.0, 5.0, 5.0))
    assert lungs.shape == hu.shape
    assert not lungs.any()


def test_one_lung_alone_keeps_its_side() -> None:
    truth, grid = drawn(5)
    hu = truth.hu.copy()
    hu[(truth.classes > 0) & (grid.axes[2] > 0)] = 40
    lungs = segment_lungs(hu, grid.spacing)
    right = (truth.classes > 0) & (grid.axes[2] < -20)
    assert (lungs[right] == 1).mean() > 0.95
    assert (lungs == 2).sum() < 0.03 * (lungs == 1).sum()


def test_a_real_chest(shared_data: Path) -> None:
    scan = read_image(shared_data / "ct" / "lidc_0314_nonCOVID_2mm.nii.gz")
    lungs = segment_lungs(scan.hu, scan.spacing)
    millilitres = [float((lungs == side).sum() * np.prod(scan.spacing) / 1000) for side in (1, 2)]
    # Looked at by eye: the right upper lobe is gone, and its diaphragm stands high.
    assert millilitres == pytest.approx([953, 1931], rel=0.05)
    inside = scan.hu[lungs > 0]
    assert -870 < np.median(inside) < -800
    assert (inside > 0).mean() < 0.03
