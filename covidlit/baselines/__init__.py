"""Classical baselines: scikit-learn classifiers on named features of the prepared volumes."""

from covidlit.baselines.features import FEATURES, Feature, feature_table, volume_features
from covidlit.baselines.model import ClassicalModel, load_model

__all__ = [
    "FEATURES",
    "ClassicalModel",
    "Feature",
    "feature_table",
    "load_model",
    "volume_features",
]
