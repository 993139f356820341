"""The share of heat that lies inside the lungs, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from covidlit.explain.heatmap import Heatmap
from covidlit.explain.lung_heat import heat_in_lung, lung_heat_sentence
from covidlit.models.voxel_grid import VoxelGrid
from covidlit.preprocess.geometry import Geometry, prepare_scan
from covidlit.scans.scan import Scan

AFFINE = np.array([[0, 0, 3.0, 0], [0, 3.0, 0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1.0]])


def _share(heat: np.ndarray, air: int = -850) -> float | None:
    """Of heat (24, 60, 60) on a chest with two lungs."""
    hu = np.full((24, 60, 60), -1000, np.int16)
    hu[:, 8:52, 4:56] = 40
    hu[:, 15:45, 10:26] = hu[:, 15:45, 34:50] = air
    prepared = prepare_scan(Scan(hu, AFFINE), Geometry((3, 3, 3), hu.shape))
    shown = Heatmap(heat, VoxelGrid(), heat.shape, prepared.affine, "a", "b")
    return heat_in_lung(shown, prepared)


def test_heat_in_and_out_of_the_lungs_is_told_apart() -> None:
    heat = np.zeros((24, 60, 60), np.float32)
    heat[5:9, 20:40, 12:24] = 1
    assert _share(heat) == pytest.approx(1)
    heat[5:9, 20:40, 36:48] = 3  # in the other lung
    assert _share(heat) == pytest.approx(1)
    inside = heat.sum()
    heat[:, 53:, :] = 0.5  # below the back
    assert _share(heat) == pytest.approx(inside / heat.sum())
    heat[:, :53] = 0
    assert _share(heat) == 0


def test_without_lungs_or_heat_there_is_no_share() -> None:
    heat = np.ones((24, 60, 60), np.float32)
    assert _share(heat, air=40) is None
    assert _share(0 * heat) is None


def test_little_heat_inside_the_lungs_is_warned_of() -> None:
    much, little = (
        lung_heat_sentence([0.9, None, 0.5]),
        lung_heat_sentence([0.1, float("nan"), 0.7]),
    )
    assert "70% on average over 2 scans, from 50% to 90%" in much
    assert "Warning" not in much
    assert "40% on average over 2 scans, from 10% to 70%. Warning" in little
    assert "not known" in lung_heat_sentence([None])
