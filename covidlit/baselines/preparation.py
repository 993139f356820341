"""What makes a table of features usable for a classifier: fitted on training rows alone.

Undefined values (NaN) pass through scaling and are filled after it, so that a filled value has no
part in the mean, spread or quantiles of the measured ones.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  what the next line needs
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from covidlit.baselines.selection import KBestFeatures
from covidlit.cohort.feature_ranking import check_k_best, varies
from covidlit.errors import ConfigError, did_you_mean

log = logging.getLogger(__name__)

Scale = bool | Literal["quantile"]
MISSING = ("median", "median_indicator", "iterative", "own")
"""What may be done about undefined values; `own`: the classifier takes them as they are."""

_ROUNDS = 25


class EmptyFeatures(TransformerMixin, BaseEstimator):
    """Gives features without a single value in the training rows the value 0, in any row.

    They keep their place, tell nothing, and are dropped with what does not vary.

    Attributes:
        empty_: (features,) bool.
    """

    def fit(self, x: NDArray[np.floating], y: object = None) -> Self:
        """Find the features without a value; x: (n, features), NaN where undefined."""
        self.empty_ = np.isnan(np.asarray(x, dtype=np.float64)).all(axis=0)
        return self

    def transform(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, features), 0 in these columns."""
        return np.where(self.empty_, 0.0, np.asarray(x, dtype=np.float64))


class VaryingFeatures(TransformerMixin, BaseEstimator):
    """Drops features that have one value in all training rows, but for rounding.

    Before scaling, which would make a feature of the rounding, and before a selection, where a
    constant may rank first.

    Args:
        count_missing: a feature that has one value in some rows and none in the others varies.

    Attributes:
        varying_: (features,) bool.
    """

    def __init__(self, count_missing: bool = False) -> None:
        self.count_missing = count_missing

    def fit(self, x: NDArray[np.floating], y: object = None) -> Self:
        """Find what varies; x: (n, features), NaN where undefined.

        Raises:
            ValueError: nothing varies.
        """
        values = np.asarray(x, dtype=np.float64)
        missing = np.isnan(values)
        spread = varies(values)
        mixed = missing.any(axis=0) & ~missing.all(axis=0)
        self.varying_ = spread | mixed if self.count_missing else spread
        if not self.varying_.any():
            raise ValueError("every feature is the same in all training rows, or missing there")
        return self

    def transform(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, those that vary)."""
        return np.asarray(x, dtype=np.float64)[:, self.varying_]

    def get_support(self) -> NDArray[np.bool_]:
        """(features,) bool, true for those that vary."""
        return self.varying_


class QuantileNormal(TransformerMixin, BaseEstimator):
    """Gives each feature the quantiles of a standard normal distribution, by the training rows.

    scikit-learn's QuantileTransformer with no more quantiles than rows, and without its ends: what
    lies at or beyond the outermost of n training values becomes the normal quantile of 0.5 / n (or
    1 - 0.5 / n), not -5.2 (or 5.2), which would make an outlier of every extreme.

    Args:
        n_quantiles: at most.

    Attributes:
        transformer_: the fitted QuantileTransformer.
        limit_: (features,) the largest absolute value.
    """

    def __init__(self, n_quantiles: int = 1000) -> None:
        self.n_quantiles = n_quantiles

    def fit(self, x: NDArray[np.floating], y: object = None) -> Self:
        """Learn the quantiles; x: (n, features), NaN where undefined, each with a value."""
        values = np.asarray(x, dtype=np.float64)
        self.transformer_ = QuantileTransformer(
            n_quantiles=min(self.n_quantiles, len(values)),
            output_distribution="normal",
            subsample=max(len(values), self.n_quantiles),
        ).fit(values)
        known = (~np.isnan(values)).sum(axis=0)
        self.limit_ = np.abs(ndtri(0.5 / np.maximum(known, 1)))
        return self

    def transform(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, features), NaN where undefined."""
        found = self.transformer_.transform(np.asarray(x, dtype=np.float64))
        return np.clip(found, -self.limit_, self.limit_)


class IterativeImputation(IterativeImputer):
    """scikit-learn's IterativeImputer, which says in the log and not by a warning how it ended."""

    def fit_transform(
        self,
        X: NDArray[np.floating],  # noqa: N803  scikit-learn's name
        y: object = None,
        **params: Any,
    ) -> NDArray[np.float64]:
        """Learn each feature from the others, and fill; X: (n, features)."""
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", ConvergenceWarning)
            found: NDArray[np.float64] = super().fit_transform(X, y, **params)
        if any(issubclass(each.category, ConvergenceWarning) for each in told):
            log.info("Iterative imputation ended after %d rounds, unconverged.", self.max_iter)
        return found


def preparation_steps(
    scale: Scale, missing: str, seed: int, k_best: int | None = None
) -> list[tuple[str, Any]]:
    """The steps before a classifier.

    Args:
        scale: True: mean 0 and standard deviation 1; "quantile": see `QuantileNormal`; False.
        missing: one of `MISSING`. Median and iterative fill values that are undefined;
            `median_indicator` adds a column per feature that has such values in training.
        seed: of the iterative imputation.
        k_best: so many features with the largest F values stay, see
            `covidlit.baselines.selection.KBestFeatures`; None: all.

    Raises:
        ConfigError: there is no such choice.
    """
    check_preparation(scale, missing)
    check_k_best(k_best, None, "model.k_best")
    counts = missing in ("own", "median_indicator")
    steps: list[tuple[str, Any]] = [
        ("empty", EmptyFeatures()),
        ("varying", VaryingFeatures(count_missing=counts)),
        ("scale", _scaler(scale)),
        *([] if k_best is None else [("k_best", KBestFeatures(k_best))]),
        ("impute", _imputer(missing, seed)),
    ]
    if missing == "median_indicator":  # of a feature with one value, its absence alone may tell
        steps.append(("telling", VaryingFeatures()))
    return steps


def check_preparation(scale: object, missing: object) -> None:
    """Refuse what is no choice of `preparation_steps`.

    Raises:
        ConfigError: names the setting.
    """
    if not isinstance(scale, bool) and scale != "quantile":
        raise ConfigError(
            f"must be true, false or quantile, not {scale!r}.",
            where="model.scale",
            fix=did_you_mean(str(scale), ["quantile"]) or "use true.",
        )
    if missing not in MISSING:
        raise ConfigError(
            f"there is no way {missing!r} to treat missing values.",
            where="model.missing",
            fix=did_you_mean(str(missing), MISSING) or f"use one of {', '.join(MISSING)}.",
        )


def _scaler(scale: Scale) -> Any:
    if scale == "quantile":
        return QuantileNormal()
    return StandardScaler() if scale else "passthrough"


def _imputer(missing: str, seed: int) -> Any:
    if missing == "own":
        return "passthrough"
    if missing == "iterative":
        return IterativeImputation(max_iter=_ROUNDS, keep_empty_features=True, random_state=seed)
    return SimpleImputer(
        strategy="median",
        keep_empty_features=True,
        add_indicator=missing == "median_indicator",
    )


def untold_features(names: Iterable[str], x: NDArray[np.floating]) -> dict[str, str]:
    """Features from which nothing can be learnt, each with the reason.

    Args:
        names: of the columns.
        x: (n, features) of the training rows, NaN where undefined.
    """
    found = {}
    for name, column in zip(names, np.asarray(x, dtype=np.float64).T, strict=True):
        known = column[~np.isnan(column)]
        if not len(known):
            found[str(name)] = "missing throughout"
        elif not varies(known[:, None])[0]:
            found[str(name)] = f"{known[0]:g} throughout"
    return found
