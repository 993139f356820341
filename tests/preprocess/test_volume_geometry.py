"""Geometry against torch's anti-aliased resize, scipy, and analytic volumes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.ndimage
import torch
from numpy.typing import NDArray

from covidlit.errors import ConfigError
from covidlit.preprocess import Geometry, pixel_hash, prepare_scan, resample
from covidlit.scans.scan import AIR_HU, Scan


def affine_of(
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float] = (0, 0, 0),
    tilt_degrees: float = 0.0,
) -> NDArray[np.float64]:
    """Index (z, y, x) to LPS; the tilt turns the patient about the head axis."""
    c, s = np.cos(np.deg2rad(tilt_degrees)), np.sin(np.deg2rad(tilt_degrees))
    affine = np.eye(4)
    affine[:3, 0] = np.array([0, 0, 1]) * spacing[0]
    affine[:3, 1] = np.array([-s, c, 0]) * spacing[1]
    affine[:3, 2] = np.array([c, s, 0]) * spacing[2]
    affine[:3, 3] = origin
    return affine


def world_grid(affine: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """LPS millimetres of every voxel, (*shape, 3)."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def grid(n: int, m: int) -> NDArray[np.float64]:
    """Positions of m pixels that share their outer edges with n pixels."""
    return (np.arange(m) + 0.5) * n / m - 0.5


@pytest.mark.parametrize(("n", "m"), [(50, 20), (64, 16), (31, 30)])
def test_shrinking_equals_torch_antialiased_resize(n: int, m: int) -> None:
    volume = np.random.default_rng(0).integers(-1000, 2000, (1, n, n + 7)).astype(np.int16)
    ours = resample(
        volume, [np.zeros(1), grid(n, m), grid(n + 7, m + 3)], [1, n / m, (n + 7) / (m + 3)]
    )
    reference = torch.nn.functional.interpolate(
        torch.from_numpy(volume)[None].double(), (m, m + 3), mode="bilinear", antialias=True
    )
    assert np.abs(ours - reference[0].numpy()).max() <= 0.51


def test_growing_equals_scipy_linear_interpolation() -> None:
    volume = np.random.default_rng(1).integers(-1000, 2000, (6, 9, 8)).astype(np.int16)
    positions = [np.linspace(0.2, n - 1.3, 2 * n) for n in volume.shape]
    ratios = [p[1] - p[0] for p in positions]
    assert max(ratios) < 1
    coordinates = np.meshgrid(*positions, indexing="ij")
    reference = scipy.ndimage.map_coordinates(volume.astype(float), coordinates, order=1)
    assert np.abs(resample(volume, positions, ratios) - reference).max() <= 0.51


def test_thick_slices_average_the_noise_of_thin_ones() -> None:
    noise = np.random.default_rng(2).normal(0, 100, (600, 16, 16)).astype(np.int16)
    scan = Scan(noise, affine_of((1, 1.5, 1.5)))
    prepared = prepare_scan(scan, Geometry((5, 1.5, 1.5), (120, 16, 16))).array
    # Variance of a mean with triangle weights of half width n: (2 / 3 n).
    expected = 100 * np.sqrt(2 / (3 * 5))
    assert prepared[5:-5].std() == pytest.approx(expected, rel=0.05)


def test_no_aliasing() -> None:
    stripes = np.full((4, 64, 64), 500, dtype=np.int16)
    stripes[:, ::2] = -500
    scan = Scan(stripes, affine_of((5, 1, 1)))
    prepared = prepare_scan(scan, Geometry((5, 2, 2), (4, 32, 32))).array
    assert np.abs(prepared[:, 1:-1]).max() <= 1


def test_equal_spacing_leaves_voxels_alone() -> None:
    volume = np.random.default_rng(3).integers(-1024, 3000, (8, 12, 10)).astype(np.int16)
    prepared = prepare_scan(
        Scan(volume, affine_of((5, 1.5, 1.5))), Geometry((5, 1.5, 1.5), (8, 12, 10))
    )
    np.testing.assert_array_equal(prepared.array, volume)


@pytest.mark.parametrize("tilt", [0.0, 12.0])
def test_every_voxel_maps_back_by_the_affine(tilt: float) -> None:
    # HU is a linear function of the place in the patient, which linear resampling keeps.
    slope, offset = np.array([2.0, -3.0, 1.5]), 100.0
    affine = affine_of((1.25, 0.7, 0.8), (-30.0, -41.0, -200.0), tilt)
    hu = np.rint(world_grid(affine, (90, 100, 110)) @ slope + offset).astype(np.int16)
    prepared = prepare_scan(Scan(hu, affine), Geometry((5, 1.5, 1.7), (12, 36, 40)))
    assert prepared.crop.resampled_shape == (22, 47, 52)
    expected = world_grid(prepared.affine, prepared.array.shape) @ slope + offset
    assert np.abs(prepared.array - expected).max() <= 1.1
    np.testing.assert_allclose(np.linalg.norm(prepared.affine[:3, :3], axis=0), (5, 1.5, 1.7))


