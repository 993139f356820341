"""The default heatmap: LayerCAM says which region raises the score, the image's gradient where."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from covidlit.explain.activation import as_map
from covidlit.explain.guided_map import guided_map
from covidlit.explain.layers import frozen
from covidlit.models.explainable import ExplainableLayer
from covidlit.models.voxel_grid import Axes


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
    with frozen(net), torch.enable_grad():
        region, effect = region_and_effect(net, image, layer, output, lung)
    return guided_map(as_map(region), as_map(effect), layer.grid, spacing)


def region_and_effect(
    net: nn.Module, image: Tensor, layer: ExplainableLayer, output: int, lung: float
) -> tuple[Tensor, Tensor]:
    """LayerCAM of a layer, (z', y', x'), and what each voxel of the image adds, (z, y, x).

    The gradient is asked for, so that it has to be on; arguments as in `guided_layer_cam`.
    """
    found: list[Tensor] = []

    def keep(module: nn.Module, args: object, features: Tensor) -> Tensor:
        found.append(features)
        return features.clone()  # what follows may write into it

    hook = layer.module.register_forward_hook(keep)
    try:
        inputs = image.detach().requires_grad_()
        logit = net(inputs)[0, output]
        of_features, of_image = torch.autograd.grad(logit, [found[0], inputs])
    finally:
        hook.remove()
    region = (of_features * found[0])[0].clamp(min=0).sum(dim=0)
    return region.detach(), (of_image * (inputs - lung))[0].sum(dim=0).detach()
