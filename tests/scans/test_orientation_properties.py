"""Canonical orientation over random affines: no voxel changes its value or its place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from covidlit.errors import CovidlitError
from covidlit.scans.scan import Scan, to_canonical, to_ras_xyz

SHAPES = st.tuples(*[st.integers(1, 5)] * 3)


@st.composite
def affines(draw: st.DrawFn, *, degrees: float) -> NDArray[np.float64]:
    """Any order and direction of the axes, tilted by up to `degrees` about each of them."""
    tilt = [draw(st.floats(-degrees, degrees)) for _ in range(3)]
    order = draw(st.permutations(range(3)))
    signs = [draw(st.sampled_from((-1, 1))) for _ in range(3)]
    spacing = [draw(st.floats(0.1, 20)) for _ in range(3)]
    affine = np.eye(4)
    steps = np.eye(3)[:, order] * signs * spacing
    affine[:3, :3] = Rotation.from_euler("xyz", tilt, degrees=True).as_matrix() @ steps
    affine[:3, 3] = [draw(st.floats(-1000, 1000)) for _ in range(3)]
    return affine


def numbered(shape: tuple[int, ...]) -> NDArray[np.int16]:
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def places(shape: tuple[int, ...], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Millimetres of every voxel, in the array's order."""
    index = np.indices(shape).reshape(3, -1)
    return (affine[:3, :3] @ index).T + affine[:3, 3]


@given(SHAPES, affines(degrees=25))
def test_every_voxel_keeps_its_place_and_the_axes_are_canonical(
    shape: tuple[int, int, int], affine: NDArray[np.float64]
) -> None:
    array = numbered(shape)
    turned, own = to_canonical(array, affine)
    scan = Scan(turned.astype(np.int16), own)  # refuses axes that are not canonical
    # Values number the voxels, so sorting by them brings each back to where it was.
    back = places(turned.shape, own)[np.argsort(turned.ravel())]
    np.testing.assert_allclose(back, places(shape, affine), atol=1e-8)
    np.testing.assert_allclose(
        sorted(scan.spacing), sorted(np.linalg.norm(affine[:3, :3], axis=0)), rtol=1e-12
    )
    again, same = to_canonical(turned, own)
    np.testing.assert_array_equal(again, turned)
    np.testing.assert_allclose(same, own)


@given(SHAPES, affines(degrees=25), st.permutations(range(3)), st.tuples(*[st.booleans()] * 3))
def test_the_order_in_which_a_file_keeps_its_voxels_does_not_matter(
    shape: tuple[int, int, int],
    affine: NDArray[np.float64],
    order: list[int],
    flips: tuple[bool, bool, bool],
) -> None:
    """The same volume with other axes: what makes it canonical undoes what changed it."""
    array = numbered(shape)
    stored = array.transpose(order)
    moved = affine[:, [*order, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            moved[:3, 3] += moved[:3, axis] * (stored.shape[axis] - 1)
            moved[:3, axis] *= -1
            stored = np.flip(stored, axis)
    expected, own = to_canonical(array, affine)
    found, same = to_canonical(stored, moved)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(same, own, atol=1e-9)


@given(affines(degrees=180))
def test_any_tilt_is_canonical_or_refused(affine: NDArray[np.float64]) -> None:
    turned, own = to_canonical(numbered((2, 3, 4)), affine)
    back = places(turned.shape, own)[np.argsort(turned.ravel())]
    np.testing.assert_allclose(back, places((2, 3, 4), affine), atol=1e-8)
    if np.abs(own[:3, :3]).argmax(axis=0).tolist() == [2, 1, 0]:
        assert (own[[2, 1, 0], [0, 1, 2]] > 0).all()
        Scan(turned.astype(np.int16), own)
    else:  # two axes lie nearest to the same direction of the patient
        with pytest.raises(CovidlitError, match="canonical"):
            Scan(turned.astype(np.int16), own)


@given(affines(degrees=180), st.tuples(*[st.floats(-100, 100)] * 3))
def test_nifti_s_space_is_the_same_place_with_two_axes_turned_round(
    affine: NDArray[np.float64], index: tuple[float, float, float]
) -> None:
    x, y, z = (affine @ [*index, 1])[:3]
    np.testing.assert_allclose((to_ras_xyz(affine) @ [*index[::-1], 1])[:3], [-x, -y, z], atol=1e-9)
