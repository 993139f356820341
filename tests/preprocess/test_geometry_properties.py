"""Preparing over random scans and geometries: every voxel keeps its place and its value."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from covidlit.preprocess import Geometry, prepare_scan
from covidlit.preprocess.geometry import Prepared
from covidlit.scans.scan import AIR_HU, Scan


@st.composite
def ramps(draw: st.DrawFn) -> tuple[Scan, NDArray[np.float64]]:
    """A scan, slightly tilted, whose HU rise evenly along its axes; HU per voxel, (z, y, x)."""
    shape = tuple(draw(st.integers(3, 24)) for _ in range(3))
    spacing = [draw(st.floats(0.5, 8)) for _ in range(3)]
    tilt = [draw(st.floats(-20, 20)) for _ in range(3)]
    affine = np.eye(4)
    canonical = np.eye(3)[:, ::-1] * spacing  # columns: steps along z, y, x of the index
    affine[:3, :3] = Rotation.from_euler("xyz", tilt, degrees=True).as_matrix() @ canonical
    affine[:3, 3] = [draw(st.floats(-500, 500)) for _ in range(3)]
    slope = np.array([draw(st.integers(-30, 30)) for _ in range(3)])
    index = np.indices(shape)
    hu = np.tensordot(slope, index, axes=1) + draw(st.integers(-300, 300))
    return Scan(hu.astype(np.int16), affine), slope


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    return Geometry(
        tuple(draw(st.floats(0.5, 12)) for _ in range(3)),  # type: ignore[arg-type]
        tuple(draw(st.integers(1, 20)) for _ in range(3)),  # type: ignore[arg-type]
    )


def in_source(prepared: Prepared, scan: Scan) -> NDArray[np.float64]:
    """(3, z, y, x) index of every prepared voxel in the source volume."""
    index = np.indices(prepared.array.shape).reshape(3, -1)
    place = prepared.affine @ np.vstack([index, np.ones(index.shape[1])])
    return (np.linalg.inv(scan.affine) @ place)[:3].reshape(3, *prepared.array.shape)


@given(ramps(), geometries())
def test_the_affine_leads_back_to_the_source(
    made: tuple[Scan, NDArray[np.float64]], geometry: Geometry
) -> None:
    scan, slope = made
    prepared = prepare_scan(scan, geometry)
    assert prepared.array.shape == geometry.size
    np.testing.assert_allclose(
        np.linalg.norm(prepared.affine[:3, :3], axis=0), geometry.spacing, rtol=1e-9
    )
    source = in_source(prepared, scan)
    shape = np.array(scan.hu.shape)
    ratios = np.array(geometry.spacing) / scan.spacing
    # A voxel stands for what lies within its kernel. Where the image covers that, an even rise is
    # given back as it is by interpolation, and to half a source voxel by a mean over several; where
    # a voxel's centre is outside there is air.
    rounded = 0.51 + 0.5 * np.abs(slope)[ratios > 1].sum()
    reach = np.maximum(ratios, 1)[:, None, None, None]
    last = (shape - 1)[:, None, None, None]
    covered = ((source >= reach - 1 - 1e-6) & (source <= last - reach + 1 + 1e-6)).all(axis=0)
    expected = scan.hu[0, 0, 0] + np.tensordot(slope, source, axes=1)
    np.testing.assert_allclose(prepared.array[covered], expected[covered], atol=rounded)
    outside = ((source < -0.5 - 1e-6) | (source > last + 0.5 + 1e-6)).any(axis=0)
    assert (prepared.array[outside] == AIR_HU).all()


@given(ramps(), geometries())
def test_the_window_lies_within_the_scan_or_around_it(
    made: tuple[Scan, NDArray[np.float64]], geometry: Geometry
) -> None:
    prepared = prepare_scan(made[0], geometry)
    crop = prepared.crop
    for start, whole, size in zip(crop.start, crop.resampled_shape, geometry.size, strict=True):
        if whole <= size:
            assert start <= 0
            assert start + size >= whole
        else:
            assert 0 <= start <= whole - size


@given(ramps())
def test_a_scan_of_the_geometry_itself_is_left_alone(
    made: tuple[Scan, NDArray[np.float64]],
) -> None:
    scan = made[0]
    prepared = prepare_scan(scan, Geometry(scan.spacing, scan.hu.shape))
    np.testing.assert_array_equal(prepared.array, scan.hu)
    np.testing.assert_allclose(prepared.affine, scan.affine, atol=1e-9)
