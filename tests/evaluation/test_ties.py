"""Scores that differ by less than their rounding tell nothing apart, in any statistic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from covidlit.evaluation import compare, evaluate
from covidlit.evaluation.ties import rounding, tied

Predictions = Callable[..., pd.DataFrame]


def _logistic(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit))


def _told_apart_by(predictions: Predictions, difference: float, at: float = 0.4) -> pd.DataFrame:
    """A table in which every positive scan scores higher than every negative one, by so much."""
    table = predictions()
    place = np.arange(len(table)) / len(table)
    scores = at + difference * (table["target"].to_numpy(float) + 0.5 * place)
    return table.assign(score=scores)


def test_an_auc_of_one_does_not_rest_on_rounding(predictions: Predictions) -> None:
    evaluation = evaluate(_told_apart_by(predictions, 9e-14), n_bootstrap=100)
    test = evaluation.metrics["parts"]["test"]
    assert test["auc"]["value"] == 0.5
    assert test["auc_logit"]["value"] == 0.5
    assert test["score_spread"]["n_distinct"] == 1
    assert set(test["roc"]["fpr"]) == {0.0, 1.0}
    assert evaluation.metrics["operating_points"][0]["chosen_on"] is None
    assert "no_spread" in {caution["code"] for caution in evaluation.metrics["cautions"]}


def test_what_a_score_does_tell_apart_stays_apart(predictions: Predictions) -> None:
    for difference, at in ((1e-4, 0.4), (1e-9, 1e-9), (1e-5, 0.999)):
        table = _told_apart_by(predictions, difference, at)
        evaluation = evaluate(table, n_bootstrap=100)
        assert evaluation.estimate("auc").value == 1.0, (difference, at)
        assert evaluation.estimate("sensitivity").value == 1.0
        assert evaluation.estimate("specificity").value == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_noise_below_the_rounding_changes_no_statistic(predictions: Predictions, seed: int) -> None:
    generator = np.random.default_rng(seed)
    table = predictions()
    exact = table["score"].round(2).clip(0.01, 0.99)  # with many exact ties
    noise = generator.uniform(-0.25, 0.25, len(table)) * rounding(exact.to_numpy())
    found = [
        evaluate(table.assign(score=score), n_bootstrap=200) for score in (exact, exact + noise)
    ]
    truth = table[table["part"] == "test"]
    reference = roc_auc_score(truth["target"].astype(int), exact[truth.index])
    for evaluation in found:
        assert evaluation.estimate("auc").value == pytest.approx(reference, abs=1e-12)
    for measure in ("auc", "sensitivity", "specificity", "ppv"):
        first, second = (evaluation.estimate(measure) for evaluation in found)
        assert (first.value, first.low, first.high) == (second.value, second.low, second.high)


def test_models_that_differ_by_rounding_do_not_differ(predictions: Predictions) -> None:
    table = predictions().assign(model="one")
    exact = table["score"].round(2).clip(0.01, 0.99)
    better = exact * (1 + 1e-12 * table["target"].astype(float))  # breaks each tie the right way
    two = table.assign(model="two", run_id="two", score=better)
    result = compare([table.assign(score=exact), two], n_bootstrap=100)
    values = {value for row in result.to_dict()["models"] for value in [row["auc"]["value"]]}
    assert len(values) == 1


def test_float32_of_the_same_logit_in_another_order_is_the_same_score() -> None:
    """Logits with the rounding that was measured, as float32 gives their probabilities."""
    generator = np.random.default_rng(0)
    logit = np.repeat(np.arange(-16, 17).astype(np.float32), 20)
    noise = generator.uniform(-5e-7, 5e-7, len(logit))
    score = _logistic(logit.astype(float) + noise).astype(np.float32)
    for value in np.unique(logit):
        assert len(np.unique(tied(score)[logit == value])) == 1, value
    apart = tied(score)[::20]
    assert (np.diff(apart[logit[::20] <= 14]) > 0).all()


def test_scores_without_a_near_neighbour_keep_every_bit() -> None:
    score = np.random.default_rng(0).permutation(np.linspace(1e-6, 1 - 1e-6, 1001))
    assert np.array_equal(tied(score), score)
    some = np.array([0.2, np.nan, 0.2, 0.9])
    assert np.array_equal(tied(some), some, equal_nan=True)
    assert len(tied(np.array([]))) == 0
    assert np.isnan(tied(np.full(2, np.nan))).all()


def test_a_score_beside_the_threshold_is_called_as_its_equals(predictions: Predictions) -> None:
    table = predictions()
    near = 0.5 + np.where(np.arange(len(table)) % 2 == 0, -1e-15, 1e-15)
    evaluation = evaluate(table.assign(score=near), operating_point=0.5, n_bootstrap=100)
    sensitivity = evaluation.estimate("sensitivity").value
    assert sensitivity in (0.0, 1.0)


def test_a_threshold_below_all_scores_leaves_room_for_rounding(predictions: Predictions) -> None:
    table = predictions()
    evaluation = evaluate(table, operating_point="sensitivity>=1.0", n_bootstrap=100)
    validation = table[(table["part"] == "validation") & (table["target"] == 1)]
    lowest = validation["score"].min()
    assert evaluation.metrics["operating_points"][0]["threshold"] < lowest
