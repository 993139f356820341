"""A small network on imaging and clinical features, or an ensemble of them."""

from covidlit.models.fusion_ann.network import FusionANN
from covidlit.models.fusion_ann.preparation import Preparation

__all__ = ["FusionANN", "Preparation"]
