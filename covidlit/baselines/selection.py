"""Selection of features as a step of a classifier's pipeline: learnt wherever the pipeline is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline

from covidlit.cohort.feature_ranking import f_values, k_largest


class KBestFeatures(TransformerMixin, BaseEstimator):
    """Keeps the features with the largest F values, as the fusion network does.

    Stands behind scaling and before what is missing is filled in: a missing value counts as the
    median for the ranking alone, so that classifiers that take undefined values can have a
    selection, and only features that stay get an indicator or help to fill others.

    Args:
        k: features to keep; all of them where there are no more.

    Attributes:
        f_values_: (features,) of an analysis of variance between the classes.
        support_: (features,) bool, true for those that stay.

    Source: the severity paper's SelectKBest of 15 of 28.
    """

    def __init__(self, k: int = 15) -> None:
        self.k = k

    def fit(self, x: NDArray[np.floating], y: NDArray[np.integer]) -> Self:
        """Rank; x: (n, features), NaN where undefined, each with a value; y: (n,) classes."""
        values = np.asarray(x, dtype=np.float64)
        filled = np.where(np.isnan(values), np.nanmedian(values, axis=0), values)
        self.f_values_ = f_values(filled, np.asarray(y))
        self.support_ = np.zeros(values.shape[1], dtype=bool)
        self.support_[k_largest(self.f_values_, self.k)] = True
        return self

    def transform(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, k)."""
        return np.asarray(x, dtype=np.float64)[:, self.support_]

    def get_support(self) -> NDArray[np.bool_]:
        """(features,) bool, true for those that stay."""
        return self.support_


@dataclass(frozen=True)
class Selection:
    """What a fitted pipeline has selected.

    Args:
        f_values: of each feature that was ranked, by name.
        kept: names, in the table's order.
    """

    f_values: Mapping[str, float]
    kept: tuple[str, ...]

    @property
    def left_out(self) -> dict[str, str]:
        """Name of each feature that was ranked and is not used -> why."""
        why = f"not among the {len(self.kept)} best"
        return {name: why for name in self.f_values if name not in self.kept}

    def sentence(self) -> str:
        """For the report: which, the largest F value first."""
        ranked = sorted(self.kept, key=lambda name: -self.f_values[name])
        return f"{len(ranked)} of {len(self.f_values)} by F value: {', '.join(ranked)}"


def pipeline_of(estimator: Any) -> Pipeline:
    """The fitted pipeline of all training rows, calibrated or not."""
    if isinstance(estimator, CalibratedClassifierCV):
        estimator = estimator.calibrated_classifiers_[0].estimator
    found: Pipeline = estimator
    return found


def selection_of(pipeline: Pipeline, names: Sequence[str]) -> Selection | None:
    """What a fitted pipeline has selected among the features `names`; None where it selects not."""
    if "k_best" not in pipeline.named_steps:
        return None
    step: KBestFeatures = pipeline.named_steps["k_best"]
    ranked = np.asarray(list(names))[pipeline.named_steps["varying"].get_support()]
    values = dict(zip(map(str, ranked), step.f_values_.tolist(), strict=True))
    return Selection(values, tuple(map(str, ranked[step.get_support()])))


def told_of_features(
    features: pd.DataFrame,
    x: NDArray[np.floating],
    untold: Mapping[str, str],
    selected: Selection | None,
) -> pd.DataFrame:
    """A table of features with what the training rows say of each.

    Args:
        features: with `name`, in the order of the columns of `x`.
        x: (n, features) of the training rows, NaN where undefined.
        untold: name -> why nothing can be learnt from it.
        selected: by a selection; None: there is none.

    Returns:
        With `n_missing` and `left_out` (why, or empty), and `f_value` where features were ranked.
    """
    names = features["name"]
    reasons = {**untold, **(selected.left_out if selected else {})}
    told = features.assign(
        n_missing=np.isnan(x).sum(axis=0), left_out=[reasons.get(name) for name in names]
    )
    if selected is None:
        return told
    return told.assign(f_value=[selected.f_values.get(name) for name in names])


def used_features(estimator: Any, names: Sequence[str]) -> tuple[str, ...]:
    """The features that a fitted classifier's scores hang on, where a selection has said so.

    Args:
        estimator: a pipeline, calibrated or not.
        names: of all features that it is given, in order.
    """
    selected = selection_of(pipeline_of(estimator), names)
    return tuple(names) if selected is None else selected.kept
