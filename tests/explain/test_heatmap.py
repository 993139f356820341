"""Heat is put where it belongs, against SciPy's interpolation and known places."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from covidlit.errors import CovidlitError
from covidlit.explain import Heatmap
from covidlit.models.voxel_grid import VoxelGrid
from covidlit.preprocess import Geometry, prepare_scan
from covidlit.scans.scan import AIR_HU, Scan

GRID = VoxelGrid((4.0, 2.0, 3.0), (1.5, 0.5, 1.0))


def affine_of(spacing: tuple[float, float, float], origin: tuple[float, ...] = (0, 0, 0)):
    affine = np.zeros((4, 4))
    for axis, (world, step) in enumerate(zip((2, 1, 0), spacing, strict=True)):
        affine[world, axis] = step
    affine[:, 3] = [*origin, 1.0]
    return affine


def heatmap(values: np.ndarray, shape=(20, 12, 18), affine=None) -> Heatmap:
    affine = affine_of((5.0, 2.0, 2.0), (-30, 10, 100)) if affine is None else affine
    return Heatmap(values.astype(np.float32), GRID, shape, affine, "layer", "method")


def test_interpolation_is_scipys() -> None:
    values = np.random.default_rng(0).random((5, 6, 6))
    heat = heatmap(values)
    axes = [f + s * np.arange(n) for f, s, n in zip(GRID.first, GRID.step, (5, 6, 6), strict=True)]
    exact = RegularGridInterpolator(axes, values)
    shape, affine = (30, 40, 30), affine_of((3.0, 0.5, 1.0), (-28, 11, 107))
    found = heat.on(shape, affine)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    inverse = np.linalg.inv(heat.affine)
    seen = world @ inverse[:3, :3].T + inverse[:3, 3]
    ends = np.array([[axis[0], axis[-1]] for axis in axes])
    np.testing.assert_allclose(found, exact(np.clip(seen, *ends.T)), atol=1e-5)


def test_there_is_no_heat_where_the_network_saw_nothing() -> None:
    heat = heatmap(np.ones((5, 6, 6)))
    found = heat.on((24, 12, 18), affine_of((5.0, 2.0, 2.0), (-30, 10, 90)))
    assert (found[:2] == 0).all()
    assert (found[2:22] == 1).all()
    assert (found[22:] == 0).all()
    np.testing.assert_array_equal(heat.on_input(), np.ones((20, 12, 18)))


def test_the_peak_is_where_the_interpolated_heat_is_largest() -> None:
    values = np.random.default_rng(1).random((5, 6, 6))
    values[1, 3, 4] = 1.1
    heat = heatmap(values)
    fine = affine_of((1.0, 0.5, 0.5), (-30, 10, 100))
    dense = heat.on((96, 46, 70), fine)
    place = (fine @ [*np.unravel_index(dense.argmax(), dense.shape), 1])[:3]
    np.testing.assert_allclose(heat.peak_mm, place, atol=0.51)


def test_the_peak_stays_inside_what_the_network_saw() -> None:
    values = np.zeros((6, 6, 6))
    values[5, 0, 0] = 1.0  # centred on input slice 21.5 of 20
    assert heatmap(values).peak_mm == pytest.approx((-28.0, 11.0, 195.0))


def test_a_lesion_in_a_scan_is_found_again_in_millimetres() -> None:
    """Scan to network input to a map of coarse voxels and back, on a cropped, flipped-free scan."""
    hu = np.full((60, 90, 80), AIR_HU, np.int16)
    hu[5:55, 10:80, 8:72] = 0  # the body
    place = (33, 52, 25)
    scan = Scan(hu, affine_of((4.0, 3.0, 3.0), (-120.0, -130.0, -400.0)))
    world = (scan.affine @ [*place, 1])[:3]
    prepared = prepare_scan(scan, Geometry((8.0, 6.0, 6.0), (26, 36, 40)))
    at = (np.linalg.inv(prepared.affine) @ [*world, 1])[:3]
    step = np.array(GRID.step)
    index = np.rint((at - GRID.first) / step).astype(int)
    values = np.zeros((7, 18, 14), np.float32)
    values[tuple(index)] = 1.0
    heat = Heatmap(values, GRID, (26, 36, 40), prepared.affine, "layer", "method")
    assert (np.abs(np.array(heat.peak_mm) - world)[::-1] <= step * (8.0, 6.0, 6.0) / 2 + 1e-6).all()
    on_scan = heat.on(hu.shape, scan.affine)
    peak = np.array(np.unravel_index(on_scan.argmax(), hu.shape))
    assert (np.abs(peak - place) * (4.0, 3.0, 3.0) <= step * (8.0, 6.0, 6.0)).all()


def test_what_is_no_heat_is_refused() -> None:
    for wrong in (np.zeros((2, 2)), -np.ones((2, 2, 2)), np.full((2, 2, 2), np.nan)):
        with pytest.raises(CovidlitError, match="a heatmap needs"):
            heatmap(wrong)
    turned = affine_of((5.0, 2.0, 2.0))
    turned[:3, :3] = turned[:3, :3] @ np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    with pytest.raises(CovidlitError, match="different axes"):
        heatmap(np.ones((5, 6, 6))).on((4, 4, 4), turned)
