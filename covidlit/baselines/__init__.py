"""Classical baselines: scikit-learn classifiers on named features of the prepared volumes."""

from covidlit.baselines.model import ClassicalModel, load_model

__all__ = ["ClassicalModel", "load_model"]
