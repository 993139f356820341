"""A classifier of scikit-learn's kind: so many factors beyond their thresholds, or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from covidlit.baselines.factor_thresholds.intervals import Interval, threshold_intervals
from covidlit.baselines.factor_thresholds.rule import (
    Rule,
    Shape,
    choose_shape,
    learn_cuts,
    learn_rule,
    shapes,
)
from covidlit.baselines.factor_thresholds.settings import WHERE, check_settings
from covidlit.baselines.factor_thresholds.table import table_of
from covidlit.baselines.folds import Folds, patient_folds
from covidlit.errors import ConfigError

_SIDES = {"high": True, "low": False}


class FactorThresholds(ClassifierMixin, BaseEstimator):
    """Calls a scan positive if at least k of m factors are beyond their thresholds.

    The threshold of a factor is where Youden's J of the training scans is largest, half-way between
    two of their values; of equal ones the strictest. The factors that decide are the m with the
    largest J. m and k are chosen by the J of scans that were held back, in folds by patient inside
    the training part, in which thresholds and factors are learnt anew. A factor that is the same in
    all training scans, or tells nothing, is never chosen; an undefined value (NaN) is never beyond.

    The score is the k-th largest of the factors' places: 0.5 at the threshold, 0.75 at the median
    of the training scans beyond it, 0.25 at the median of the others, rising strictly towards the
    side of the disease, and 0 where the factor is undefined. So it is at least 0.5 exactly where
    the scan is called positive, it never falls where a factor goes further to that side, and of one
    factor its ROC curve is the factor's own. It ranks scans and is no probability: calibrate it
    (`model.calibration`) where one is needed.

    Args:
        rule: "best" (the one best factor), "any" (one of m), "all" (all of m) or "at_least_k".
        k: of "at_least_k"; None: chosen.
        n_factors: m; None: chosen.
        direction: "definition": each factor's side of the disease is that of its definition, and
            learnt only where it has none; "learnt": the side with the larger J.
        folds: by patient, in which m and k are chosen.
        n_bootstrap: samples of patients for the intervals of the thresholds; 0: none.
        confidence: level of these.
        random_state: of the folds and the samples.
        names, sides: of the columns, see `name_features`; not set by hand.

    Attributes:
        classes_: the two classes, the positive one last.
        factors_: columns that decide, the best first.
        thresholds_, above_: of these.
        k_: how many of them must be beyond.
        held_out_youden_: J by which m and k were chosen; NaN where there was nothing to choose.
    """

    own_preparation = True
    """It takes numbers in their units, undefined ones among them: nothing is scaled or filled."""

    def __init__(
        self,
        rule: str = "at_least_k",
        k: int | None = None,
        n_factors: int | None = None,
        direction: str = "definition",
        folds: int = 5,
        n_bootstrap: int = 1000,
        confidence: float = 0.95,
        random_state: int = 0,
        names: Sequence[str] | None = None,
        sides: Sequence[str | None] | None = None,
    ) -> None:
        self.rule = rule
        self.k = k
        self.n_factors = n_factors
        self.direction = direction
        self.folds = folds
        self.n_bootstrap = n_bootstrap
        self.confidence = confidence
        self.random_state = random_state
        self.names = names
        self.sides = sides

    def name_features(self, features: pd.DataFrame) -> None:
        """Take names and sides of the columns from a table of features: name, and worse.

        Raises:
            ConfigError: a setting that does not fit, such as more factors than there are.
        """
        self.names = [str(name) for name in features["name"]]
        given = features["worse"] if "worse" in features else [None] * len(features)
        self.sides = [side if side in _SIDES else None for side in given]
        self._check(len(self.names))

    def check_training(self, target: NDArray[np.integer], patients: NDArray[np.generic]) -> None:
        """Refuse what cannot be learnt from these scans, before anything is prepared.

        Raises:
            ConfigError: more than two classes, or fewer patients of a class than folds.
        """
        if len(np.unique(target)) > 2:
            raise ConfigError(
                "thresholds tell two classes apart, and there are more.",
                where="label_rule",
                fix="use label_rule=by_class.",
            )
        if len(self._shapes(len(self.names or [0]))) > 1:
            self._folds(target, patients)

    def fit(
        self,
        x: NDArray[np.floating],
        y: NDArray[np.integer],
        patients: NDArray[np.generic] | None = None,
    ) -> Self:
        """Learn factors, thresholds and how many must be beyond.

        Args:
            x: (n, columns), NaN where a factor is undefined.
            y: (n,) class of each scan.
            patients: (n,) whose scan it is; None: each of a patient of its own.

        Raises:
            ConfigError: see `check_training`; or a setting that does not fit.
            ValueError: not two classes, or no factor that tells them apart.
        """
        x = np.asarray(x, dtype=np.float64)
        self._check(x.shape[1])
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            raise ValueError(f"two classes are needed, and there are {len(self.classes_)}")
        target = np.asarray(y) == self.classes_[1]
        people = np.arange(len(x)) if patients is None else np.asarray(patients)
        allowed = self._shapes(x.shape[1])
        shape, self.held_out_youden_ = allowed[0], float("nan")
        if len(allowed) > 1:
            folds = self._folds(target.astype(int), people)
            shape, self.held_out_youden_ = choose_shape(
                x, target, self._side_of(x.shape[1]), allowed, folds
            )
        learnt = learn_rule(x, target, self._side_of(x.shape[1]), shape)
        if learnt is None:
            raise ValueError("no factor tells the two classes of the training scans apart")
        self._keep(learnt, x)
        return self

    def predict_proba(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, 2): 1 - score, score; see the class."""
        places = self._places(np.asarray(x, dtype=np.float64))
        score = np.sort(places, axis=1)[:, -self.k_]
        return np.stack([1 - score, score], axis=1)

    def predict(self, x: NDArray[np.floating]) -> NDArray[np.generic]:
        """(n,) the classes that the rule calls: the positive one where the score is 0.5 or more."""
        return self.classes_[(self.predict_proba(x)[:, 1] >= 0.5).astype(int)]

    def sentence(self) -> str:
        """The rule in words."""
        m, k = len(self.factors_), self.k_
        names = ", ".join(self._name(column) for column in self.factors_)
        held = f" (so many by a J of {self.held_out_youden_:.2f} on scans that were held back)"
        chosen = "" if np.isnan(self.held_out_youden_) else held
        if m == 1:
            return f"positive if {names} is beyond its threshold{chosen}"
        many = "any one" if k == 1 else "all" if k == m else f"at least {k}"
        return f"positive if {many} of {m} factors {'is' if k == 1 else 'are'} beyond their " + (
            f"thresholds{chosen}: {names}"
        )

    def threshold_table(
        self,
        x: NDArray[np.floating],
        y: NDArray[np.integer],
        patients: NDArray[np.generic],
        features: pd.DataFrame,
    ) -> pd.DataFrame:
        """Each factor's threshold with its interval, those that decide first.

        Args:
            x, y, patients: of the training scans, see `fit`.
            features: name, description, unit of the columns.

        Returns:
            rank, factor, description, unit, decides, beyond (text), threshold, low, high,
            confidence, samples (share of the bootstrap samples that have a threshold), and youden,
            sensitivity and specificity of the factor alone on the training scans: optimistic.
        """
        x, target = np.asarray(x, dtype=np.float64), np.asarray(y) == self.classes_[1]
        cuts = learn_cuts(x, target, self._side_of(x.shape[1]))
        intervals: Sequence[Interval | None] = [None] * len(cuts)
        if self.n_bootstrap:
            intervals = threshold_intervals(
                x, target, np.asarray(patients), cuts,
                n_bootstrap=self.n_bootstrap, confidence=self.confidence, seed=self.random_state,
            )  # fmt: skip
        return table_of(features, cuts, intervals, self.factors_, self.confidence)

    def _keep(self, learnt: Rule, x: NDArray[np.floating]) -> None:
        """Plain arrays, which can be kept and read without running anything."""
        self.factors_ = [int(column) for column in learnt.factors]
        self.k_ = int(learnt.k)
        self.thresholds_ = np.array([cut.threshold for cut in learnt.cuts])
        self.above_ = np.array([cut.above for cut in learnt.cuts])
        within, past = [], []
        for column, cut in zip(learnt.factors, learnt.cuts, strict=True):
            depth = _depth(x[:, column], cut.threshold, cut.above)
            past.append(_median(depth[depth >= 0]))
            within.append(_median(-depth[depth < 0]))
        self.within_, self.past_ = np.array(within), np.array(past)

    def _places(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, factors) in [0, 1]: how far each factor is from its threshold."""
        places = np.zeros((len(x), len(self.factors_)))
        for at, column in enumerate(self.factors_):
            depth = _depth(x[:, column], self.thresholds_[at], bool(self.above_[at]))
            scale = np.where(depth >= 0, self.past_[at], self.within_[at])
            share = np.divide(depth, np.abs(depth) + scale)  # in (-1, 1); one half at the scale
            places[:, at] = np.where(np.isnan(depth), 0.0, 0.5 + 0.5 * share)
        return places.clip(0.0, 1.0)

    def _side_of(self, n_columns: int) -> list[bool | None]:
        if self.direction == "learnt" or self.sides is None:
            return [None] * n_columns
        return [None if side is None else _SIDES[side] for side in self.sides]

    def _name(self, column: int) -> str:
        return f"column {column}" if self.names is None else self.names[column]

    def _shapes(self, n_columns: int) -> list[Shape]:
        return shapes(self.rule, n_columns, self.n_factors, self.k)

    def _folds(self, target: NDArray[np.integer], patients: NDArray[np.generic]) -> Folds:
        return patient_folds(
            target, patients, self.folds, seed=self.random_state, where=f"{WHERE}.folds",
            without=f"choose a split that trains on more of them, or {WHERE}.rule=best, which "
            "needs no folds",
        )  # fmt: skip

    def _check(self, n_columns: int) -> None:
        check_settings(self.get_params(), n_columns)


def _depth(values: NDArray[np.floating], threshold: float, above: bool) -> NDArray[np.float64]:
    """How far beyond the threshold values are; negative on the other side, NaN where undefined."""
    found = values - threshold if above else threshold - values
    return np.where(np.isfinite(values), found, np.nan)


def _median(depth: NDArray[np.float64]) -> float:
    """A scale above 0 even where all scans of a side lie at the threshold."""
    found = float(np.median(depth)) if len(depth) else 0.0
    return found if found > 0 else 1.0