def test_a_landmark_is_found_where_the_source_has_it() -> None:
    affine = affine_of((2.0, 1.0, 1.0), (10.0, -70.0, 300.0), 8.0)
    hu = np.full((60, 120, 140), -1000, dtype=np.int16)
    world = world_grid(affine, hu.shape)
    landmark = world[40, 50, 90] + [0.3, -0.2, 0.4]
    hu[np.linalg.norm(world - landmark, axis=-1) < 12] = 1000
    prepared = prepare_scan(Scan(hu, affine), Geometry((4, 2, 2), (32, 64, 64)))
    weight = prepared.array.astype(float) + 1000
    weight[prepared.array == AIR_HU] = 0
    found = np.average(
        world_grid(prepared.affine, weight.shape).reshape(-1, 3), axis=0, weights=weight.ravel()
    )
    assert np.linalg.norm(found - landmark) < 0.3


def body_phantom(shape: tuple[int, int, int], centre: tuple[int, int]) -> NDArray[np.int16]:
    """An elliptic cylinder of soft tissue in air, 30 x 40 voxels (y, x)."""
    hu = np.full(shape, -1000, dtype=np.int16)
    y, x = np.ogrid[: shape[1], : shape[2]]
    hu[:, ((y - centre[0]) / 15) ** 2 + ((x - centre[1]) / 20) ** 2 <= 1] = 40
    return hu


def test_the_crop_is_centred_on_the_body_not_on_the_couch() -> None:
    hu = body_phantom((10, 120, 120), (45, 70))
    hu[:, 100:103, 10:110] = 100  # the couch: apart from the body, smaller
    prepared = prepare_scan(Scan(hu, affine_of((5, 4, 4))), Geometry((5, 4, 4), (10, 50, 50)))
    assert prepared.crop.centred_on == "body"
    _, y, x = scipy.ndimage.center_of_mass(prepared.array > -500)
    assert abs(y - 24.5) <= 1
    assert abs(x - 24.5) <= 1


def test_a_tall_scan_is_cropped_about_the_lungs() -> None:
    hu = body_phantom((80, 60, 60), (30, 30))
    lungs = slice(48, 70)
    hu[lungs, 24:36, 15:25] = -850
    hu[lungs, 24:36, 35:45] = -850
    hu[5:12, 28:32, 28:32] = -900  # bowel gas
    prepared = prepare_scan(Scan(hu, affine_of((5, 4, 4))), Geometry((5, 4, 4), (30, 60, 60)))
    start = prepared.crop.start[0]
    # Every window that holds both lungs is as good; the middle one is centred on them.
    assert start + 29 / 2 == pytest.approx(58.5, abs=1)
    assert (prepared.array == -850).sum() == (hu == -850).sum()


def test_a_small_scan_is_padded_with_air_all_round() -> None:
    hu = np.full((4, 10, 10), 50, dtype=np.int16)
    prepared = prepare_scan(Scan(hu, affine_of((5, 2, 2))), Geometry((5, 2, 2), (8, 20, 20)))
    assert prepared.crop.start == (-2, -5, -5)
    inside = (slice(2, 6), slice(5, 15), slice(5, 15))
    assert (prepared.array[inside] == 50).all()
    outside = np.ones(prepared.array.shape, dtype=bool)
    outside[inside] = False
    assert (prepared.array[outside] == AIR_HU).all()


def test_without_a_body_the_image_centre_is_used_and_said() -> None:
    scan = Scan(np.full((4, 30, 30), -1000, dtype=np.int16), affine_of((5, 2, 2)))
    prepared = prepare_scan(scan, Geometry((5, 2, 2), (4, 10, 10)))
    assert prepared.crop.centred_on == "image"
    assert prepared.crop.start == (0, 10, 10)


def test_memory_beside_the_scan_is_bounded() -> None:
    hu = np.full((300, 512, 512), -1000, dtype=np.int16)
    hu[:, 100:400, 60:450] = 40
    scan = Scan(hu, affine_of((1, 0.7, 0.7)))
    tracemalloc.start()
    prepare_scan(scan, Geometry())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 25e6  # the figure in the docstring; the scan itself has 157 MB


@pytest.mark.parametrize(
    "arguments",
    [
        {"spacing": (5, 1.5)},
        {"spacing": (0, 1, 1)},
        {"size": (64, 256, 0)},
        {"size": (64.5, 256, 256)},
    ],
)
def test_absurd_geometry_is_refused(arguments: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ConfigError, match=r"geometry\."):
        Geometry(**arguments)  # type: ignore[arg-type]


def test_golden_output() -> None:
    """If this fails, the output has changed: raise FORMAT in preprocess/cache.py, then this hash.

    The weights are multiples of 1/8 and the values whole, so that every machine rounds alike.
    """
    hu = body_phantom((16, 64, 80), (30, 42))
    z, y, x = np.ogrid[:16, :64, :80]
    hu += (hu > 0) * ((5 * z + 3 * y + 7 * x) % 64 * 8).astype(np.int16)
    scan = Scan(hu, affine_of((2, 4, 4), (1, 2, 3)))
    prepared = prepare_scan(scan, Geometry((4, 8, 8), (6, 24, 24)))
    golden = "9ba5c1d21882b7213015eee4c0219d08e605b4ab40146483616d4afab4d5cd17"
    assert (prepared.crop.start, pixel_hash(prepared.array)) == ((1, 3, 9), golden)
