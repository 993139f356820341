"""The features of a volume: each one documented, and right where the answer is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from covidlit.errors import ConfigError
from covidlit.preprocess.features.catalogue import (
    FEATURE_NAMES,
    FEATURES,
    GROUPS,
    feature_table,
    features_of,
    volume_features,
)
from covidlit.preprocess.features.coarse import GRID, coarse_intensities
from covidlit.preprocess.features.lung_region import lung_region

SPACING = (12.0, 12.0, 12.0)
Chest = Callable[..., Any]


def test_every_feature_has_a_name_of_its_own_and_a_description(chest: Chest) -> None:
    assert tuple(volume_features(chest(-850), SPACING)) == FEATURE_NAMES
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES)
    assert {feature.group for feature in FEATURES} == set(GROUPS)
    assert all(feature.description for feature in FEATURES)
    table = feature_table(["texture"])
    assert set(table["group"]) == {"texture"}
    assert table["source"].str.contains("IBSI").all()


def test_the_lungs_of_a_chest_are_measured(chest: Chest) -> None:
    found = volume_features(chest(-850), SPACING)
    assert found["lung_median"] == pytest.approx(-850, abs=3)
    assert found["histogram_-900_to_-850_hu"] + found["histogram_-850_to_-800_hu"] > 0.9
    both = 2 * 4 / 3 * math.pi * 55 * 70 * 50 / 1000
    assert found["lung_volume"] == pytest.approx(both, rel=0.1)
    assert volume_features(chest(-700), SPACING)["lung_mean"] > found["lung_mean"] + 100


def test_a_small_lesion_belongs_to_the_lungs_and_the_air_around_the_body_does_not(
    chest: Chest,
) -> None:
    hu = chest(-850)
    before = lung_region(hu, SPACING)
    assert not before[:, 0].any()
    z, y, x = (int(np.median(index)) for index in np.nonzero(before[:, :, :16]))
    hu[z, y, x] = 20
    assert (lung_region(hu, SPACING) == before).all()
    assert volume_features(hu, SPACING)["lung_dense_share"] > 0


def test_without_air_in_the_body_the_lungs_are_undefined(chest: Chest) -> None:
    for hu in (chest(0), np.full((8, 8, 8), -1000, np.int16)):
        found = volume_features(hu, SPACING)
        assert found["lung_volume"] == 0
        undefined = {name for name, value in found.items() if math.isnan(value)}
        groups = {feature.group for feature in FEATURES if feature.name in undefined}
        assert groups == {"histogram", "first_order", "texture"}


@pytest.mark.parametrize("shape", [(12, 24, 18), (4, 7, 25)])
def test_coarse_cells_divide_the_volume_evenly(shape: tuple[int, int, int]) -> None:
    hu = np.random.default_rng(0).integers(-1000, 400, shape).astype(np.int16)
    coarse = coarse_intensities(hu)
    assert coarse.shape == GRID
    assert coarse.mean() == pytest.approx(hu.mean())
    # Each voxel as a block of 6 x 6 x 6 equal ones, whose cells are whole blocks.
    fine = hu.repeat(GRID[0], 0).repeat(GRID[1], 1).repeat(GRID[2], 2)
    z, y, x = shape
    blocks = fine.reshape(GRID[0], z, GRID[1], y, GRID[2], x).mean(axis=(1, 3, 5))
    assert coarse == pytest.approx(blocks)


def test_coarse_intensities_are_cut_to_lung_and_tissue() -> None:
    assert coarse_intensities(np.full((6, 6, 6), 3000, np.int16)).max() == 400


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["texure"], "did you mean texture"),
        ([], "no feature is chosen"),
        ("lung", "The groups are"),
    ],
)
def test_unknown_groups_are_refused(groups: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        features_of(groups)
