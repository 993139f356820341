"""Depthwise atrous 3D convolution that is fast on CPUs in channels-last memory.

oneDNN, which runs PyTorch's convolutions on CPUs, has no optimised kernel for depthwise 3D
convolutions, nor for the weight gradient of dilated depthwise 2D ones: both fall back to slow
loops. The same sums, taken apart into calls that it does have:

* a 3D convolution is the sum over its kernel's planes of 2D convolutions of shifted slices, and in
  `torch.channels_last_3d` memory the slices of all scans are a batch of 2D images without a copy;
* its gradient for the input is the convolution of the output's gradient with the mirrored kernel;
* the pixels (y + a d, x + b d) of one phase (a, b) see a kernel of dilation d as a dense one, so
  its gradient for the weights is that of a dense convolution over d * d smaller images.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_weight

from covidlit.models.convolution import Conv3d
from covidlit.models.layers import Triple


class DepthwiseAtrousConv3d(Conv3d):
    """Depthwise 3x3x3 convolution with dilation and padding that keeps the size, without bias.

    Args:
        channels: of the input and of the output.
        dilation: (z, y, x).
    """

    def __init__(self, channels: int, dilation: Triple) -> None:
        super().__init__(
            channels, channels, 3, padding=dilation, dilation=dilation, groups=channels, bias=False
        )

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight
        if torch.is_autocast_enabled("cpu") and input.device.type == "cpu":
            precision = torch.get_autocast_dtype("cpu")
            input, weight = input.to(precision), weight.to(precision)
        if _has_fast_path(input, weight):
            dilation: Any = self.dilation
            with torch.autocast("cpu", enabled=False):
                return _Depthwise.apply(input, weight, dilation)
        return super().forward(input)


def _has_fast_path(x: Tensor, weight: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.float64, torch.bfloat16)
        and x.is_contiguous(memory_format=torch.channels_last_3d)
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not torch.jit.is_scripting()
    )


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, dilation: Triple) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        return _convolve(x, weight, dilation)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last_3d)
        for_x = for_weight = None
        if ctx.needs_input_grad[0]:
            for_x = _convolve(gradient, weight.flip((2, 3, 4)), ctx.dilation)
        if ctx.needs_input_grad[1]:
            for_weight = _weight_gradient(x, gradient, weight, ctx.dilation)
        return for_x, for_weight, None


def _planes(dilation_z: int, depth: int) -> list[tuple[int, slice, slice]]:
    """Kernel plane k, the input's slices that it reads, the output's slices that it adds to."""
    planes = [(1, slice(0, depth), slice(0, depth))]
    if dilation_z < depth:
        low, high = slice(0, depth - dilation_z), slice(dilation_z, depth)
        planes += [(0, low, high), (2, high, low)]
    return planes


def _convolve(x: Tensor, weight: Tensor, dilation: Triple) -> Tensor:
    """Depthwise convolution of (B, C, z, y, x) in channels-last memory, same size out."""
    batch, channels, depth, *size = x.shape
    volumes = x.permute(0, 2, 1, 3, 4)  # (B, z, C, y, x), slices in channels_last memory
    images = volumes.reshape(batch * depth, channels, *size)
    out = None
    for k, read, add in _planes(dilation[0], depth):
        plane = functional.conv2d(
            images, weight[:, :, k], padding=dilation[1:], dilation=dilation[1:], groups=channels
        ).view(batch, depth, channels, *size)
        if out is None:
            out = plane
        else:
            out[:, add] += plane[:, read]
    assert out is not None  # there always is the middle plane
    return out.permute(0, 2, 1, 3, 4)


def _weight_gradient(x: Tensor, gradient: Tensor, weight: Tensor, dilation: Triple) -> Tensor:
    phases_x, phases_gradient = (_phases(volume, dilation[1:]) for volume in (x, gradient))
    depth, channels = x.shape[2], x.shape[1]
    result = torch.zeros_like(weight)
    for k, read, add in _planes(dilation[0], depth):
        images, gradients = phases_x[:, read].flatten(0, 2), phases_gradient[:, add].flatten(0, 2)
        result[:, :, k] = conv2d_weight(
            images, weight[:, :, k].shape, gradients, padding=1, groups=channels
        )
    return result


def _phases(volume: Tensor, dilation: tuple[int, ...]) -> Tensor:
    """(B, C, z, y, x) to (B, z, dy * dx phases, C, y / dy, x / dx); zeros fill up odd sizes."""
    dy, dx = dilation
    batch, channels, depth, rows, columns = volume.shape
    v = volume.permute(0, 2, 3, 4, 1)  # channels last
    v = functional.pad(v, (0, 0, 0, -columns % dx, 0, -rows % dy))
    rows, columns = v.shape[2] // dy, v.shape[3] // dx
    v = v.reshape(batch, depth, rows, dy, columns, dx, channels).permute(0, 1, 3, 5, 2, 4, 6)
    return v.reshape(batch, depth, dy * dx, rows, columns, channels).permute(0, 1, 2, 5, 3, 4)
