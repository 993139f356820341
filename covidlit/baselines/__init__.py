"""Classical baselines: classifiers on named features of prepared volumes, or on factors."""

from covidlit.baselines.factor_thresholds import FactorThresholds
from covidlit.baselines.model import ClassicalModel, load_model

__all__ = ["ClassicalModel", "FactorThresholds", "load_model"]
