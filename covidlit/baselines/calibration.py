"""The node `calibration` of a classical model: how its values become probabilities."""

from __future__ import annotations

from typing import Any

from covidlit.errors import ConfigError
from covidlit.settings.keys import check_keys
from covidlit.settings.words import Node

CALIBRATIONS = ("sigmoid", "isotonic")


def instead_of_calibration(pipeline: Any) -> str:
    """What to do where a class has too few patients to calibrate on."""
    more = "choose a split that trains on two patients of each class at least, or "
    if hasattr(pipeline, "predict_proba"):
        return f"{more}set model.calibration=null"
    return f"{more}model=random_forest, whose scores are probabilities by themselves"


def checked_calibration(node: Node) -> Node:
    """The node `model.calibration` with its defaults.

    Raises:
        ConfigError: a setting or method that does not exist.
    """
    check_keys("model.calibration", node, ("method", "folds"))
    method = node.get("method", "sigmoid")
    if method not in CALIBRATIONS:
        raise ConfigError(
            f"there is no calibration {method!r}.",
            where="model.calibration.method",
            fix=f"use one of {', '.join(CALIBRATIONS)}, or set model.calibration=null.",
        )
    return {"method": method, "folds": node.get("folds", 5)}
