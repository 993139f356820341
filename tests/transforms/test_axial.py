"""Resampling in the axial plane, against SciPy's interpolation along all axes."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from covidlit.transforms.axial import resample_axial

PAD = -1024.0
SHAPES = st.tuples(st.integers(1, 11), st.integers(1, 23), st.integers(1, 19))
SEEDS = st.integers(0, 2**32)


def noise(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(-1000, 1000, shape, np.int16))


def about_the_centre(
    shape: tuple[int, int, int],
    scale: float,
    degrees: float,
    squeeze: float,
    flips: tuple[int, ...],
) -> NDArray[np.float64]:
    """(4, 4) of a scale, a turn in the plane of oblong pixels, and flips (1 or -1 each)."""
    pixel = np.diag([1.0, squeeze, 1.0])
    turn = Rotation.from_euler("z", degrees, degrees=True).as_matrix()[::-1, ::-1]
    matrix = np.eye(4)
    matrix[:3, :3] = np.linalg.inv(pixel) @ turn @ pixel * flips / scale
    centre = (np.array(shape) - 1) / 2
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre
    return matrix


def by_scipy(image: torch.Tensor, matrix: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """The reference in float64: border voxels reach half a voxel outwards, then comes the pad."""
    index = np.indices(image.shape).reshape(3, -1)
    source = matrix[:3, :3] @ index + matrix[:3, 3:]
    values = scipy.ndimage.map_coordinates(
        image.double().numpy(), source, order=order, mode="nearest"
    )
    size = np.array(image.shape)[:, None]
    values[((source < -0.5) | (source >= size - 0.5)).any(axis=0)] = PAD
    return values.reshape(image.shape)


@given(
    shape=SHAPES,
    seed=SEEDS,
    scale=st.floats(0.5, 2),
    degrees=st.floats(-180, 180),
    squeeze=st.floats(0.5, 2),
    flips=st.tuples(*[st.sampled_from([1, -1])] * 3),
)
def test_it_is_linear_interpolation(
    shape: tuple[int, int, int],
    seed: int,
    scale: float,
    degrees: float,
    squeeze: float,
    flips: tuple[int, ...],
) -> None:
    image = noise((2, *shape), seed)
    matrix = about_the_centre(shape, scale, degrees, squeeze, flips)
    # A place on the very border of the image may count as in or out.
    matrix[:3, 3] += 1e-7
    moved = resample_axial(image, matrix, pad=PAD)
    assert (moved.dtype, moved.shape, moved.is_contiguous()) == (torch.float32, image.shape, True)
    for one, source in zip(moved, image, strict=True):
        np.testing.assert_allclose(one.numpy(), by_scipy(source, matrix, 1), rtol=0, atol=0.05)


@given(shape=SHAPES, seed=SEEDS, scale=st.floats(0.5, 2), degrees=st.floats(-180, 180))
def test_the_nearest_voxel_is_nearest(
    shape: tuple[int, int, int], seed: int, scale: float, degrees: float
) -> None:
    image = noise((1, *shape), seed)
    matrix = about_the_centre(shape, scale, degrees, 1.0, (1, 1, 1))
    matrix[:3, 3] += 0.01234  # not halfway between two voxels
    moved = resample_axial(image, matrix, pad=PAD, nearest=True)[0].numpy()
    differing = moved != by_scipy(image[0], matrix, 0)
    assert differing.mean() <= 0.01


def test_where_nothing_moves_the_image_stays_as_it_is() -> None:
    image = noise((1, 5, 7, 6), 0)
    for nearest in (False, True):
        moved = resample_axial(image, np.eye(4), pad=PAD, nearest=nearest)
        torch.testing.assert_close(moved, image.float(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("shift", [0.49, 0.51])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_border_voxel_reaches_half_a_voxel_outwards(axis: int, shift: float) -> None:
    image = torch.full((1, 5, 5, 5), 7.0)
    matrix = np.eye(4)
    matrix[axis, 3] = -shift
    first = resample_axial(image, matrix, pad=PAD)[0].movedim(axis, 0)[0]
    assert first.unique().tolist() == [7.0 if shift < 0.5 else PAD]
