"""Rows held back from members of an ensemble, and the calibration that is learnt on them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from covidlit.tasks.held_out import calibrated, held_out_folds


def rows(n: int, positive: int) -> pd.DataFrame:
    names = [f"P{i // 2:03d}" for i in range(2 * n)]  # two rows of each patient
    return pd.DataFrame(
        {"patient_id": names, "target": [int(i < 2 * positive) for i in range(2 * n)]}
    )


def test_patients_stay_together_and_classes_are_spread() -> None:
    table = rows(60, 20)
    table["fold"] = held_out_folds(table, 5)
    assert (table.groupby("patient_id")["fold"].nunique() == 1).all()
    by_class = table.groupby(["target", "fold"]).size()
    assert by_class.loc[1].tolist() == [8] * 5
    assert by_class.loc[0].tolist() == [16] * 5


def test_the_order_of_the_table_does_not_matter() -> None:
    table = rows(40, 20)
    other = table.sample(frac=1, random_state=1)
    found = pd.Series(held_out_folds(other, 4), other.index).sort_index()
    assert found.tolist() == held_out_folds(table, 4)


@pytest.mark.parametrize("folds", [0, 5])
def test_too_few_patients_of_a_class_are_all_learnt_from(folds: int) -> None:
    assert set(held_out_folds(rows(30, 9), folds)) == {-1}


@pytest.mark.parametrize("seed", range(3))
def test_the_calibration_is_the_least_of_platts_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=200) * 3
    target = (rng.random(200) < 1 / (1 + np.exp(-(0.4 * logits - 1)))).astype(int)
    n_one, n_none = target.sum(), (1 - target).sum()
    wanted = np.where(target == 1, (n_one + 1) / (n_one + 2), 1 / (n_none + 2))

    def loss(values: np.ndarray) -> float:
        z = values[0] * logits + values[1]
        return float(np.sum(np.logaddexp(0, z) - wanted * z))

    expected = minimize(loss, [1.0, 0.0], tol=1e-10).x
    np.testing.assert_allclose(calibrated(logits, target), expected, atol=1e-3)


def test_what_cannot_be_calibrated() -> None:
    assert calibrated(np.array([1.0, 2.0]), np.array([1, 1])) == (1.0, 0.0)
    apart = calibrated(np.array([-9.0, -8.0, 8.0, 9.0]), np.array([0, 0, 1, 1]))
    assert np.isfinite(apart).all()
    factor, offset = calibrated(np.array([-2.0, -1.0, 1.0, 2.0] * 9), np.array([1, 1, 0, 0] * 9))
    assert (factor, offset) == (0.0, 0.0)  # scores that point the wrong way say nothing
