"""Classical baselines: classifiers on named features of prepared volumes, or on tables.

They are imported at their first use: scikit-learn and skops take seconds, and what a kept model of
times to an event says of a row does without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from covidlit.baselines.best_single import BestSingle
    from covidlit.baselines.boosted_trees import BoostedTrees
    from covidlit.baselines.factor_thresholds import FactorThresholds
    from covidlit.baselines.model import ClassicalModel, load_model

__all__ = ["BestSingle", "BoostedTrees", "ClassicalModel", "FactorThresholds", "load_model"]

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "best_single": ["BestSingle"],
        "boosted_trees": ["BoostedTrees"],
        "factor_thresholds": ["FactorThresholds"],
        "model": ["ClassicalModel", "load_model"],
    },
)
