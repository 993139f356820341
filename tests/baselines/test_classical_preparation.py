"""Scaling and missing values: fitted on training rows alone, and what is told of them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import quantile_transform
from sklearn.svm import SVC

from covidlit.baselines import BoostedTrees, ClassicalModel, FactorThresholds, load_model
from covidlit.baselines.classifier import build_classifier, build_pipeline
from covidlit.baselines.preparation import MISSING, QuantileNormal, untold_features
from covidlit.baselines.selection import selection_of
from covidlit.checkpoints.record import RunRecord
from covidlit.errors import ConfigError
from covidlit.models.fusion_ann.fit import fit_preparation
from covidlit.settings.tree import config_dir

RECORD = RunRecord.model_validate(
    {
        "config": {},
        "split_hash": "abc",
        "preprocess": {"kind": "factors", "columns": ["a"]},
        "model": "test",
    }
)


def table(seed: int = 0, n: int = 40) -> tuple[Any, Any]:
    """Skewed numbers with gaps; column 3 is empty, 4 is constant, 5 has one value or none."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = rng.lognormal(size=(n, 6))
    x[:, 0] += 2 * y
    x[rng.random(x.shape) < 0.2] = np.nan
    x[:, 3], x[:, 4] = np.nan, 0.3
    x[:, 5] = np.where(y == 1, 1.0, np.nan)
    return x, y


@pytest.mark.parametrize("missing", [way for way in MISSING if way != "own"])
@pytest.mark.parametrize("scale", [True, False, "quantile"])
def test_every_preparation_takes_gaps_constants_and_empty_columns_without_a_warning(
    scale: Any, missing: str, tmp_path: Path
) -> None:
    x, y = table()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", FutureWarning)
        made = build_pipeline(LogisticRegression(max_iter=5000), scale=scale, missing=missing)
        made.fit(x, y)
        scores = made.predict_proba(np.vstack([x, np.full((1, 6), np.nan), np.full((1, 6), 1e9)]))
    assert np.isfinite(scores).all()
    model = ClassicalModel(made, tuple("abcdef"), RECORD)
    again = load_model(model.save(tmp_path / "model.skops"))
    assert again.scores_of(x) == model.scores_of(x)
    # The empty and the constant column reach no classifier; where gaps are does if asked.
    gaps = 4 if missing == "median_indicator" else 0  # of columns 0, 1, 2 and 5
    assert made[-1].n_features_in_ == 3 + gaps


def test_a_gap_tells_only_with_indicators() -> None:
    x, y = table()
    x = x[:, 5:]  # one value in positive rows, none in negative ones
    with pytest.raises(ValueError, match="same in all training rows"):
        build_pipeline(LogisticRegression(), scale=True).fit(x, y)
    made = build_pipeline(LogisticRegression(), scale=True, missing="median_indicator").fit(x, y)
    assert (made.predict(x) == y).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 60))
def test_quantiles_are_scikit_learns_with_fewer_rows_than_quantiles(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.lognormal(size=(n, 2)).round(1)
    limit = stats.norm.isf(0.5 / n)
    expected = quantile_transform(x, n_quantiles=n, output_distribution="normal")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = QuantileNormal().fit(x).transform(x)
    assert found == pytest.approx(expected.clip(-limit, limit))
    beyond = QuantileNormal().fit(x).transform(np.array([[-1e9, 1e9]]))
    assert np.abs(beyond) == pytest.approx(np.full((1, 2), limit))


def test_nothing_of_the_held_out_rows_enters_the_preparation() -> None:
    x, y = table(n=60)
    made = build_pipeline(LogisticRegression(), scale="quantile", missing="median_indicator")
    first = clone(made).fit(x[:40], y[:40]).predict_proba(x[40:50])
    other = x.copy()
    other[50:] = 1e6
    assert (clone(made).fit(x[:40], y[:40]).predict_proba(other[40:])[:10] == first).all()
    median = made.fit(x[:40], y[:40]).named_steps["impute"].statistics_
    scaled = made[:3].transform(x[:40])
    assert median == pytest.approx(np.nanmedian(scaled, axis=0))


def test_own_leaves_gaps_to_a_classifier_that_takes_them() -> None:
    x, y = table()
    made = build_pipeline(BoostedTrees(n_estimators=20), scale=False, missing="own").fit(x, y)
    assert made["varying"].get_support().tolist() == [True, True, True, False, False, True]
    assert np.isnan(made[:-1].transform(x)).any()
    with pytest.raises(ConfigError, match="SVC takes no undefined values"):
        build_pipeline(SVC(), scale=True, missing="own")
    with pytest.raises(ConfigError, match="takes undefined values as they are"):
        build_pipeline(FactorThresholds(), scale=False, missing="median")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": "quantiles"}, "did you mean quantile"),
        ({"scale": None}, "true, false or quantile"),
        ({"scale": True, "missing": "mean"}, "there is no way 'mean'"),
        ({"scale": True, "missing": "iterativ"}, "did you mean iterative"),
    ],
)
def test_what_is_no_choice_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_pipeline(SVC(), **arguments)


