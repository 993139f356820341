"""Classical baselines: classifiers on named features of prepared volumes, or on tables.

They are imported at their first use: scikit-learn and skops take seconds, and what a kept model of
times to an event says of a row does without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covidlit.baselines.best_single import BestSingle
    from covidlit.baselines.boosted_trees import BoostedTrees
    from covidlit.baselines.factor_thresholds import FactorThresholds
    from covidlit.baselines.model import ClassicalModel, load_model

__all__ = ["BestSingle", "BoostedTrees", "ClassicalModel", "FactorThresholds", "load_model"]

_MODULES = {
    "BestSingle": "best_single",
    "BoostedTrees": "boosted_trees",
    "ClassicalModel": "model",
    "FactorThresholds": "factor_thresholds",
    "load_model": "model",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
