"""The threshold comes from validation scans or is fixed, and says so; never from test scans."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from covidlit.errors import PredictionsError
from covidlit.evaluation import evaluate
from covidlit.evaluation.operating_point import choose_threshold, operating_points

Predictions = Callable[..., pd.DataFrame]


def test_youden_reaches_the_best_j_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    target = rng.random(120) < 0.4
    score = np.round(np.clip(rng.normal(0.4 + 0.2 * target, 0.2), 0, 1), 2)
    fpr, tpr, _ = sk.roc_curve(target, score)
    called = score >= choose_threshold(target, score, "youden")
    j = sk.recall_score(target, called) + sk.recall_score(~target, ~called) - 1
    assert j == pytest.approx((tpr - fpr).max())


def test_threshold_lies_half_way_between_two_scores() -> None:
    target, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.7, 0.9])
    assert choose_threshold(target, score, "youden") == pytest.approx(0.5)


@pytest.mark.parametrize("wanted", [0.5, 0.9, 1.0])
def test_targeted_rules_reach_their_target_at_the_smallest_price(wanted: float) -> None:
    rng = np.random.default_rng(1)
    target = rng.random(100) < 0.5
    score = np.clip(rng.normal(0.4 + 0.2 * target, 0.2), 0, 1)
    for rule, own in ((f"sensitivity>={wanted}", target), (f"specificity>={wanted}", ~target)):
        called = (score >= choose_threshold(target, score, rule)) == target
        reached = called[own].mean()
        assert wanted <= reached < wanted + 0.05


def test_test_scores_do_not_move_the_threshold(predictions: Predictions) -> None:
    table = predictions()
    before = operating_points(table)[None]
    test = table["part"] == "test"
    table.loc[test, "score"] = 1 - table.loc[test, "score"]
    after = operating_points(table)[None]
    assert after == before
    assert (before.chosen_on, before.n, before.rule) == ("validation", 60, "youden")


def test_without_validation_the_threshold_is_fixed_and_marked(predictions: Predictions) -> None:
    table = predictions()
    result = evaluate(table[table["part"] == "test"], n_bootstrap=100).to_dict()
    point = result["operating_points"][0]
    assert (point["threshold"], point["chosen_on"], point["rule"]) == (0.5, None, "fixed")
    assert "no scored validation" in point["note"]
    assert {"no_validation", "threshold_fixed"} <= {item["code"] for item in result["cautions"]}


def test_a_rule_by_name_is_not_replaced_silently(predictions: Predictions) -> None:
    table = predictions()
    one_class = table[(table["part"] == "test") | (table["target"] == 1)]
    with pytest.raises(PredictionsError, match="all of one class"):
        evaluate(one_class, operating_point="youden", n_bootstrap=100)
    assert evaluate(one_class, n_bootstrap=100).to_dict()["operating_points"][0]["note"]


def test_a_number_is_taken_as_it_is(predictions: Predictions) -> None:
    point = operating_points(predictions(), 0.3)[None]
    assert (point.threshold, point.chosen_on) == (0.3, None)


@pytest.mark.parametrize("wrong", ["yuden", "sensitivity=0.9", "sensitivity>=1.5", 1.5])
def test_unknown_rule_is_refused_with_the_choices(wrong: str | float) -> None:
    with pytest.raises(PredictionsError, match="operating_point"):
        operating_points(pd.DataFrame(), wrong)


def test_every_fold_has_its_own_threshold(folds: list[pd.DataFrame]) -> None:
    result = evaluate(pd.concat(folds), n_bootstrap=100).to_dict()
    thresholds = {point["fold"]: point["threshold"] for point in result["operating_points"]}
    assert thresholds[0] != thresholds[1]
    listed = result["parts"]["test"]["folds"]
    assert {row["fold"]: row["threshold"] for row in listed} == thresholds
    tp = sum(round(row["sensitivity"]["value"] * row["n_positive"]) for row in listed)
    assert tp == result["parts"]["test"]["confusion"]["tp"]


@pytest.mark.parametrize(
    ("rule", "missed", "alarm", "prevalence"),
    [("cost:10:1", 10, 1, None), ("cost:1:4", 1, 4, None), ("cost:20:1@0.05", 20, 1, 0.05)],
)
def test_no_other_threshold_costs_less(
    rule: str, missed: float, alarm: float, prevalence: float | None
) -> None:
    rng = np.random.default_rng(2)
    target = rng.random(150) < 0.4
    score = np.round(np.clip(rng.normal(0.4 + 0.2 * target, 0.2), 0, 1), 2)
    share = target.mean() if prevalence is None else prevalence

    def price(threshold: float) -> float:
        called = score >= threshold
        miss, false = (~called)[target].mean(), called[~target].mean()
        return float(missed * share * miss + alarm * (1 - share) * false)

    least = min(price(value) for value in [*np.unique(score), 2.0])
    assert price(choose_threshold(target, score, rule)) == pytest.approx(least)


def test_equal_costs_at_even_prevalence_are_youdens_rule() -> None:
    rng = np.random.default_rng(3)
    target = rng.random(100) < 0.2
    score = rng.random(100) + 0.5 * target
    found = choose_threshold(target, score, "cost:3:3@0.5")
    assert found == choose_threshold(target, score, "youden")


def test_a_cost_is_told_in_words_and_a_wrong_one_refused(predictions: Predictions) -> None:
    point = operating_points(predictions(), "cost:10:1@0.05")[None]
    assert "a missed positive costs 10, a false alarm 1, prevalence 0.05" in point.sentence()
    point = operating_points(predictions(), "cost:10:1")[None]
    assert "prevalence that of these scans" in point.sentence()
    for wrong, message in {
        "cost:0:1": "above 0",
        "cost:10:1@1.5": "between 0 and 1",
        "cost:10": "unknown operating point",
    }.items():
        with pytest.raises(PredictionsError, match=message):
            operating_points(predictions(), wrong)
