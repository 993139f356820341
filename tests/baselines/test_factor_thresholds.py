"""Detection by thresholds: against scikit-learn's ROC curve, and what must hold of any table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import recall_score, roc_auc_score, roc_curve

from covidlit.baselines import ClassicalModel, FactorThresholds, load_model
from covidlit.baselines.classifier import build_classifier, build_pipeline
from covidlit.baselines.factor_thresholds.intervals import weighted_cuts
from covidlit.baselines.factor_thresholds.rule import (
    choose_shape,
    learn_cuts,
    ranked,
    shapes,
)
from covidlit.baselines.factor_thresholds.youden import youden_cut
from covidlit.baselines.folds import patient_folds
from covidlit.checkpoints.record import RunRecord
from covidlit.errors import CheckpointError, ConfigError

Table = tuple[NDArray[np.float64], NDArray[np.int64]]
seeds = st.integers(0, 10_000)


def table(seed: int, n: int = 60, columns: int = 4, ties: bool = True) -> Table:
    """Numbers of which the first columns tell two classes apart, with ties and missing values."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = rng.normal(size=(n, columns)) + np.linspace(1.5, 0, columns) * y[:, None]
    x = x.round(1) if ties else x
    return np.where(rng.random(x.shape) < 0.05, np.nan, x), y


@given(seeds, st.booleans(), st.booleans())
def test_one_threshold_is_scikit_learns_best(seed: int, above: bool, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(30) % 3 == 0)
    values = (rng.normal(size=30) + y).round(1 if ties else 9) * (1 if above else -1)
    cut = youden_cut(values, y, above)
    false, true, places = roc_curve(y, values if above else -values, drop_intermediate=False)
    best = (true - false)[1:-1].max()
    if cut is None:
        assert best <= 1e-12
        return
    assert cut.youden == pytest.approx(best)
    called = values >= cut.threshold if above else values <= cut.threshold
    assert (called == cut.beyond(values)).all()
    assert recall_score(y, called) == pytest.approx(cut.sensitivity)
    assert recall_score(~y, ~called) == pytest.approx(cut.specificity)
    # Of equal thresholds the strictest; between the value that scikit-learn names and the next one.
    strictest = places[1:-1][(true - false)[1:-1] >= best - 1e-12].max()
    signed = values if above else -values
    inside, outside = signed[signed >= strictest].min(), signed[signed < strictest].max()
    assert abs(cut.threshold) == pytest.approx(abs((inside + outside) / 2))


def test_what_tells_nothing_has_no_threshold() -> None:
    y = np.array([True, False, True, False])
    assert youden_cut(np.ones(4), y) is None
    assert youden_cut(np.array([1.0, np.nan, 1.0, np.nan]), y) is None
    assert youden_cut(np.full(4, np.nan), y) is None
    assert youden_cut(np.array([0.0, 1.0, 0.0, 1.0]), y, above=True) is None
    cut = youden_cut(np.array([0.0, 1.0, 0.0, 1.0]), y, above=None)
    assert cut is not None
    assert not cut.above
    assert cut.threshold == 0.5


def test_a_threshold_between_neighbouring_floats_keeps_them_apart() -> None:
    low = 0.1
    values = np.array([low, np.nextafter(low, 1)])
    cut = youden_cut(values, np.array([False, True]))
    assert cut is not None
    assert cut.beyond(values).tolist() == [False, True]


@given(seeds)
def test_the_order_of_the_rows_does_not_matter(seed: int) -> None:
    x, y = table(seed)
    order = np.random.default_rng(seed).permutation(len(y))
    one = FactorThresholds(n_factors=3, k=2, n_bootstrap=0).fit(x, y)
    other = FactorThresholds(n_factors=3, k=2, n_bootstrap=0).fit(x[order], y[order])
    assert one.factors_ == other.factors_
    assert one.thresholds_.tolist() == other.thresholds_.tolist()
    assert one.predict_proba(x).tolist() == other.predict_proba(x).tolist()


