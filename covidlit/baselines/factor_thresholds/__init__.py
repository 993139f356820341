"""Detection by thresholds on quantitative factors."""

from covidlit.baselines.factor_thresholds.classifier import FactorThresholds

__all__ = ["FactorThresholds"]
