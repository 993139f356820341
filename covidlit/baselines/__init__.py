"""Classical baselines: classifiers on named features of prepared volumes, or on tables."""

from covidlit.baselines.best_single import BestSingle
from covidlit.baselines.boosted_trees import BoostedTrees
from covidlit.baselines.factor_thresholds import FactorThresholds
from covidlit.baselines.model import ClassicalModel, load_model

__all__ = ["BestSingle", "BoostedTrees", "ClassicalModel", "FactorThresholds", "load_model"]