@given(seeds, st.sampled_from(["best", "any", "all", "at_least_k"]))
def test_the_score_is_half_where_the_rule_calls_and_never_falls_towards_disease(
    seed: int, rule: str
) -> None:
    x, y = table(seed)
    made = FactorThresholds(rule=rule, folds=3, n_bootstrap=0, direction="learnt").fit(x, y)
    scores = made.predict_proba(x)[:, 1]
    assert ((scores >= 0) & (scores <= 1)).all()
    votes = np.zeros(len(x), dtype=int)
    for column, threshold, above in zip(made.factors_, made.thresholds_, made.above_, strict=True):
        known = np.isfinite(x[:, column])
        side = x[:, column] >= threshold if above else x[:, column] <= threshold
        votes += known & side
    assert ((scores >= 0.5) == (votes >= made.k_)).all()
    assert (made.predict(x) == (votes >= made.k_)).all()
    further = x.copy()
    for column, above in zip(made.factors_, made.above_, strict=True):
        further[:, column] += 0.7 if above else -0.7
    assert (made.predict_proba(further)[:, 1] >= scores).all()


def test_of_one_factor_the_roc_curve_is_the_factors_own() -> None:
    x, y = table(3, n=200, ties=False)
    x = np.nan_to_num(x, nan=-5.0)
    new, truth = table(4, n=200, ties=False)
    new = np.nan_to_num(new, nan=-5.0)
    made = FactorThresholds(rule="best", n_bootstrap=0).fit(x, y)
    scores = made.predict_proba(new)[:, 1]
    assert roc_auc_score(truth, scores) == roc_auc_score(truth, new[:, made.factors_[0]])
    extreme = np.full((2, 4), [[1e6], [1e5]])
    far, less = made.predict_proba(extreme)[:, 1]
    assert 1 > far > less


def test_the_place_in_a_score_is_that_of_the_training_scans() -> None:
    x = np.array([[0.0], [1.0], [2.0], [10.0], [20.0], [40.0]])
    y = np.array([0, 0, 0, 1, 1, 1])
    made = FactorThresholds(rule="best", n_bootstrap=0).fit(x, y)
    assert made.thresholds_.tolist() == [6.0]
    at = made.predict_proba(np.array([[6.0], [20.0], [1.0], [np.nan]]))[:, 1]
    assert at.tolist() == [0.5, 0.75, 0.25, 0.0]


def test_a_constant_factor_is_never_chosen() -> None:
    x, y = table(0)
    x = np.column_stack([np.full(len(y), 7.0), x])
    for rule in ("best", "any", "all", "at_least_k"):
        made = FactorThresholds(rule=rule, folds=3, n_bootstrap=0).fit(x, y)
        assert 0 not in made.factors_
    made = FactorThresholds(rule="any", n_factors=5, n_bootstrap=0).fit(x, y)
    assert 0 not in made.factors_
    with pytest.raises(ValueError, match="no factor tells"):
        FactorThresholds(rule="best").fit(np.ones((4, 2)), np.array([0, 1, 0, 1]))


def test_an_undefined_factor_is_not_beyond_its_threshold() -> None:
    x, y = table(1)
    made = FactorThresholds(rule="all", n_factors=2, n_bootstrap=0).fit(x, y)
    rows = np.full((1, 4), 9.0)
    assert made.predict(rows).tolist() == [1]
    rows[0, made.factors_[0]] = np.nan
    assert made.predict(rows).tolist() == [0]
    any_of = FactorThresholds(rule="any", n_factors=2, n_bootstrap=0).fit(x, y)
    assert any_of.predict(rows).tolist() == [1]


def test_equal_factors_and_shapes_are_settled_by_order_and_simplicity() -> None:
    y = np.array([0, 0, 0, 1, 1, 1] * 5)
    x = np.column_stack([y, y, y]).astype(float)
    cuts = learn_cuts(x, y == 1, [True] * 3)
    assert ranked(cuts) == [0, 1, 2]
    made = FactorThresholds(folds=3, n_bootstrap=0).fit(x, y)
    assert (made.factors_, made.k_) == ([0], 1)
    assert made.held_out_youden_ == 1.0
    assert shapes("at_least_k", 3, None, None)[:3] == [(1, 1), (2, 2), (2, 1)]
    assert shapes("at_least_k", 3, None, 2) == [(2, 2), (3, 2)]


