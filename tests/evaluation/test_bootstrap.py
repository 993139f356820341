"""The patient bootstrap: draws patients, repeats by seed, weights as in a real resample."""

from __future__ import annotations

import numpy as np
import pytest
from calls import count_calls
from sklearn.metrics import roc_auc_score

from covidlit.evaluation.bootstrap import Sampling, weighted_auc
from covidlit.evaluation.calibration import calibration


def test_weights_keep_the_scans_of_a_patient_together() -> None:
    patient = np.array(["a", "b", "a", "c", "a"])
    weights = np.concatenate(list(Sampling(patient, n_bootstrap=300).weights()))
    assert weights.shape == (300, 5)
    assert (weights[:, [0]] == weights[:, [2, 4]]).all()
    np.testing.assert_array_equal(weights[:, [0, 1, 3]].sum(axis=1), 3)
    assert weights[:, 0].mean() == pytest.approx(1, abs=0.15)


def test_same_seed_same_replicates_and_chunks_do_not_matter() -> None:
    patient = np.arange(50)

    def total(weights: np.ndarray) -> np.ndarray:
        return weights @ np.arange(50.0)

    first = Sampling(patient, n_bootstrap=200, seed=1).distribution(total)
    again = Sampling(patient, n_bootstrap=200, seed=1).distribution(total)
    other = Sampling(patient, n_bootstrap=200, seed=2).distribution(total)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_weighted_auc_equals_scikit_learn_on_the_resampled_scans() -> None:
    rng = np.random.default_rng(0)
    target, score = rng.random(60) < 0.5, np.round(rng.random(60), 1)
    sampling = Sampling(rng.integers(20, size=60), n_bootstrap=100)
    weights = next(iter(sampling.weights()))
    found = weighted_auc(target, score, weights)
    wanted = [roc_auc_score(target, score, sample_weight=row) for row in weights]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_bootstrap_standard_error_of_a_mean_is_the_textbook_one() -> None:
    values = np.random.default_rng(0).normal(size=400)
    sampling = Sampling(np.arange(400), n_bootstrap=2000)
    spread = sampling.distribution(lambda weights: weights @ values / weights.sum(axis=1)).std()
    assert spread == pytest.approx(values.std() / 20, rel=0.06)


def test_no_interval_if_most_replicates_are_undefined_or_none_varies() -> None:
    sampling = Sampling(np.arange(10))
    assert sampling.percentile([np.nan] * 6 + [1.0, 2.0]) is None
    assert sampling.percentile([1.0] * 100) is None


def test_two_thousand_replicates_are_computed_together() -> None:
    """A loop over them would call functions for each."""
    rng = np.random.default_rng(0)
    target = rng.random(549) < 0.39
    score = np.clip(rng.normal(0.3 + 0.4 * target, 0.15), 0, 1)

    def work(n_bootstrap: int) -> None:
        sampling = Sampling(np.arange(549), n_bootstrap=n_bootstrap)
        sampling.distribution(lambda weights: weighted_auc(target, score, weights))
        calibration(target, score, sampling)

    few, many = (count_calls(lambda n=n: work(n)) for n in (200, 2200))
    assert many - few < 2000
