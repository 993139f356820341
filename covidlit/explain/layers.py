"""Which layers of a network can be shown as heatmaps, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from covidlit.errors import did_you_mean
from covidlit.explain.explain_error import ExplainError
from covidlit.models.explainable import Explainable, ExplainableLayer
from covidlit.models.fair_maxima import fair_maxima


def layers_of(net: nn.Module) -> Mapping[str, ExplainableLayer]:
    """The layers that a network declares, by name; empty if it declares none."""
    return net.explainable_layers() if isinstance(net, Explainable) else {}


def layer_of(net: nn.Module, name: str) -> ExplainableLayer:
    """A declared layer of a network.

    Raises:
        ExplainError: the network declares no such layer, or none at all.
    """
    layers = layers_of(net)
    if not layers:
        raise ExplainError(
            f"{type(net).__name__} declares no layer for heatmaps.",
            where="layer",
            fix="give it a method explainable_layers; see covidlit.models.explainable.",
        )
    if name not in layers:
        raise ExplainError(
            f"{type(net).__name__} has no layer {name!r} for heatmaps.",
            where="layer",
            fix=did_you_mean(name, layers) or f"choose from {', '.join(layers)}.",
        )
    return layers[name]


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, and no gradients for parameters: what lies before a layer costs no memory.

    Equal maxima share their gradient (`fair_maxima`). Every part gets its own mode and every
    parameter its own flag back.
    """
    modes = [(part, part.training) for part in module.modules()]
    wanted = [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.eval()
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        with fair_maxima(module):
            yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
        for part, mode in modes:
            part.training = mode