@given(seeds)
def test_the_shape_is_the_best_on_scans_that_were_held_back(seed: int) -> None:
    x, y = table(seed)
    target, people = y == 1, np.arange(len(y))
    folds = patient_folds(y, people, 3, seed=0, where="folds")
    allowed = shapes("at_least_k", 4, None, None)
    shape, found = choose_shape(x, target, [True] * 4, allowed, folds)

    def held_out(size: int, k: int) -> float:
        called = np.zeros(len(y), dtype=bool)
        for fit, call in folds:
            cuts = learn_cuts(x[fit], target[fit], [True] * 4)
            order = ranked(cuts)[:size]
            votes = sum(cuts[c].beyond(x[call, c]) for c in order)  # type: ignore[union-attr]
            called[call] = votes >= min(k, len(order))
        return float(called[target].mean() - called[~target].mean())

    values = [held_out(*each) for each in allowed]
    assert found == pytest.approx(max(values))
    first = next(i for i, value in enumerate(values) if value >= max(values) - 1e-12)
    assert shape == allowed[first]


def test_what_is_chosen_is_not_optimistic_where_there_is_nothing_to_learn() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(30):
        x, y = rng.normal(size=(60, 8)), np.arange(60) % 2
        made = FactorThresholds(rule="best", direction="learnt", n_bootstrap=0).fit(x, y)
        held, truth = rng.normal(size=(60, 8)), np.arange(60) % 2
        cut = youden_cut(x[:, made.factors_[0]], y == 1, None)
        assert cut is not None
        called = made.predict(held)
        found.append((cut.youden, called[truth == 1].mean() - called[truth == 0].mean()))
    apparent, honest = np.mean(found, axis=0)
    assert apparent > 0.25  # that of the training scans, which the table calls optimistic
    assert abs(honest) < 0.1


def test_directions_are_those_of_the_definitions_unless_they_are_learnt() -> None:
    x, y = table(5)
    features = pd.DataFrame({"name": list("abcd"), "worse": ["low", "high", None, "low"]})
    made = FactorThresholds(rule="any", n_factors=4, n_bootstrap=0)
    made.name_features(features)
    made.fit(x, y)
    sides = dict(zip(made.factors_, made.above_.tolist(), strict=True))
    assert all(sides[column] == side for column, side in ((1, True),) if column in sides)
    assert not any(sides.get(column) for column in (0, 3))
    learnt = clone(made).set_params(direction="learnt").fit(x, y)
    assert dict(zip(learnt.factors_, learnt.above_.tolist(), strict=True))[0]
    assert "beyond their thresholds" in learnt.sentence()


@given(seeds)
def test_a_bootstrap_sample_is_a_table_of_its_own(seed: int) -> None:
    x, y = table(seed, n=24)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(24, np.full(24, 1 / 24), 20)
    for above in (True, False):
        found = weighted_cuts(x[:, 0], y == 1, weights, above)
        for row, threshold in zip(weights, found, strict=True):
            drawn = np.repeat(np.arange(24), row)
            labels = y[drawn] == 1
            if labels.all() or not labels.any():
                assert np.isnan(threshold)
                continue
            alone = youden_cut(x[drawn, 0], labels, above)
            assert np.isnan(threshold) if alone is None else threshold == alone.threshold


