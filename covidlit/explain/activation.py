"""The paper's heatmap: how strongly the features of a layer respond at each place."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from covidlit.errors import CovidlitError
from covidlit.explain.layers import frozen
from covidlit.models.explainable import ExplainableLayer


def activation_map(net: nn.Module, image: Tensor, layer: ExplainableLayer) -> NDArray[np.float32]:
    """The mean over the channels of the rectified output of a layer.

    The paper extracts its heatmaps "from the last 3D max pooling layer" and speaks of "the weights
    of the feature maps" without a formula. Its layer follows a ReLU, so the weight of a place is
    read as the mean response there. It knows nothing of the score: a feature that speaks against
    COVID-19 is as hot as one that speaks for it.

    Args:
        net: the network that the layer is part of.
        image: (1, channels, z, y, x), as the network takes it.
        layer: of `explainable_layers()`.

    Returns:
        (z, y, x) of the layer's output, at least 0.

    Source: Yao et al., Eur Radiol 2021, section "Results" and Fig. 3.
    """
    found: list[Tensor] = []
    hook = layer.module.register_forward_hook(lambda module, args, output: found.append(output[0]))
    try:
        with frozen(net), torch.no_grad():
            net(image)
    finally:
        hook.remove()
    return as_map(found[0].clamp(min=0).mean(dim=0))


def as_map(values: Tensor) -> NDArray[np.float32]:
    """A map (z, y, x) as a float32 array.

    Raises:
        CovidlitError: it holds values that are not finite.
    """
    if not torch.isfinite(values).all():
        raise CovidlitError("the heatmap holds values that are not finite.", fix="train again.")
    return np.ascontiguousarray(values.detach().float().cpu().numpy())
