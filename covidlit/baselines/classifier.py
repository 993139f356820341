"""From a node of the configuration to a scikit-learn pipeline, and how its scans are weighted."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from covidlit.baselines.preparation import MISSING, Scale, check_preparation, preparation_steps
from covidlit.datamodules.balance import draw_weights
from covidlit.errors import ConfigError, did_you_mean
from covidlit.settings.targets import is_allowed

PREFIX = "sklearn."
"""What a `_target_` must start with, unless it is a classifier of covidlit's own
(`covidlit.settings.targets.ALLOWED_TARGETS`); nothing else is imported."""


@runtime_checkable
class OwnPreparation(Protocol):
    """A classifier of covidlit that takes numbers in their units, undefined ones among them.

    Args:
        own_preparation: true.
    """

    own_preparation: bool

    def name_features(self, features: pd.DataFrame) -> None:
        """Take what it needs to know of the columns from a table of features."""

    def check_training(self, target: NDArray[np.integer], patients: NDArray[np.generic]) -> None:
        """Refuse scans that it cannot learn from, before anything is prepared."""

    def sentence(self) -> str:
        """After `fit`, what it has learnt, in words."""


@runtime_checkable
class LearnsThresholds(Protocol):
    """A classifier that has learnt thresholds of its features, to be shown as a table."""

    def threshold_table(
        self,
        x: NDArray[np.floating],
        y: NDArray[np.integer],
        patients: NDArray[np.generic],
        features: pd.DataFrame,
    ) -> pd.DataFrame:
        """After `fit`, what it has learnt, as a table."""


def build_classifier(node: Mapping[str, Any], seed: int) -> ClassifierMixin:
    """The scikit-learn classifier that a plain mapping describes.

    Args:
        node: `_target_` (a classifier of scikit-learn) and its keyword arguments, plain values.
        seed: its `random_state`, where it takes one and `node` does not set it.

    Raises:
        ConfigError: no `_target_`, another package's, no classifier, or arguments that do not fit.
    """
    target = node.get("_target_") if isinstance(node, Mapping) else None
    own = is_allowed(target, "classifiers")
    if not isinstance(target, str) or not (own or target.startswith(PREFIX)):
        raise ConfigError(
            f"`_target_` must be a classifier of scikit-learn, not {target!r}.",
            where="model.classifier",
            fix="write for example _target_: sklearn.svm.SVC.",
        )
    module, _, name = target.rpartition(".")
    try:
        package = importlib.import_module(module)
        made = getattr(package, name)
    except (ImportError, AttributeError) as error:
        known = [] if isinstance(error, ImportError) else dir(package)
        raise ConfigError(
            f"scikit-learn has no {target}.",
            where="model.classifier._target_",
            fix=did_you_mean(name, known) or "see the list of classifiers in its documentation.",
        ) from error
    if not (inspect.isclass(made) and issubclass(made, ClassifierMixin)):
        raise ConfigError(
            f"{target} is no classifier.",
            where="model.classifier._target_",
            fix="name a class such as sklearn.svm.SVC.",
        )
    arguments = {key: value for key, value in node.items() if key != "_target_"}
    known = sorted(inspect.signature(made).parameters)
    for key, value in arguments.items():
        if key not in known:
            fix = did_you_mean(key, known) or f"its arguments are {', '.join(known)}."
            raise ConfigError(
                f"{name} has no such argument.", where=f"model.classifier.{key}", fix=fix
            )
        if isinstance(value, Mapping) and "_target_" in value:
            raise ConfigError(
                "a classifier's arguments must be plain values.",
                where=f"model.classifier.{key}",
                fix="name one classifier that needs no other.",
            )
    if "random_state" in known:
        arguments.setdefault("random_state", seed)
    try:
        return made(**arguments)
    except TypeError as error:
        raise ConfigError(
            f"{name} cannot be built: {error}.",
            where="model.classifier",
            fix="give the arguments that it needs.",
        ) from error


def build_pipeline(
    classifier: ClassifierMixin,
    *,
    scale: Scale,
    missing: str | None = None,
    seed: int = 0,
    k_best: int | None = None,
) -> Pipeline:
    """The classifier behind what makes its input usable, all of it fitted on training rows alone.

    Features that are the same in all training rows are left out. A classifier of covidlit that
    prepares its numbers itself gets them as they are.

    Args:
        classifier: not fitted.
        scale, seed, k_best: see `covidlit.baselines.preparation.preparation_steps`.
        missing: see there; None: "own" for a classifier that prepares its numbers itself, and
            "median" for any other.

    Raises:
        ConfigError: a choice that does not exist or does not suit the classifier.
    """
    own = isinstance(classifier, OwnPreparation)
    missing = ("own" if own else "median") if missing is None else missing
    check_preparation(scale, missing)
    kind = type(classifier).__name__
    if own:
        if scale:
            raise ConfigError(
                f"{kind} takes the features in their units.",
                where="model.scale",
                fix="set it to false.",
            )
        if missing != "own":
            raise ConfigError(
                f"{kind} takes undefined values as they are.",
                where="model.missing",
                fix="set it to own.",
            )
        if k_best is not None:
            raise ConfigError(
                f"{kind} chooses among the features itself.",
                where="model.k_best",
                fix="set it to null.",
            )
        return Pipeline([("classifier", classifier)])
    if missing == "own" and not get_tags(classifier).input_tags.allow_nan:
        raise ConfigError(
            f"{kind} takes no undefined values.",
            where="model.missing",
            fix=f"use one of {', '.join(way for way in MISSING if way != 'own')}, or a classifier "
            "that takes them (model=lightgbm).",
        )
    steps = preparation_steps(scale, missing, seed, k_best)
    return Pipeline([*steps, ("classifier", classifier)])


def takes_patients(classifier: ClassifierMixin) -> bool:
    """Whether the classifier wants to know whose scan is whose, for folds of its own."""
    return bool(has_fit_parameter(classifier, "patients"))


def takes_weights(classifier: ClassifierMixin) -> bool:
    """Whether training scans of the classifier can be weighted."""
    return bool(has_fit_parameter(classifier, "sample_weight"))


def scan_weights(
    target: NDArray[np.integer],
    centres: NDArray[np.object_],
    *,
    balanced: bool | str,
    class_weights: str | Sequence[float] | None,
    n_classes: int,
) -> NDArray[np.float64] | None:
    """Weight of each training scan, or None for all alike.

    What a network gets by drawing scans more often (`data.balanced`) and by weights in its loss
    (`class_weights`), a classifier gets by weights of the scans; their mean is 1.

    Args:
        target: (n,) class of each scan.
        centres: (n,) centre of each scan.
        balanced: False, "class" or "centre"; see `covidlit.datamodules.balance.draw_weights`.
        class_weights: None, "balanced" (inverse frequency in the training part) or one per class.
        n_classes: number of classes.

    Raises:
        ConfigError: an unknown choice, or not one positive weight per class.
    """
    drawn = draw_weights(balanced, target, centres)
    if class_weights is None and drawn is None:
        return None
    weights = np.ones(len(target)) if drawn is None else drawn
    if class_weights is not None:
        weights = weights * _of_classes(class_weights, target, n_classes)[target]
    return weights / weights.mean()


def _of_classes(
    class_weights: str | Sequence[float], target: NDArray[np.integer], n_classes: int
) -> NDArray[np.float64]:
    if class_weights == "balanced":
        counts = np.bincount(target, minlength=n_classes)
        return len(target) / (n_classes * np.maximum(counts, 1))
    given = [] if isinstance(class_weights, str) else list(class_weights)
    if len(given) != n_classes or not all(
        isinstance(weight, int | float) and weight > 0 for weight in given
    ):
        raise ConfigError(
            f"class_weights must be null, balanced or {n_classes} positive numbers, not "
            f"{class_weights!r}.",
            where="model.class_weights",
            fix="use model.class_weights=balanced.",
        )
    return np.asarray(given, dtype=np.float64)