def test_intervals_draw_patients_and_hold_the_true_threshold() -> None:
    rng = np.random.default_rng(0)
    features = pd.DataFrame({"name": ["a"], "description": ["a"], "unit": ["mm"], "worse": None})
    held = []
    for _ in range(20):
        y = np.repeat([0, 1], 100)
        x = rng.normal(np.where(y == 1, 2.0, 0.0))[:, None]  # the best threshold is 1
        made = FactorThresholds(rule="best", n_bootstrap=200).fit(x, y)
        row = made.threshold_table(x, y, np.arange(200), features).iloc[0]
        held.append(row["low"] <= 1.0 <= row["high"])
        assert row["low"] < row["threshold"] < row["high"]
    assert sum(held) >= 17
    twice = made.threshold_table(x, y, np.arange(200), features).iloc[0]
    assert (twice["low"], twice["high"]) == (row["low"], row["high"])
    # Two scans of each of 100 patients, alike: as unsure as 100 scans, surer if 200 were drawn.
    y = np.repeat(y[::2], 2)
    x = np.repeat(x[::2], 2, axis=0)
    made = FactorThresholds(rule="best", n_bootstrap=400).fit(x, y)
    patients = made.threshold_table(x, y, np.repeat(np.arange(100), 2), features).iloc[0]
    scans = made.threshold_table(x, y, np.arange(200), features).iloc[0]
    assert patients["high"] - patients["low"] > scans["high"] - scans["low"]


def test_calibration_keeps_the_order_and_patients_together() -> None:
    x, y = table(2, n=80)
    people = np.repeat(np.arange(40), 2)
    pipeline = build_pipeline(FactorThresholds(folds=3, n_bootstrap=0), scale=False)
    folds = patient_folds(y, people, 3, seed=0, where="folds")
    made: Any = CalibratedClassifierCV(pipeline, method="sigmoid", cv=folds, ensemble=False)
    made.fit(x, y, classifier__patients=people)
    plain = FactorThresholds(folds=3, n_bootstrap=0).fit(x, y, people).predict_proba(x)[:, 1]
    probabilities = made.predict_proba(x)[:, 1]
    assert (np.diff(probabilities[np.argsort(plain, kind="stable")]) >= -1e-12).all()


def test_it_is_kept_and_comes_back_the_same(tmp_path: Path) -> None:
    x, y = table(7)
    pipeline = build_pipeline(FactorThresholds(folds=3), scale=False).fit(x, y)
    record = RunRecord(config={}, split_hash="", preprocess={"kind": "factors"})  # type: ignore[arg-type]
    model = ClassicalModel(pipeline, ("a", "b", "c", "d"), record)
    again = load_model(model.save(tmp_path / "model.skops"))
    assert again.scores_of(x) == model.scores_of(x)
    assert again.estimator[-1].sentence() == pipeline[-1].sentence()
    with pytest.raises(CheckpointError, match="takes no scan"):
        _ = again.record.volume_input


OWN = "covidlit.baselines.FactorThresholds"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "atleast_k"}, "did you mean at_least_k"),
        ({"direction": "up"}, r"classifier\.direction: there is no direction 'up'"),
        ({"n_factors": 9}, "whole number from 1 to 4, not 9"),
        ({"n_factors": 2, "k": 3}, "whole number from 1 to 2, not 3"),
        ({"k": True}, r"classifier\.k: must be null"),
        ({"rule": "any", "k": 2}, "rule=any settles it"),
        ({"rule": "best", "n_factors": 2}, "rule=best settles it"),
        ({"n_bootstrap": -1}, r"classifier\.n_bootstrap"),
        ({"confidence": 95}, "between 0 and 1, not 95"),
        ({"folds": 40}, "needs? as many patients|need as many patients"),
    ],
)
def test_settings_that_do_not_fit_are_refused(arguments: dict[str, Any], message: str) -> None:
    x, y = table(0)
    made: Any = build_classifier({"_target_": OWN, **arguments}, seed=0)
    with pytest.raises(ConfigError, match=message):
        made.fit(x, y)


def test_only_listed_classifiers_of_covidlit_are_built() -> None:
    with pytest.raises(ConfigError, match="must be a classifier of scikit-learn"):
        build_classifier({"_target_": "covidlit.baselines.ClassicalModel"}, seed=0)
    with pytest.raises(ConfigError, match="in their units"):
        build_pipeline(FactorThresholds(), scale=True)
    with pytest.raises(ConfigError, match="no such argument"):
        build_classifier({"_target_": OWN, "rules": "best"}, seed=0)
    with pytest.raises(ConfigError, match="more"):
        FactorThresholds().check_training(np.array([0, 1, 2]), np.arange(3))
