"""Convolutions whose way back, from the output's gradient to the input's, is a convolution too.

A graph that holds the gradient of a network needs it in operations that runtimes have. Weights are
constants there: their own gradients are not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from covidlit.deploy.winograd import WinogradConv3d, is_plain, takes_fewer_products
from covidlit.models.atrous import DepthwiseAtrousConv3d

FEW_CHANNELS = 8
"""Up to so many channels of the input, a strided convolution goes back by `_StridedBack`: runtimes
have fast kernels for many channels alone."""


class ReversedConv3d(nn.Module):
    """A convolution that gives the same, with the way back made of convolutions.

    Args:
        conv: with zeros around the image.
    """

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        conv = _plain(conv)
        self.ahead = WinogradConv3d(conv) if takes_fewer_products(conv) else conv
        self.back: nn.Module
        if conv.stride == (1, 1, 1) and min(_around(conv)) >= 0:
            turned = _turned(conv)
            self.back = WinogradConv3d(turned) if takes_fewer_products(turned) else turned
        elif conv.in_channels <= FEW_CHANNELS and _is_centred(conv):
            self.back = _StridedBack(conv)
        else:
            self.back = _Transposed(conv)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, z, y, x) to (B, C', z', y', x')."""
        out: Tensor = _Convolve.apply(x, self)
        return out


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: ReversedConv3d) -> Tensor:
        ctx.layer, ctx.size = layer, x.shape[2:]
        return layer.ahead(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        back = ctx.layer.back
        return (back(gradient, ctx.size) if hasattr(back, "sized") else back(gradient)), None


def _plain(conv: nn.Conv3d) -> nn.Conv3d:
    """The convolution as PyTorch's own, with the same weights, which are constants."""
    plain = nn.Conv3d(
        conv.in_channels,
        conv.out_channels,
        _three(conv.kernel_size),
        _three(conv.stride),
        _three(_padding(conv)),
        _three(conv.dilation),
        conv.groups,
        bias=conv.bias is not None,
        device="meta",
    )
    plain.weight, plain.bias = conv.weight, conv.bias
    return plain.requires_grad_(False)


def _around(conv: nn.Conv3d) -> list[int]:
    """How many zeros stand around the gradient on its way back, along each axis."""
    return [
        (k - 1) * d - p
        for k, d, p in zip(conv.kernel_size, conv.dilation, _padding(conv), strict=True)
    ]


def _is_centred(conv: nn.Conv3d) -> bool:
    """Whether each output voxel lies in the middle of what it sees."""
    centred = [2 * p == k - 1 for k, p in zip(conv.kernel_size, _padding(conv), strict=True)]
    return all(centred) and conv.groups == 1 and max(conv.dilation) == 1


def _turned(conv: nn.Conv3d) -> nn.Conv3d:
    """The convolution that takes the gradient back where the stride is 1."""
    groups = conv.groups
    weight = conv.weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)
    turned = nn.Conv3d(
        conv.out_channels,
        conv.in_channels,
        _three(conv.kernel_size),
        padding=_three(_around(conv)),
        dilation=_three(conv.dilation),
        groups=groups,
        bias=False,
        device="meta",
    )
    turned.weight = nn.Parameter(weight.flip(2, 3, 4).contiguous(), requires_grad=False)
    return turned


class _Transposed(nn.Module):
    """The way back of a strided convolution, as runtimes have it."""

    sized = True

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, gradient: Tensor, size: Sequence[int]) -> Tensor:
        conv = self.conv
        kept = [
            length - ((n - 1) * s - 2 * p + (k - 1) * d + 1)
            for length, n, s, p, k, d in zip(
                size, gradient.shape[2:], conv.stride, _padding(conv), conv.kernel_size,
                conv.dilation, strict=True,
            )
        ]  # fmt: skip
        return functional.conv_transpose3d(
            gradient, conv.weight, stride=conv.stride, padding=_padding(conv), output_padding=kept,
            dilation=conv.dilation, groups=conv.groups,
        )  # fmt: skip


class _StridedBack(nn.Module):
    """The way back of a strided convolution from many channels to few, as a dense convolution.

    With stride s, every s-th voxel of the input meets the same weights: one convolution computes
    the voxels of all s * s * s kinds as channels, which are then put between each other.
    """

    sized = True

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        self.stride, self.channels = conv.stride, conv.in_channels
        weight = conv.weight.detach()
        self.before, self.after = [], []
        for axis, (k, s, p) in enumerate(
            zip(conv.kernel_size, conv.stride, _padding(conv), strict=True)
        ):
            # Input voxel s * q + r meets weight w at output voxel q + (r + p - w) / s.
            first, last = -((k - 1 - p) // s), (s - 1 + p) // s
            taps = []
            for r in range(s):
                at = [r + p - s * place for place in range(first, last + 1)]
                kept = torch.tensor([w if 0 <= w < k else 0 for w in at], device=weight.device)
                there = torch.tensor([0 <= w < k for w in at], device=weight.device)
                shape = [-1 if d == axis + 2 else 1 for d in range(5)]
                taps.append(weight.index_select(axis + 2, kept) * there.reshape(shape))
            weight = torch.cat(taps, dim=1)  # kinds stand before the channels
            self.before.append(-first)
            self.after.append(last)
        self.weight = nn.Parameter(weight.transpose(0, 1).contiguous(), requires_grad=False)

    def forward(self, gradient: Tensor, size: Sequence[int]) -> Tensor:
        sides = [side for pair in zip(self.before, self.after, strict=True) for side in pair]
        around = [sides[k] for k in (4, 5, 2, 3, 0, 1)]
        kinds = functional.conv3d(functional.pad(gradient, around), self.weight)
        batch, (z, y, x), (a, b, c) = len(gradient), gradient.shape[2:], self.stride
        whole = kinds.reshape(batch, c, b, a, self.channels, z, y, x)
        whole = whole.permute(0, 4, 5, 3, 6, 2, 7, 1)
        whole = whole.reshape(batch, self.channels, z * a, y * b, x * c)
        short = [max(0, wanted - n) for wanted, n in zip(size, whole.shape[2:], strict=True)]
        whole = functional.pad(whole, (0, short[2], 0, short[1], 0, short[0]))
        return whole[:, :, : size[0], : size[1], : size[2]]


def _padding(conv: nn.Conv3d) -> Sequence[int]:
    assert not isinstance(conv.padding, str)  # see `reverse_convolutions`
    return conv.padding


def _three(values: Sequence[int]) -> tuple[int, int, int]:
    z, y, x = values
    return z, y, x


def reverse_convolutions(net: nn.Module) -> None:
    """Replace the convolutions of a network for inference by `ReversedConv3d`, in place."""
    for parent in list(net.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) not in (nn.Conv3d, DepthwiseAtrousConv3d):
                continue
            assert isinstance(layer, nn.Conv3d)
            if is_plain(layer):
                setattr(parent, name, ReversedConv3d(layer))
