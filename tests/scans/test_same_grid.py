"""Whether two grids are one: by where their corners lie, to a tenth of a voxel."""

import numpy as np
import pytest

from covidlit.scans.same_grid import is_same_grid, largest_offset

SHAPE = (300, 512, 512)
AFFINE = np.diag([1.0, 0.7, 0.7, 1.0])[[2, 1, 0, 3]]  # (z, y, x) to (x, y, z)


def test_a_scale_that_is_off_adds_up_over_the_volume() -> None:
    other = AFFINE.copy()
    other[1, 1] += 0.001  # half a millimetre over 511 rows
    assert largest_offset(AFFINE, other, SHAPE) == pytest.approx(0.511)
    assert not is_same_grid(other, AFFINE, SHAPE)
    assert is_same_grid(other, AFFINE, (3, 5, 5))


@pytest.mark.parametrize(("shift", "same"), [(0.06, True), (0.08, False)])
def test_a_tenth_of_the_smallest_side_is_allowed(shift: float, same: bool) -> None:
    other = AFFINE.copy()
    other[0, 3] = shift
    assert is_same_grid(other, AFFINE, SHAPE) is same


def test_single_precision_of_tiny_voxels_is_allowed() -> None:
    affine = np.diag([0.1, 0.1, 0.1, 1.0])
    other = affine.copy()
    other[2, 3] = 0.04
    assert is_same_grid(other, affine, SHAPE)


def test_a_mirrored_grid_is_another() -> None:
    other = AFFINE.copy()
    other[:, 1] *= -1
    assert largest_offset(AFFINE, other, SHAPE) == pytest.approx(2 * 0.7 * 511)
