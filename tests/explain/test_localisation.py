"""Hit rate, chance and shares on masks whose answers can be worked out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, stats
from statsmodels.stats.proportion import proportion_confint

from covidlit.errors import CovidlitError
from covidlit.evaluation import auc_estimate
from covidlit.evaluation.bootstrap import Sampling
from covidlit.explain import Heatmap, LesionTruth, Localisation, hit_rate, lower_weights_claim
from covidlit.lesions import LesionLabels
from covidlit.models.voxel_grid import VoxelGrid

SPACING = (5.0, 2.0, 2.0)
SHAPE = (24, 60, 60)


def affine() -> np.ndarray:
    matrix = np.zeros((4, 4))
    for axis, (world, step) in enumerate(zip((2, 1, 0), SPACING, strict=True)):
        matrix[world, axis] = step
    matrix[:, 3] = [-60.0, -50.0, -200.0, 1.0]
    return matrix


def labels_of(lesion: np.ndarray, lung: np.ndarray) -> LesionLabels:
    classes = np.where(lesion, 3, np.where(lung, 1, 0)).astype(np.uint8)
    return LesionLabels(classes, lesion.astype(np.int32), affine())


def block() -> LesionLabels:
    """A lesion of one block in a lung that is a larger block."""
    lesion, lung = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    lung[2:22, 5:55, 5:55] = True
    lesion[8:12, 20:30, 20:30] = True
    return labels_of(lesion, lung)


def spot(*index: int) -> Heatmap:
    values = np.zeros(SHAPE, np.float32)
    values[index] = 2.0
    return Heatmap(values, VoxelGrid(), SHAPE, affine(), "layer", "method")


def test_a_hit_lies_within_the_margin_in_millimetres() -> None:
    truth = LesionTruth(block())
    inside = truth.localise(spot(9, 25, 25))
    assert inside.hit
    assert inside.distance_mm == pytest.approx(0)
    assert inside.heat_in_lesions == pytest.approx(1)
    # 7 columns of 2 mm beyond the last column of the lesion, 29, are 14 mm; 8 are 16 mm.
    assert truth.localise(spot(9, 25, 36)).hit
    assert truth.localise(spot(9, 25, 36)).distance_mm == pytest.approx(14)
    assert not truth.localise(spot(9, 25, 37)).hit
    # 3 slices of 5 mm are 15 mm, which is still within; a diagonal is longer.
    assert truth.localise(spot(14, 25, 25)).hit
    assert not truth.localise(spot(14, 25, 31)).hit
    assert truth.localise(spot(14, 25, 31)).distance_mm == pytest.approx(np.hypot(15, 4))
    outside = truth.localise(spot(0, 0, 0))
    assert (outside.heat_in_lesions, outside.heat_in_lung) == (0, 0)


def test_chance_is_the_share_of_the_lung_within_the_margin() -> None:
    rng = np.random.default_rng(0)
    lung = np.zeros(SHAPE, bool)
    lung[2:22, 5:55, 5:55] = True
    lesion = ndimage.gaussian_filter(rng.normal(size=SHAPE), 3) > 0.035
    lesion &= lung
    distance = ndimage.distance_transform_edt(~lesion, sampling=SPACING)
    exact = (distance[lung] <= 15).mean()
    truth = LesionTruth(labels_of(lesion, lung))
    assert 0.2 < exact < 0.95
    assert truth.chance == pytest.approx(exact, abs=0.02)
    found = truth.localise(spot(9, 25, 25))
    assert found.lesions_of_lung == pytest.approx(lesion.sum() / lung.sum())


def test_a_random_point_hits_as_often_as_chance_says() -> None:
    truth, rng = LesionTruth(block()), np.random.default_rng(1)
    lung = np.argwhere(truth.labels.classes > 0)
    drawn = lung[rng.integers(len(lung), size=4000)]
    points = drawn @ affine()[:3, :3].T + affine()[:3, 3]
    low, high = proportion_confint(truth.hits(points).sum(), 4000, alpha=0.001, method="wilson")
    assert low < truth.chance < high


def test_no_lesion_is_no_truth() -> None:
    with pytest.raises(CovidlitError, match="no lesion"):
        LesionTruth(labels_of(np.zeros(SHAPE, bool), np.ones(SHAPE, bool)))


def found(hit: bool, chance: float, inside: float, in_lung: float, of_lung: float) -> Localisation:
    return Localisation(hit, 0.0 if hit else 99.0, chance, inside, in_lung, of_lung)


def test_the_rates_of_a_group_of_scans() -> None:
    scans = [found(True, 0.2, 0.3, 0.6, 0.1), found(False, 0.1, 0.1, 0.8, 0.05)] * 10
    rate = hit_rate(scans, Sampling.independent(20))
    low, high = proportion_confint(10, 20, method="wilson")
    assert (rate.hit_rate.value, rate.hit_rate.low) == (0.5, pytest.approx(low))
    assert rate.hit_rate.high == pytest.approx(high)
    assert rate.chance.value == pytest.approx(0.15)
    assert rate.times_chance.value == pytest.approx(0.5 / 0.15)
    assert rate.times_even.value == pytest.approx(0.2 / (0.7 * 0.075))
    assert rate.times_chance.low is not None
    assert rate.times_chance.low < 0.5 / 0.15 < rate.times_chance.high
    assert "10 of 20 scans" in rate.sentence
    assert not hit_rate([], Sampling.independent(0)).hit_rate.defined


def test_the_claim_of_lower_weights_is_tested() -> None:
    rng = np.random.default_rng(2)
    positive = np.repeat([True, False], [40, 60])
    maxima = rng.gamma(2, size=100) + 1.5 * positive
    claim = lower_weights_claim(positive, maxima, Sampling.independent(100))
    expected = stats.mannwhitneyu(maxima[:40], maxima[40:], alternative="greater")
    assert claim.p_value == pytest.approx(expected.pvalue)
    assert claim.auc.value == pytest.approx(expected.statistic / (40 * 60))
    assert claim.auc == auc_estimate(positive, maxima)
    assert claim.holds
    assert not lower_weights_claim(~positive, maxima, Sampling.independent(100)).holds
    assert (
        "cannot be tested"
        in lower_weights_claim(np.ones(3, bool), np.ones(3), Sampling.independent(3)).sentence
    )
