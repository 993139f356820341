"""First-order and texture features against the published values of IBSI's digital phantom."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from covidlit.preprocess.features.intensity import entropy_and_uniformity, first_order, histogram
from covidlit.preprocess.features.texture import (
    BIN_HU,
    COOCCURRENCE,
    DIRECTIONS,
    cooccurrence_features,
    cooccurrence_matrix,
    grey_levels,
)

# The digital phantom of the Image Biomarker Standardisation Initiative, (z, y, x); 0 is outside.
PHANTOM = np.array(
    [
        [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [0, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
        [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 6, 1, 1]],
        [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
    ]
)
# Its reference values (Zwanenburg et al., arXiv:1612.07003), to the digits published there.
INTENSITY = {
    "mean": 2.15, "variance": 3.05, "skewness": 1.08, "excess_kurtosis": -0.355, "median": 1,
    "minimum": 1, "p10": 1, "p90": 4, "maximum": 6, "interquartile_range": 3, "range": 5,
    "mean_absolute_deviation": 1.55, "robust_mean_absolute_deviation": 1.11,
    "median_absolute_deviation": 1.15,
}  # fmt: skip
MERGED_3D = {
    "joint_maximum": 0.509, "joint_average": 2.15, "joint_variance": 3.13, "joint_entropy": 2.57,
    "difference_average": 1.38, "difference_variance": 3.21, "difference_entropy": 1.64,
    "sum_variance": 7.41, "sum_entropy": 2.11, "angular_second_moment": 0.291, "contrast": 5.12,
    "inverse_difference": 0.688, "normalised_inverse_difference": 0.856,
    "inverse_difference_moment": 0.631, "normalised_inverse_difference_moment": 0.902,
    "inverse_variance": 0.0574, "correlation": 0.183, "autocorrelation": 5.19,
    "cluster_shade": 17.4, "cluster_prominence": 147, "information_correlation_1": -0.0288,
    "information_correlation_2": 0.269,
}  # fmt: skip


def rounded(value: float, like: float) -> float:
    """To as many significant digits as IBSI prints: three."""
    return float(f"{value:.3g}") if like else value


def test_intensities_of_the_digital_phantom() -> None:
    values = PHANTOM[PHANTOM > 0]
    found = first_order(values)
    assert {name: rounded(value, INTENSITY[name]) for name, value in found.items()} == INTENSITY
    entropy, uniformity = entropy_and_uniformity(np.bincount(values) / len(values))
    assert (rounded(entropy, 1), rounded(uniformity, 1)) == (1.27, 0.512)


def test_cooccurrence_of_the_digital_phantom() -> None:
    found = cooccurrence_features(cooccurrence_matrix(PHANTOM, 6))
    assert {name: rounded(value, MERGED_3D[name]) for name, value in found.items()} == MERGED_3D
    assert tuple(found) == COOCCURRENCE


def test_the_thirteen_directions_reach_every_neighbour_once() -> None:
    both = {*DIRECTIONS, *(tuple(-s for s in step) for step in DIRECTIONS)}
    assert len(DIRECTIONS) == 13
    assert len(both) == 26


def test_a_flat_region_has_no_contrast_and_no_correlation() -> None:
    flat = cooccurrence_features(cooccurrence_matrix(np.full((3, 3, 3), 2), 4))
    assert flat["contrast"] == 0
    assert flat["angular_second_moment"] == 1
    assert np.isnan(flat["correlation"])
    assert np.isnan(flat["information_correlation_1"])


def test_a_region_without_neighbours_has_no_texture() -> None:
    lonely = np.zeros((3, 3, 3), dtype=int)
    lonely[1, 1, 1] = 1
    assert all(np.isnan(v) for v in cooccurrence_features(cooccurrence_matrix(lonely, 4)).values())
    assert all(np.isnan(value) for value in first_order(np.array([])).values())


def test_grey_levels_are_bins_of_fixed_size_and_clipped() -> None:
    hu = np.array([[[-1100, -1000, -951, -950, 399, 400, 3000]]], dtype=np.int16)
    assert grey_levels(hu, hu > -9999).ravel().tolist() == [1, 1, 1, 2, 28, 28, 28]
    assert grey_levels(hu, hu > 0).ravel().tolist() == [0, 0, 0, 0, 28, 28, 28]
    assert BIN_HU == 50


@pytest.mark.parametrize("offset", [0, 137])
def test_the_histogram_is_numpys(offset: int) -> None:
    hu = np.random.default_rng(offset).integers(-1200, 500, 4000)
    edges = [-np.inf, *range(-950, 151, 50), np.inf]
    expected = [((hu >= a) & (hu < b)).mean() for a, b in pairwise(edges)]
    assert histogram(hu) == pytest.approx(expected)
