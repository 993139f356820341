"""Preparation of numbers: against scikit-learn, and where there is nothing to learn from."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm, rankdata
from sklearn.feature_selection import f_classif
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from covidlit.errors import ConfigError
from covidlit.models.fusion_ann.fit import fit_preparation
from covidlit.models.fusion_ann.preparation import Preparation

NAMES = ("a", "b", "c")


def drawn(n: int = 80, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    target = np.arange(n) % 2
    return rng.lognormal(size=(n, 3)) + target[:, None] * [1.0, 0.1, 0.0], target


def prepared(settings: dict[str, object], values: NDArray[np.float64]) -> NDArray[np.float64]:
    return Preparation(settings)(values)


@given(seed=st.integers(0, 10_000))
def test_quantiles_are_those_of_scikit_learn(seed: int) -> None:
    values, target = drawn(60, seed)
    settings = fit_preparation(values, target, range(3), NAMES)
    own = QuantileTransformer(n_quantiles=60, output_distribution="uniform").fit(values)
    new = np.concatenate([values, values * 1.1 - 0.05])
    bound = settings["bound"]
    expected = norm.ppf(own.transform(new).clip(bound, 1 - bound))
    np.testing.assert_allclose(prepared(settings, new), expected, atol=2e-4)


@given(seed=st.integers(0, 10_000))
def test_equal_values_have_the_mean_of_their_places(seed: int) -> None:
    values, target = drawn(60, seed)
    values = np.round(values * 2)
    settings = fit_preparation(values, target, range(3), NAMES)
    places = (rankdata(values, axis=0) - 1) / 59
    bound = settings["bound"]
    np.testing.assert_allclose(
        prepared(settings, values), norm.ppf(places.clip(bound, 1 - bound)), atol=2e-4
    )


def test_standard_values_are_those_of_scikit_learn() -> None:
    values, target = drawn()
    settings = fit_preparation(values, target, range(3), NAMES, transform="standard")
    expected = StandardScaler().fit_transform(values)
    np.testing.assert_allclose(prepared(settings, values), expected, atol=1e-6)


def test_what_is_missing_counts_as_the_median_and_is_said() -> None:
    values, target = drawn(81)
    values[::4, 1] = np.nan
    settings = fit_preparation(values, target, range(3), NAMES)
    found = prepared(settings, values)
    assert found.shape == (81, 4)
    at_median = values[:1].copy()
    at_median[0, 1] = np.nanmedian(values[:, 1])
    assert found[0, 1] == pytest.approx(prepared(settings, at_median)[0, 1])
    share = np.isnan(values[:, 1]).mean()
    np.testing.assert_allclose(found[:, 3], np.isnan(values[:, 1]) - share, atol=1e-6)
    assert Preparation(settings).feature_names == ["a", "b", "c", "b missing"]
    assert prepared(settings, np.full((1, 3), np.nan)).shape == (1, 4)


@pytest.mark.parametrize("constant", [0.1, 0.3, 30.0, np.nan])
def test_a_feature_without_values_or_with_one_alone_is_never_chosen(constant: float) -> None:
    values, target = drawn(70)
    target = (np.arange(70) < 40).astype(int)
    values[:, 0] = constant
    settings = fit_preparation(values, target, range(3), NAMES, k_best=1)
    assert settings["names"] in (["b"], ["c"])
    assert "a" not in settings["ranking"]
    assert settings["left_out"]["a"] in (
        "missing in all training rows", "the same in all training rows",
    )  # fmt: skip
    with pytest.raises(ConfigError, match="no feature varies"):
        fit_preparation(values, target, [0], ["a"])


def test_the_best_are_those_with_the_largest_f_values() -> None:
    values, target = drawn(200)
    settings = fit_preparation(values, target, range(3), NAMES, k_best=2)
    features = prepared(fit_preparation(values, target, range(3), NAMES), values)
    expected = f_classif(features, target)[0]
    np.testing.assert_allclose([settings["ranking"][n] for n in NAMES], expected, rtol=1e-4)
    assert settings["names"] == [NAMES[i] for i in sorted(np.argsort(-expected)[:2])]
    assert settings["left_out"] == {NAMES[int(np.argmin(expected))]: "not among the 2 best"}


def test_equal_numbers_stay_equal_in_either_precision() -> None:
    values = np.round(drawn(60)[0], 1)
    settings = fit_preparation(values, drawn(60)[1], range(3), NAMES)
    narrow = values.astype(np.float32)
    np.testing.assert_array_equal(prepared(settings, narrow), prepared(settings, values))
    places = (rankdata(values[:, 0]) - 1) / 59
    wanted = norm.ppf(places.clip(settings["bound"], 1 - settings["bound"]))
    np.testing.assert_allclose(prepared(settings, narrow)[:, 0], wanted, atol=1e-5)


def test_only_plain_numbers_are_kept() -> None:
    values, target = drawn()
    settings = fit_preparation(values, target, [2, 0], ["c", "a"], k_best=1)
    again = json.loads(json.dumps(settings))
    assert again == settings
    np.testing.assert_array_equal(prepared(again, values), prepared(settings, values))


@pytest.mark.parametrize(
    ("given", "said"),
    [({"transform": "log"}, "no transform 'log'"), ({"k_best": 0}, "at least 1"),
     ({"k_best": 1.5}, "at least 1"), ({"k_best": 4}, "3 features to choose from")],
)  # fmt: skip
def test_arguments_out_of_range_are_named(given: dict[str, object], said: str) -> None:
    values, target = drawn()
    with pytest.raises(ConfigError, match=said):
        fit_preparation(values, target, range(3), NAMES, **given)  # type: ignore[arg-type]


def test_a_preparation_without_its_numbers_is_refused() -> None:
    with pytest.raises(ConfigError, match="lacks"):
        Preparation({"columns": [0]})


@pytest.mark.parametrize(
    ("transform", "change", "said"),
    [
        ("quantile", {"transform": "log"}, "transform 'log'"),
        ("quantile", {"columns": [0, 1, -1]}, "no place"),
        ("quantile", {"columns": [0, 1, 1]}, "there twice"),
        ("quantile", {"names": ["a", "b"]}, "2 names"),
        ("quantile", {"bound": 0.0}, "bound is 0"),
        ("quantile", {"bound": float("nan")}, "bound is nan"),
        ("quantile", {"reference": [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]}, "b is not sorted"),
        ("quantile", {"reference": [[0.0, 1.0], [1.0], [0.0, 1.0]]}, "b is not 2 finite"),
        ("quantile", {"reference": [[0.0, float("inf")]] * 3}, "a is not 2 finite"),
        ("quantile", {"fill": [0.0, float("nan"), 0.0]}, "fill is not finite"),
        ("quantile", {"fill": [0.0, "x", 0.0]}, "else than numbers"),
        ("quantile", {"indicators": [[3, 0.1]]}, "indicator"),
        ("quantile", {"indicators": [[0, 1.5]]}, "indicator"),
        ("standard", {"reference": [[0.0, 1.0], [0.0, 0.0], [0.0, 1.0]]}, "deviation of b"),
        ("standard", {"reference": [[0.0, 1.0], [0.0, -1.0], [0.0, 1.0]]}, "deviation of b"),
    ],
)
def test_numbers_that_no_training_fits_are_refused(
    transform: str, change: dict[str, object], said: str
) -> None:
    values, target = drawn()
    settings = fit_preparation(values, target, range(3), NAMES, transform=transform)
    with pytest.raises(ConfigError, match=said):
        Preparation({**settings, **change})
