"""3x3x3 convolutions with half as many multiplications, for the exported graph.

Winograd's F(4, 3) along z: four slices of the output need six products of combined slices with
combined kernel planes instead of twelve products of slices with planes; y and x stay as they are.
Rounding grows: in float32 to 1e-6 of a feature's standard deviation, typically. Runtimes have no
such kernel for volumes, so the sums stand in the graph. Source: Lavin and Gray, "Fast algorithms
for convolutional neural networks", CVPR 2016, section 4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

TILE = 4
"""Slices of the output that are computed together."""

LEAST_CHANNELS = 32
"""Of the input; with fewer the sums cost more than the products that they save."""

# What the kernel's three planes are combined with, for the points 0, 1, -1, 2, -2 and infinity.
_KERNEL = (
    (1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6), (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6), (0, 0, 1),
)  # fmt: skip


class WinogradConv3d(nn.Conv3d):
    """A dense 3x3x3 convolution of stride 1 that keeps the size; for inference in float32 or 64.

    A depth that is no multiple of `TILE` is computed as ever.

    Args:
        plain: the convolution whose weights are taken.
    """

    def __init__(self, plain: nn.Conv3d) -> None:
        super().__init__(
            plain.in_channels, plain.out_channels, 3, padding=1, bias=False, device="meta"
        )
        self.weight, self.bias = plain.weight, plain.bias
        weight = plain.weight.detach()
        combine = torch.tensor(_KERNEL, dtype=torch.float64, device=weight.device)
        planes = torch.einsum("kp,oipyx->koiyx", combine, weight.double())
        self.planes = nn.ParameterList(
            nn.Parameter(plane[:, :, None].to(weight.dtype), requires_grad=False)
            for plane in planes
        )

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, z, y, x) to (B, C', z, y, x)."""
        if input.shape[2] % TILE:
            return super().forward(input)
        products = [
            functional.conv3d(combined, plane, padding=(0, 1, 1))
            for combined, plane in zip(_combined(input), self.planes, strict=True)
        ]
        out = _slices(products)
        return out if self.bias is None else out + self.bias[:, None, None, None]


def _combined(x: Tensor) -> tuple[Tensor, ...]:
    """The six combinations of the slices that a tile needs: (B, C, tiles, y, x) each."""
    d0 = functional.pad(x[:, :, TILE - 1 : -1 : TILE], (0, 0, 0, 0, 1, 0))  # before each tile
    d1, d2, d3, d4 = (x[:, :, k::TILE] for k in range(TILE))
    d5 = functional.pad(x[:, :, TILE::TILE], (0, 0, 0, 0, 0, 1))  # after each tile
    even, odd = d4 - 4 * d2, d3 - 4 * d1
    wide_even, wide_odd = d4 - d2, 2 * (d3 - d1)
    first, last = 4 * d0 - 5 * d2 + d4, 4 * d1 - 5 * d3 + d5
    return first, even + odd, even - odd, wide_even + wide_odd, wide_even - wide_odd, last


def _slices(m: list[Tensor]) -> Tensor:
    """The slices of the output, in their order, from the six products of every tile."""
    plus, minus, wide_plus, wide_minus = m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]
    of_tiles = (
        m[0] + plus + wide_plus,
        minus + 2 * wide_minus,
        plus + 4 * wide_plus,
        minus + 8 * wide_minus + m[5],
    )
    # One by one: interleaving them by a reshape would make a runtime change its memory's layout.
    split = [part.split(1, dim=2) for part in of_tiles]
    return torch.cat([part for tile in zip(*split, strict=True) for part in tile], dim=2)


def use_fewer_products(net: nn.Module) -> None:
    """Replace the fitting convolutions of a network for inference by `WinogradConv3d`, in place.

    A batch norm that follows one in an `nn.Sequential` goes into its weights. That another part of
    the network uses the convolution's own output as well is not seen here, but by the comparison of
    scores that every export makes.
    """
    net.eval()
    for parent in list(net.modules()):
        for name, layer in list(parent.named_children()):
            if takes_fewer_products(layer):
                assert isinstance(layer, nn.Conv3d)
                setattr(parent, name, WinogradConv3d(_with_norm(parent, name, layer)))


def fold_norms(net: nn.Module) -> None:
    """Take the batch norms behind convolutions into their weights, for inference, in place."""
    net.eval()
    for parent in list(net.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.Conv3d and not _hooked(layer):
                setattr(parent, name, _with_norm(parent, name, layer))


def _with_norm(parent: nn.Module, name: str, layer: nn.Conv3d) -> nn.Conv3d:
    """The convolution with the batch norm behind it, which is taken out of its place."""
    if type(parent).forward is not nn.Sequential.forward:
        return layer
    names = list(parent._modules)  # named_children leaves out what stands there a second time
    after = names[names.index(name) + 1 :][:1]
    norm = parent.get_submodule(after[0]) if after else None
    if type(norm) is not nn.BatchNorm3d or norm.running_mean is None or _hooked(norm):
        return layer
    setattr(parent, after[0], nn.Identity())
    return fuse_conv_bn_eval(layer, norm)


def is_plain(layer: nn.Conv3d) -> bool:
    """Whether a convolution is only that: zeros around the image, and nothing hooked to it."""
    return (
        layer.padding_mode == "zeros" and not isinstance(layer.padding, str) and not _hooked(layer)
    )


def takes_fewer_products(layer: nn.Module) -> bool:
    """Whether `WinogradConv3d` can take a layer's place, to good use."""
    return (
        type(layer) is nn.Conv3d
        and layer.in_channels >= LEAST_CHANNELS
        and not _hooked(layer)
        and (
            layer.kernel_size, layer.stride, layer.dilation, layer.padding, layer.groups,
            layer.padding_mode,
        ) == ((3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1, "zeros")
    )  # fmt: skip


def _hooked(layer: nn.Module) -> bool:
    """Whether something else happens when it is called; weight_norm and pruning work that way."""
    return bool(layer._forward_hooks or layer._forward_pre_hooks)