def test_what_tells_nothing_is_named() -> None:
    x, _ = table()
    assert untold_features("abcdef", x) == {
        "d": "missing throughout", "e": "0.3 throughout", "f": "1 throughout",
    }  # fmt: skip


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("scale", [True, False, "quantile"])
def test_the_best_features_stay_whatever_is_done_about_gaps(
    scale: Any, missing: str, tmp_path: Path
) -> None:
    x, y = table()
    x[:, 2] = np.where(np.isnan(x[:, 2]), np.nan, 0.1 + 0.2)
    x[::2, 2] = np.where(np.isnan(x[::2, 2]), np.nan, 0.3)  # one value but for rounding
    classifier = BoostedTrees(n_estimators=5) if missing == "own" else LogisticRegression()
    made = build_pipeline(classifier, scale=scale, missing=missing, k_best=1).fit(x, y)
    assert selection_of(made, "abcdef").kept == ("a",)
    gaps = 1 if missing == "median_indicator" else 0  # of the feature that stays alone
    assert made[:-1].transform(x).shape == (40, 1 + gaps)
    model = ClassicalModel(made, tuple("abcdef"), RECORD)
    again = load_model(model.save(tmp_path / "model.skops"))
    assert again.scores_of(x) == model.scores_of(x)
    assert again.used_features == ("a",)
    other = x.copy()
    other[:, 1:] = 1e6
    assert again.scores_of(other) == model.scores_of(x)


def test_features_are_ranked_as_the_network_ranks_them() -> None:
    rng = np.random.default_rng(3)
    y = np.arange(90) % 2
    x = rng.lognormal(size=(90, 12)) + 0.4 * y[:, None] * rng.random(12)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:, 4] = 7.0
    names = [f"f{place}" for place in range(12)]
    network = fit_preparation(x, y, range(12), names, transform="standard", k_best=5)
    made = build_pipeline(LogisticRegression(), scale=True, k_best=5).fit(x, y)
    found = selection_of(made, names)
    assert list(found.kept) == network["names"]
    assert found.f_values == pytest.approx(network["ranking"], rel=1e-5)
    assert len(selection_of(made.set_params(k_best__k=99).fit(x, y), names).kept) == 11


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: build_pipeline(SVC(), scale=True, k_best=0), "at least 1, not 0"),
        (lambda: build_pipeline(SVC(), scale=True, k_best=1.5), "whole number"),
        (lambda: build_pipeline(FactorThresholds(), scale=False, k_best=3), "chooses among"),
    ],
)
def test_a_selection_that_cannot_be_is_refused(made: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        made()
    assert refused.value.where == "model.k_best"


@pytest.mark.parametrize("model", ["logistic_regression", "best_single", "lightgbm"])
def test_permuted_labels_are_chance_with_everything_fitted_inside_the_folds(model: str) -> None:
    """28 features with gaps that depend on nothing: what was fitted outside would show."""
    node = yaml.safe_load((config_dir() / "model" / f"{model}.yaml").read_text())
    short = {"n_estimators": 20} if model == "lightgbm" else {}
    classifier = build_classifier({**node["classifier"], **short}, 0)
    pipeline = build_pipeline(
        classifier, scale=node["scale"],
        missing="median_indicator" if node.get("missing", "median") == "median" else "own",
    )  # fmt: skip
    found = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        x = np.where(rng.random((200, 28)) < 0.1, np.nan, rng.lognormal(size=(200, 28)))
        y = rng.permutation(np.arange(200) % 2)
        for fit, score in StratifiedKFold(5, shuffle=True, random_state=seed).split(x, y):
            made = clone(pipeline).fit(x[fit], y[fit])
            found.append(roc_auc_score(y[score], made.predict_proba(x[score])[:, 1]))
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)
