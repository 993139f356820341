"""Heatmaps of a network's decisions, on one absolute scale, and the checks of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from covidlit.explain.activation import activation_map
    from covidlit.explain.claim import WeightClaim, lower_weights_claim
    from covidlit.explain.explain import default_layer, explain_image
    from covidlit.explain.explain_error import ExplainError
    from covidlit.explain.gradcam import grad_cam, layer_cam
    from covidlit.explain.guided import guided_layer_cam
    from covidlit.explain.heat_files import WrittenHeatmap
    from covidlit.explain.heatmap import Heatmap
    from covidlit.explain.layers import layer_of, layers_of
    from covidlit.explain.localisation import LesionTruth, Localisation
    from covidlit.explain.methods import METHODS
    from covidlit.explain.pointing_game import HitRate, hit_rate
    from covidlit.explain.sanity import Sanity, randomisation_check
    from covidlit.explain.write import HeatmapWriter

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

# What judges heatmaps needs statistics, what makes them PyTorch, whose imports take seconds; an
# exported network's are made without either.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "activation": ["activation_map"],
        "claim": ["WeightClaim", "lower_weights_claim"],
        "explain": ["default_layer", "explain_image"],
        "explain_error": ["ExplainError"],
        "gradcam": ["grad_cam", "layer_cam"],
        "guided": ["guided_layer_cam"],
        "heat_files": ["WrittenHeatmap"],
        "heatmap": ["Heatmap"],
        "layers": ["layer_of", "layers_of"],
        "localisation": ["LesionTruth", "Localisation"],
        "methods": ["METHODS"],
        "pointing_game": ["HitRate", "hit_rate"],
        "sanity": ["Sanity", "randomisation_check"],
        "write": ["HeatmapWriter"],
    },
)
