"""Maxima whose gradient goes to all places that share the maximum, in equal parts.

PyTorch's max pooling gives the gradient to one of equal voxels, the first. In air, and wherever an
image is constant, all voxels of a window are equal but for rounding, and rounding then decides
which one gets it: another kernel, or a batch norm folded into a convolution, moves it elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from covidlit.models.fair_bins import fair_bins
from covidlit.models.layers import GlobalPool, SoftBins, Triple

EQUAL = 1e-5
"""Values within this part of a maximum count as equal to it: a hundred times rounding."""


class _FairMaxPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, kernel: Triple, stride: Triple, padding: Triple, ceil: bool
    ) -> Tensor:
        ctx.save_for_backward(x)  # not the output, which what follows may write into
        ctx.window = kernel, stride, padding
        return functional.max_pool3d(x, kernel, stride, padding, ceil_mode=ceil)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (x,) = ctx.saved_tensors
        kernel, stride, padding = ctx.window
        # What the windows reach over, from `padding` before the first voxel on.
        reached = [
            (n - 1) * s + k for n, s, k in zip(gradient.shape[2:], stride, kernel, strict=True)
        ]
        sides = [
            (p, r - p - length) for p, r, length in zip(padding, reached, x.shape[2:], strict=True)
        ]
        filled = functional.pad(x, _last_first(sides), value=-torch.inf)
        share = _apart if kernel == stride else _overlapping
        shared = share(filled, gradient, kernel, stride)
        undone = functional.pad(shared, _last_first([(-before, -after) for before, after in sides]))
        return undone, None, None, None, None


def _last_first(sides: list[tuple[int, int]]) -> list[int]:
    """What to add before and after each axis, as `functional.pad` takes it."""
    return [length for side in reversed(sides) for length in side]


def _apart(x: Tensor, gradient: Tensor, kernel: Triple, _: Triple) -> Tensor:
    """The gradient of windows that stand side by side and fill `x`."""
    factors = [float(k) for k in kernel]
    top = functional.max_pool3d(x, kernel)
    equal = _equal(x, functional.interpolate(top, scale_factor=factors))
    n_equal = functional.avg_pool3d(equal, kernel) * float(math.prod(kernel))
    return equal * functional.interpolate(gradient / n_equal, scale_factor=factors)


def _overlapping(x: Tensor, gradient: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """The gradient of any windows that fill `x`: each place of the windows is put back in turn."""
    (z_n, y_n, x_n), (z_s, y_s, x_s) = gradient.shape[2:], stride
    at_places = [
        x[
            :, :,
            dz : dz + (z_n - 1) * z_s + 1 : z_s,
            dy : dy + (y_n - 1) * y_s + 1 : y_s,
            dx : dx + (x_n - 1) * x_s + 1 : x_s,
        ]
        for dz, dy, dx in product(*map(range, kernel))
    ]  # fmt: skip
    top = functional.max_pool3d(x, kernel, stride)
    equal = torch.stack([_equal(values, top) for values in at_places], dim=2)
    shared = equal * (gradient / equal.sum(2))[:, :, None]
    places = torch.eye(len(at_places), dtype=x.dtype, device=x.device)
    places = places.reshape(-1, 1, *kernel).repeat(x.shape[1], 1, 1, 1, 1)
    return functional.conv_transpose3d(
        shared.flatten(1, 2), places, stride=stride, groups=x.shape[1]
    )


class _FairMaximum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.amax((2, 3, 4))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        equal = _equal(x, x.amax((2, 3, 4), keepdim=True))
        return equal * (gradient[:, :, None, None, None] / equal.sum((2, 3, 4), keepdim=True))


def _equal(values: Tensor, top: Tensor) -> Tensor:
    """1 where a value counts as equal to its maximum, else 0."""
    return (values >= top - EQUAL * top.abs()).to(values.dtype)


def _pool(layer: nn.MaxPool3d, x: Tensor) -> Tensor:
    kernel, stride, padding = (
        _triple(getattr(layer, name)) for name in ("kernel_size", "stride", "padding")
    )
    pooled: Tensor = _FairMaxPool.apply(x, kernel, stride, padding, layer.ceil_mode)
    return pooled


def _global_pool(layer: GlobalPool, features: Tensor) -> Tensor:
    top: Tensor = _FairMaximum.apply(features)
    if layer.kind == "max":
        return top
    return torch.cat([features.mean((2, 3, 4)), top], dim=1)


def _triple(value: Any) -> Triple:
    return (value,) * 3 if isinstance(value, int) else tuple(value)


def _fair(layer: nn.Module) -> Any:
    """What takes the place of a layer's forward; None where that is fair already."""
    if type(layer) is GlobalPool and layer.kind in ("max", "avg_max"):
        return partial(_global_pool, layer)
    if type(layer) is nn.MaxPool3d and _triple(layer.dilation) == (1, 1, 1):
        return None if layer.return_indices else partial(_pool, layer)
    return partial(fair_bins, layer) if type(layer) is SoftBins else None


@contextmanager
def fair_maxima(net: nn.Module) -> Iterator[None]:
    """Let max poolings and global maxima of a network share their gradient; outputs stay the same.

    Soft bins get `fair_bins`, for the same reason. Maxima that are taken by other means, and
    dilated poolings, stay as they are.
    """
    changed = [layer for layer in net.modules() if "forward" not in vars(layer) and _fair(layer)]
    for layer in changed:
        vars(layer)["forward"] = _fair(layer)
    try:
        yield
    finally:
        for layer in changed:
            del vars(layer)["forward"]
