"""LightGBM behind scikit-learn's seam, set for tables of tens to hundreds of rows.

Ke et al., NeurIPS 2017. LightGBM's own settings ask for 20 rows in a leaf, which leaves few leaves
on a hundred rows, and below forty the base rate alone, without a word.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags

from covidlit.baselines.boosted_growth import grow, raw_scores, rows_in_a_leaf
from covidlit.baselines.boosted_text import has_a_split


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
        if isinstance(x, pd.DataFrame):
            self.feature_names_in_ = np.asarray(x.columns, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        values = np.asarray(x, dtype=np.float64)
        self.classes_, index = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("two classes are needed, and there is one")
        self.n_features_in_ = values.shape[1]
        self.min_child_samples_ = rows_in_a_leaf(self.get_params(), len(values))
        several = len(self.classes_) > 2
        objective: dict[str, Any] = {
            "objective": "multiclass" if several else "binary",
            **({"num_class": len(self.classes_)} if several else {}),
        }
        self.text_ = grow(self.get_params(), values, objective, index, sample_weight)
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
        found = raw_scores(self.text_, values, len(self.classes_), self.n_jobs)
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
