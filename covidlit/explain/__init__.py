"""Heatmaps of a network's decisions, on one absolute scale, and the checks of their worth."""

from covidlit.explain.activation import activation_map
from covidlit.explain.claim import WeightClaim, lower_weights_claim
from covidlit.explain.explain import METHODS, default_layer, explain_image
from covidlit.explain.gradcam import grad_cam, layer_cam
from covidlit.explain.guided import guided_layer_cam
from covidlit.explain.heatmap import Heatmap
from covidlit.explain.hit_rate import HitRate, hit_rate
from covidlit.explain.layers import ExplainError, layer_of, layers_of
from covidlit.explain.localisation import LesionTruth, Localisation
from covidlit.explain.sanity import Sanity, randomisation_check
from covidlit.explain.write import HeatmapWriter, WrittenHeatmap

__all__ = [
    "METHODS",
    "ExplainError",
    "Heatmap",
    "HeatmapWriter",
    "HitRate",
    "LesionTruth",
    "Localisation",
    "Sanity",
    "WeightClaim",
    "WrittenHeatmap",
    "activation_map",
    "default_layer",
    "explain_image",
    "grad_cam",
    "guided_layer_cam",
    "hit_rate",
    "layer_cam",
    "layer_of",
    "layers_of",
    "lower_weights_claim",
    "randomisation_check",
]
