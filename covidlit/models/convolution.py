"""3D convolutions on CPUs whose gradients can be relied on, in float32 and in bfloat16.

In oneDNN, which computes them in torch 2.14, the weight gradient of a 3D convolution is wrong for
some volumes: in float32 with kernels of more than 3 where the volume is no thicker than the
kernel; in bfloat16 with such kernels altogether, with smaller ones where the volume is thinner
than the kernel, where a few results are wrong too, and with 1x1x1 where there are few voxels.

So in bfloat16 volumes thinner than the kernel are convolved in float32, where they cost next to
nothing; the weight gradient of large kernels is computed in float32, and where that is wrong too,
as a sum of 2D convolutions, a plane of the kernel at a time; that of 1x1x1 kernels is a product of
matrices.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight


class Conv3d(nn.Conv3d):
    """`torch.nn.Conv3d`, whose gradients can be relied on on CPUs, with `torch.compile` as well."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not _takes_over(input) or self.padding_mode != "zeros" or self.padding == "same":
            return super()._conv_forward(input, weight, bias)
        if not torch.is_autocast_enabled("cpu"):
            if _is_thin(input, weight):
                return self._convolve(input, weight, bias)
            return super()._conv_forward(input, weight, bias)
        low = torch.get_autocast_dtype("cpu")
        sizes = zip(input.shape[2:], self.kernel_size, strict=True)
        dtype = torch.float32 if any(size < kernel for size, kernel in sizes) else low
        with torch.autocast("cpu", enabled=False):
            bias = None if bias is None else bias.to(dtype)
            return self._convolve(input.to(dtype), weight.to(dtype), bias).to(low)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = (0, 0, 0) if self.padding == "valid" else self.padding
        return _Convolution.apply(x, weight, bias, self.stride, padding, self.dilation, self.groups)


PLAIN_CONVOLUTIONS = (nn.Conv3d, Conv3d)
"""The layers that are a 3D convolution and nothing else; their subclasses may compute otherwise."""


def use_reliable_convolutions(net: nn.Module) -> None:
    """Make every plain `torch.nn.Conv3d` of a network a `Conv3d`; its weights stay the same."""
    for module in net.modules():
        if type(module) is nn.Conv3d:
            module.__class__ = Conv3d


def _takes_over(x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype != torch.float64  # which oneDNN leaves to PyTorch's own kernels
        and x.ndim == 5
        and not torch.compiler.is_exporting()
        and not torch.jit.is_tracing()
        and not torch.jit.is_scripting()
    )


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, *shape: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.shape, ctx.has_bias = shape, bias is not None
        return torch.conv3d(x, weight, bias, *shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        for_x, for_weight = ctx.needs_input_grad[:2]
        pointwise = _is_pointwise(weight, ctx.shape)
        together = for_weight and not pointwise and not _is_large(weight)
        result: list[Tensor | None] = [None] * 7
        if for_x or together:
            result[:2] = _native_gradients(gradient, x, weight, ctx.shape, [for_x, together, False])
        if for_weight and pointwise:
            result[1] = _pointwise_gradient(gradient, x, weight, ctx.shape)
        elif for_weight and not together:
            exact = gradient.float(), x.float(), weight.float()
            if _is_thin(x, weight):
                result[1] = _weight_gradient(*exact, ctx.shape)
            else:
                result[1] = _native_gradients(*exact, ctx.shape, [False, True, False])[1]
        if ctx.has_bias and ctx.needs_input_grad[2]:
            result[2] = gradient.float().sum((0, 2, 3, 4))
        return tuple(result)


def _is_pointwise(weight: Tensor, shape: tuple[Any, ...]) -> bool:
    _, padding, _, groups = shape
    return weight.shape[2:].numel() == 1 and groups == 1 and not any(padding)


def _is_large(weight: Tensor) -> bool:
    return max(weight.shape[2:]) > 3


def _is_thin(x: Tensor, weight: Tensor) -> bool:
    """Whether a large kernel is as thick as the volume along an axis."""
    sizes = zip(x.shape[2:], weight.shape[2:], strict=True)
    return any(kernel > 3 and size <= kernel for size, kernel in sizes)


def _native_gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, shape: tuple[Any, ...], wanted: list[bool]
) -> list[Tensor | None]:
    """For the input and the weights, each if wanted."""
    stride, padding, dilation, groups = shape
    both = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, stride, padding, dilation, False, [0, 0, 0], groups, wanted
    )
    return list(both[:2])


def _pointwise_gradient(
    gradient: Tensor, x: Tensor, weight: Tensor, shape: tuple[Any, ...]
) -> Tensor:
    """Gradient of the weights of a 1x1x1 convolution: a product of two matrices."""
    z, y, x_step = shape[0]
    read = x[:, :, ::z, ::y, ::x_step]
    # Copies where an axis is strided or the memory is not channels-last.
    outputs, inputs = (each.permute(0, 2, 3, 4, 1).flatten(0, 3) for each in (gradient, read))
    return (outputs.T @ inputs).view_as(weight)


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, shape: tuple[Any, ...]) -> Tensor:
    """Gradient of a 3D convolution's weights (O, C / groups, z, y, x), a plane of it at a time.

    Plane k of the kernel meets slice z * stride + k * dilation - padding of the input where it
    computes slice z of the output.
    """
    stride, padding, dilation, groups = shape
    result = torch.zeros_like(weight)
    for k in range(weight.shape[2]):
        first = k * dilation[0] - padding[0]
        there = [z for z in range(gradient.shape[2]) if 0 <= z * stride[0] + first < x.shape[2]]
        if there:
            start = there[0] * stride[0] + first
            last = start + (len(there) - 1) * stride[0]
            result[:, :, k] = conv2d_weight(
                _slices(x[:, :, start : last + 1 : stride[0]]),
                (*weight.shape[:2], *weight.shape[3:]),
                _slices(gradient[:, :, there[0] : there[-1] + 1]),
                stride[1:],
                padding[1:],
                dilation[1:],
                groups,
            )
    return result


def _slices(volumes: Tensor) -> Tensor:
    """(B, C, z, y, x) to (B * z, C, y, x)."""
    return volumes.permute(0, 2, 1, 3, 4).flatten(0, 1)
