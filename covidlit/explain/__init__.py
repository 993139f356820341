"""Heatmaps of a network's decisions, on one absolute scale, and the checks of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_MODULES = {
    "activation_map": "activation",
    "METHODS": "methods",
    "default_layer": "explain",
    "explain_image": "explain",
    "grad_cam": "gradcam",
    "layer_cam": "gradcam",
    "guided_layer_cam": "guided",
    "Heatmap": "heatmap",
    "ExplainError": "explain_error",
    "layer_of": "layers",
    "layers_of": "layers",
    "HeatmapWriter": "write",
    "WrittenHeatmap": "heat_files",
    "WeightClaim": "claim",
    "lower_weights_claim": "claim",
    "LesionTruth": "localisation",
    "Localisation": "localisation",
    "HitRate": "pointing_game",
    "hit_rate": "pointing_game",
    "Sanity": "sanity",
    "randomisation_check": "sanity",
}


def __getattr__(name: str) -> Any:
    # What judges heatmaps needs statistics, what makes them PyTorch, whose imports take seconds; an
    # exported network's are made without either.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
