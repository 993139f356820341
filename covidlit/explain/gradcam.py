"""Heatmaps of what raises the score: Grad-CAM and its finer relatives, with Captum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from covidlit.explain.activation import as_map
from covidlit.explain.layers import frozen
from covidlit.models.explainable import ExplainableLayer


def grad_cam(
    net: nn.Module, image: Tensor, layer: ExplainableLayer, output: int = 0
) -> NDArray[np.float32]:
    """Grad-CAM: a layer's channels, weighted by the mean gradient of the logit, summed, rectified.

    Args:
        net: the network that the layer is part of, from volumes to logits (1, outputs).
        image: (1, channels, z, y, x), as the network takes it.
        layer: of `explainable_layers()`.
        output: which logit; 0 in a binary task.

    Returns:
        (z, y, x) of the layer's output, at least 0, in units of the logit per voxel.

    Source: Selvaraju et al., ICCV 2017, eq. 1 and 2; Captum's LayerGradCam.
    """
    from captum.attr import LayerGradCam

    with frozen(net):
        heat = LayerGradCam(net, layer.module).attribute(
            image, target=output, relu_attributions=True
        )
    assert isinstance(heat, Tensor)
    return as_map(heat[0, 0])


def layer_cam(
    net: nn.Module, image: Tensor, layer: ExplainableLayer, output: int = 0
) -> NDArray[np.float32]:
    """LayerCAM: each feature weighted by its own positive gradient instead of its channel's mean.

    A global maximum pooling passes its gradient to the one voxel that it chose. Grad-CAM spreads
    this over the whole channel; here it stays where it is.

    Args: as in `grad_cam`.

    Returns:
        (z, y, x) of the layer's output, at least 0, in units of the logit.

    Source: Jiang et al., IEEE Trans Image Process 2021;30:5875, eq. 5 and 6 (activations are not
    negative, so rectifying the product is rectifying the gradient); Captum's
    LayerGradientXActivation.
    """
    from captum.attr import LayerGradientXActivation

    with frozen(net):
        products = LayerGradientXActivation(net, layer.module).attribute(image, target=output)
    assert isinstance(products, Tensor)
    return as_map(products[0].clamp(min=0).sum(dim=0))
