"""Growing LightGBM's trees for any objective, and reading them from their text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from covidlit.baselines.boosted_text import check_model_text
from covidlit.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from lightgbm import Booster

_LEAVES = 10
"""At least so many leaves of the smallest size would fit into the training rows."""


def rows_in_a_leaf(parameters: Mapping[str, Any], n_rows: int) -> int:
    """The least number of rows in a leaf: as asked for, of few training rows a tenth of them."""
    return max(1, min(parameters["min_child_samples"], n_rows // _LEAVES))


def grow(
    parameters: Mapping[str, Any],
    values: NDArray[np.float64],
    objective: Mapping[str, Any],
    label: ArrayLike,
    weight: NDArray[np.floating] | None = None,
) -> str:
    """The text of trees that were grown with a classifier's parameters, for any objective.

    Args:
        parameters: of a `BoostedTrees`, by name.
        values: (n, features), NaN where undefined.
        objective: LightGBM's `objective`, a name or a function, and what belongs to it.
        label: (n,) what the objective takes.
        weight: (n,), or None for all alike.

    Raises:
        ConfigError: LightGBM cannot be loaded, or a parameter is not one of its own values.
    """
    lightgbm = _lightgbm()
    settings: dict[str, Any] = {
        **objective,
        "learning_rate": parameters["learning_rate"],
        "num_leaves": parameters["num_leaves"],
        "min_data_in_leaf": rows_in_a_leaf(parameters, len(values)),
        "min_data_in_bin": 1,
        "lambda_l2": parameters["reg_lambda"],
        "bagging_fraction": parameters["subsample"],
        "bagging_freq": 1 if parameters["subsample"] < 1 else 0,
        "feature_fraction": parameters["colsample_bytree"],
        "seed": parameters["random_state"],
        "num_threads": _threads(parameters["n_jobs"]),
        "deterministic": True,
        "force_row_wise": True,
        "feature_pre_filter": False,
        "verbosity": -1,
    }
    rows = lightgbm.Dataset(values, label, weight=weight, params={"verbosity": -1})
    try:
        booster = lightgbm.train(settings, rows, parameters["n_estimators"])
    except lightgbm.basic.LightGBMError as error:
        raise ConfigError(
            f"LightGBM says: {error}.", where="model.classifier", fix="correct its arguments."
        ) from error
    return str(booster.model_to_string())


def raw_scores(
    text: str, values: NDArray[np.float64], n_classes: int, n_jobs: int = 1
) -> NDArray[np.float64]:
    """What kept trees say of rows: (n,) of one or two classes, else (n, classes).

    Args:
        text: of the trees.
        values: (n, features), NaN where undefined.
        n_classes: see `covidlit.baselines.boosted_text.check_model_text`.
        n_jobs: threads.

    Raises:
        CheckpointError: the text is damaged.
    """
    booster = _booster(text, values.shape[1], n_classes)
    return np.asarray(booster.predict(values, num_threads=_threads(n_jobs)), dtype=np.float64)


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
