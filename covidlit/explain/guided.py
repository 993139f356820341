"""The default heatmap: LayerCAM says which region raises the score, the image's gradient where."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from covidlit.explain.activation import as_map
from covidlit.explain.heatmap import Heatmap
from covidlit.explain.layers import frozen
from covidlit.models.explainable import Axes, ExplainableLayer

LUNG_HU = -850.0
"""Healthy aerated lung: what the image is compared with."""

SMOOTH_MM = 6.0
"""Standard deviation of the Gaussian over the gradient, which strided layers leave spiky."""


def guided_layer_cam(
    net: nn.Module,
    image: Tensor,
    layer: ExplainableLayer,
    output: int = 0,
    *,
    lung: float = 0.0,
    spacing: Axes = (1.0, 1.0, 1.0),
) -> NDArray[np.float32]:
    """The geometric mean of LayerCAM and of the smoothed gradient times what differs from lung.

    A map of a late layer is as coarse as the layer, the gradient of the image as fine as the image;
    Guided Grad-CAM multiplies the two (Selvaraju et al., ICCV 2017, section 3.2). Here the first
    factor is LayerCAM, the second the first-order effect of turning a place into healthy lung,
    gradient * (image - lung), smoothed with its sign and then rectified, so that what cancels out
    leaves no heat. One pass forward and one back.

    Args:
        net, image, layer, output: as in `grad_cam`.
        lung: value of healthy lung in the image.
        spacing: of the image's voxels in mm, (z, y, x).

    Returns:
        (z, y, x) of the image, at least 0.
    """
    found: list[Tensor] = []

    def keep(module: nn.Module, args: object, features: Tensor) -> Tensor:
        found.append(features)
        return features.clone()  # what follows may write into it

    hook = layer.module.register_forward_hook(keep)
    try:
        with frozen(net), torch.enable_grad():
            inputs = image.detach().requires_grad_()
            logit = net(inputs)[0, output]
            of_features, of_image = torch.autograd.grad(logit, [found[0], inputs])
    finally:
        hook.remove()
    region = as_map((of_features * found[0])[0].clamp(min=0).sum(dim=0))
    z, y, x = image.shape[2:]
    region = Heatmap(region, layer.grid, (z, y, x), np.eye(4)[[2, 1, 0, 3]], "", "").on_input()
    effect = as_map((of_image * (inputs - lung))[0].sum(dim=0))
    sigma = [SMOOTH_MM / mm for mm in spacing]
    effect = np.maximum(gaussian_filter(effect, sigma, mode="constant"), 0)
    return np.sqrt(region * effect)
