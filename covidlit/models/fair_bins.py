"""Soft bins whose gradient does not hang on rounding where a voxel stands at the top of a bin.

There the bins' triangles have corners: left and right of it the slopes are others, and on it
PyTorch's are no derivative at all. Air, and whatever a window cuts off, stands exactly on such a
corner; rounding by one bit then gives it another gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from covidlit.models.layers import SoftBins

AT_TOP = 1e-5
"""Within this part of the distance between two tops a voxel counts as being on one."""


class _FairBins(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, layer: SoftBins) -> Tensor:
        ctx.save_for_backward(image)
        ctx.last = layer.bins - 1
        return SoftBins.forward(layer, image)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (image,) = ctx.saved_tensors
        last, n_channels = ctx.last, image.shape[1]
        place = image * last
        # Between two tops one bin falls and the next one rises.
        change = gradient[:, n_channels:] - gradient[:, :-n_channels]
        result = torch.zeros_like(image)
        for k, rise in enumerate(change.split(n_channels, dim=1)):
            for near in (place - AT_TOP, place + AT_TOP):
                side = near.clamp(AT_TOP, last - AT_TOP)  # beyond the ends there is no other side
                inside = (side >= k) & (side < k + 1)
                result = result + rise * inside.to(rise.dtype)
        return result * (last / 2), None


def fair_bins(layer: SoftBins, image: Tensor) -> Tensor:
    """What the layer gives; at a top its gradient is the mean of those of both sides.

    At the first and the last top it is that of the side where there are values.

    Args:
        image: (B, C, z, y, x) in [0, 1].
    """
    bins: Tensor = _FairBins.apply(image, layer)
    return bins
