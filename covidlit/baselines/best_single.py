"""A classifier of scikit-learn's kind: the one variable that tells most in the training part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, ClassifierMixin

from covidlit.errors import ConfigError, did_you_mean

DIRECTIONS = ("learnt", "definition")
_SIDES = {"high": True, "low": False}


class BestSingle(ClassifierMixin, BaseEstimator):
    """Scores a row by the single variable with the largest AUC in the training rows.

    It is the least that a model of many variables has to beat. An undefined value ranks at the
    median of the training values. The score is 0.5 at that median, 0.75 at the upper quartile's
    distance on the side of the positive class, and rises strictly, so that its ROC curve is the
    variable's own; it ranks rows and is no probability until it is calibrated.

    Args:
        direction: "learnt": high or low values speak for the positive class, whichever tells more;
            "definition": the side of the disease that the features' table gives, learnt where it
            gives none.
        names, sides: of the columns, see `name_features`; not set by hand.

    Attributes:
        classes_: the two classes, the positive one last.
        column_: of the variable.
        above_: whether high values speak for the positive class.
        aucs_: (columns,) in the training rows, on the side that is taken; NaN of a column that has
            one value, or none.
        median_, scale_: of its training values.
    """

    own_preparation = True
    """It takes numbers in their units, undefined ones among them: nothing is scaled or filled."""

    def __init__(
        self,
        direction: str = "learnt",
        names: Sequence[str] | None = None,
        sides: Sequence[str | None] | None = None,
    ) -> None:
        self.direction = direction
        self.names = names
        self.sides = sides

    def name_features(self, features: pd.DataFrame) -> None:
        """Take names and sides of the columns from a table of features: name, and worse.

        Raises:
            ConfigError: there is no such direction.
        """
        self.names = [str(name) for name in features["name"]]
        given = features["worse"] if "worse" in features else [None] * len(features)
        self.sides = [side if side in _SIDES else None for side in given]
        self._check()

    def check_training(self, target: NDArray[np.integer], patients: NDArray[np.generic]) -> None:
        """Refuse what cannot be learnt from these rows.

        Raises:
            ConfigError: more than two classes.
        """
        if len(np.unique(target)) > 2:
            raise ConfigError(
                "a single variable tells two classes apart, and there are more.",
                where="label_rule",
                fix="use label_rule=by_class.",
            )

    def fit(self, x: NDArray[np.floating], y: NDArray[np.integer]) -> Self:
        """Choose the variable.

        Args:
            x: (n, columns), NaN where one is undefined.
            y: (n,) class of each row.

        Raises:
            ConfigError: there is no such direction.
            ValueError: not two classes, or no variable that varies.
        """
        self._check()
        x = np.asarray(x, dtype=np.float64)
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            raise ValueError(f"two classes are needed, and there are {len(self.classes_)}")
        positive = np.asarray(y) == self.classes_[1]
        raw = np.array([_auc(column, positive) for column in x.T])
        above = np.array([self._above(column, auc) for column, auc in enumerate(raw)])
        self.aucs_ = np.where(above, raw, 1 - raw)
        if np.isnan(self.aucs_).all():
            raise ValueError("every variable has one value in all training rows, or none")
        self.column_ = int(np.nanargmax(self.aucs_))
        self.above_ = bool(above[self.column_])
        known = x[np.isfinite(x[:, self.column_]), self.column_]
        self.median_ = float(np.median(known))
        distance = np.abs(known - self.median_)
        half = float(np.median(distance))
        self.scale_ = half if half > 0 else float(distance.mean())
        return self

    def predict_proba(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, 2): 1 - score, score; see the class."""
        values = np.asarray(x, dtype=np.float64)[:, self.column_]
        beyond = np.where(np.isfinite(values), values - self.median_, 0.0)
        beyond = beyond if self.above_ else -beyond
        score = 0.5 + 0.5 * beyond / (np.abs(beyond) + self.scale_)
        return np.stack([1 - score, score], axis=1)

    def predict(self, x: NDArray[np.floating]) -> NDArray[np.generic]:
        """(n,) the positive class where the value lies on its side of the training median."""
        return self.classes_[(self.predict_proba(x)[:, 1] > 0.5).astype(int)]

    def sentence(self) -> str:
        """Which variable it is, in words."""
        name = f"column {self.column_}" if self.names is None else self.names[self.column_]
        return (
            f"{name} alone; {'high' if self.above_ else 'low'} values speak for the positive class "
            f"(the largest AUC of {int(np.isfinite(self.aucs_).sum())} variables in the training "
            "part)"
        )

    def _above(self, column: int, auc: float) -> bool:
        side = None if self.sides is None else self.sides[column]
        if self.direction == "definition" and side is not None:
            return _SIDES[side]
        return not auc < 0.5

    def _check(self) -> None:
        if self.direction not in DIRECTIONS:
            raise ConfigError(
                f"there is no direction {self.direction!r}.",
                where="model.classifier.direction",
                fix=did_you_mean(str(self.direction), DIRECTIONS) or "use learnt.",
            )


def _auc(values: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """AUC of high values, undefined ones at the median; NaN where there is one value or none."""
    known = np.isfinite(values)
    if not known.any() or np.ptp(values[known]) == 0:
        return float("nan")
    ranks = rankdata(np.where(known, values, np.median(values[known])))
    m, n = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - m * (m + 1) / 2) / (m * n))
