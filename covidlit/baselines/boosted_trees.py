"""LightGBM behind scikit-learn's seam, set for tables of tens to hundreds of rows.

Ke et al., NeurIPS 2017. LightGBM's own settings ask for 20 rows in a leaf, which leaves few leaves
on a hundred rows, and below forty the base rate alone, without a word.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags

from covidlit.baselines.boosted_text import check_model_text, has_a_split
from covidlit.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from lightgbm import Booster

_LEAVES = 10
"""At least so many leaves of the smallest size would fit into the training rows."""


class BoostedTrees(ClassifierMixin, BaseEstimator):
    """Gradient-boosted trees of LightGBM with few leaves and slow learning.

    Takes undefined values (NaN) as they are. What it has learnt is kept as LightGBM's own text and
    plain values, so that a kept model is read without running anything.

    Args:
        n_estimators: trees.
        learning_rate: share of each tree's step that is taken.
        num_leaves: of a tree, at most.
        min_child_samples: rows in a leaf, at least; of few training rows a tenth of them.
        reg_lambda: L2 penalty on the leaves' values.
        subsample: share of the rows that each tree sees.
        colsample_bytree: share of the features that each tree sees.
        random_state: of these.
        n_jobs: threads; more than one is slower on small tables.

    Attributes:
        classes_: in order.
        n_features_in_: number of features; `feature_names_in_` their names, of a table.
        text_: LightGBM's model.
        min_child_samples_: rows in a leaf that were asked for.
    """

    def __init__(
        self,
        n_estimators: int = 200,
        learning_rate: float = 0.03,
        num_leaves: int = 5,
        min_child_samples: int = 10,
        reg_lambda: float = 5.0,
        subsample: float = 0.8,
        colsample_bytree: float = 0.5,
        random_state: int = 0,
        n_jobs: int = 1,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.min_child_samples = min_child_samples
        self.reg_lambda = reg_lambda
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.random_state = random_state
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Tags:
        """It takes undefined values."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(
        self,
        x: ArrayLike | pd.DataFrame,
        y: ArrayLike,
        sample_weight: NDArray[np.floating] | None = None,
    ) -> Self:
        """Grow the trees.

        Args:
            x: (n, features), NaN where undefined; a table's columns are known by name from then on.
            y: (n,) class of each row.
            sample_weight: (n,), or None for all alike.

        Raises:
            ConfigError: LightGBM cannot be loaded, or a parameter is not one of its own values.
            ValueError: fewer than two classes, or no tree finds a split.
        """
        lightgbm = _lightgbm()
        if isinstance(x, pd.DataFrame):
            self.feature_names_in_ = np.asarray(x.columns, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        values = np.asarray(x, dtype=np.float64)
        self.classes_, index = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("two classes are needed, and there is one")
        self.n_features_in_ = values.shape[1]
        self.min_child_samples_ = max(1, min(self.min_child_samples, len(values) // _LEAVES))
        several = len(self.classes_) > 2
        settings: dict[str, Any] = {
            "objective": "multiclass" if several else "binary",
            **({"num_class": len(self.classes_)} if several else {}),
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_child_samples_,
            "min_data_in_bin": 1,
            "lambda_l2": self.reg_lambda,
            "bagging_fraction": self.subsample,
            "bagging_freq": 1 if self.subsample < 1 else 0,
            "feature_fraction": self.colsample_bytree,
            "seed": self.random_state,
            "num_threads": _threads(self.n_jobs),
            "deterministic": True,
            "force_row_wise": True,
            "feature_pre_filter": False,
            "verbosity": -1,
        }
        rows = lightgbm.Dataset(values, index, weight=sample_weight, params={"verbosity": -1})
        try:
            booster = lightgbm.train(settings, rows, self.n_estimators)
        except lightgbm.basic.LightGBMError as error:
            raise ConfigError(
                f"LightGBM says: {error}.", where="model.classifier", fix="correct its arguments."
            ) from error
        self.text_ = booster.model_to_string()
        if not has_a_split(self.text_):
            raise ValueError(
                f"no tree finds a split with {self.min_child_samples_} rows on either side of it, "
                f"in {len(values)} rows; every score would be the base rate"
            )
        return self

    def predict_proba(self, x: ArrayLike | pd.DataFrame) -> NDArray[np.float64]:
        """(n, classes) probabilities; the columns of a table are found by name.

        Raises:
            ValueError: a table lacks a feature, or another number of columns.
            CheckpointError: the model's text is damaged.
        """
        values = np.asarray(self._by_name(x), dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != self.n_features_in_:
            raise ValueError(f"{self.n_features_in_} features are needed, not {values.shape}")
        booster = _booster(self.text_, self.n_features_in_, len(self.classes_))
        found = np.asarray(booster.predict(values, num_threads=_threads(self.n_jobs)))
        return np.stack([1 - found, found], axis=1) if found.ndim == 1 else found

    def predict(self, x: ArrayLike | pd.DataFrame) -> NDArray[np.generic]:
        """(n,) the most probable class."""
        return self.classes_[self.predict_proba(x).argmax(axis=1)]

    def _by_name(self, x: ArrayLike | pd.DataFrame) -> ArrayLike | pd.DataFrame:
        # LightGBM itself takes a table's columns by their position, whatever they are called.
        if not isinstance(x, pd.DataFrame) or not hasattr(self, "feature_names_in_"):
            return x
        lacking = [str(name) for name in self.feature_names_in_ if name not in x]
        if lacking:
            raise ValueError(f"the table has no {', '.join(lacking)}")
        return x[list(self.feature_names_in_)]


def _threads(n_jobs: int) -> int:
    return 0 if n_jobs < 0 else n_jobs  # 0: as many as OpenMP takes


@lru_cache(maxsize=16)
def _booster(text: str, n_features: int, n_classes: int) -> Booster:
    lightgbm = _lightgbm()
    check_model_text(text, n_features, n_classes)
    try:
        return lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise CheckpointError(
            f"LightGBM cannot read the model's trees: {error}.", fix="train again."
        ) from error


def _lightgbm() -> Any:
    try:
        import lightgbm
    except (ImportError, OSError) as error:  # OSError: a library of the system is missing
        raise ConfigError(
            f"LightGBM cannot be loaded: {error}.",
            where="model.classifier",
            fix="pip install lightgbm; on Linux it needs libgomp1 as well.",
        ) from error
    return lightgbm
