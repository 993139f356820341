"""Layers that the 3D networks share: normalisation, global pooling, the input's preparation."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from covidlit.errors import ConfigError

Triple = tuple[int, int, int]
Choice = TypeVar("Choice", str, int)
NORMS = ("batch", "group", "instance")
POOLINGS = ("avg", "max", "avg_max", "lse")


def triple(value: int | Sequence[int], name: str) -> Triple:
    """One positive integer per axis (z, y, x), from one integer or three.

    Raises:
        ConfigError: anything else; `name` is the argument that the message names.
    """
    axes = (value,) * 3 if isinstance(value, int) else tuple(value)
    if len(axes) != 3 or not all(isinstance(axis, int) and axis > 0 for axis in axes):
        raise ConfigError(
            f"{name} must be one positive integer or three of them (z, y, x), got {value!r}.",
            where=name,
            fix="write for example 2 or [1, 2, 2].",
        )
    return axes


def check_choice(value: Choice, choices: Collection[Choice], name: str) -> Choice:
    """Return `value` if it is one of `choices`; otherwise raise a ConfigError that lists them."""
    if value not in choices:
        raise ConfigError(
            f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}.",
            where=name,
            fix=f"set {name} to one of them.",
        )
    return value


def make_norm(norm: str, channels: int) -> nn.Module:
    """A normalisation with a scale and a shift per channel: "batch", "group" or "instance".

    "group" takes groups of at most 16 channels (of one channel where 16 does not fit).
    """
    check_choice(norm, NORMS, "norm")
    if norm == "batch":
        return nn.BatchNorm3d(channels)
    if norm == "instance":
        return nn.InstanceNorm3d(channels, affine=True)
    return nn.GroupNorm(channels // math.gcd(channels, 16), channels)


def replace_batch_norm(net: nn.Module, norm: str) -> None:
    """Put another normalisation (see `make_norm`) in the place of each BatchNorm3d of a network.

    MONAI's `norm` arguments do not reach all of them.
    """
    for name, child in net.named_children():
        if isinstance(child, nn.BatchNorm3d):
            setattr(net, name, make_norm(norm, child.num_features))
        else:
            replace_batch_norm(child, norm)


class FeatureNorm(nn.BatchNorm1d):
    """Batch normalisation of vectors (B, C), which takes a batch of one scan as well.

    One scan has no spread of its own: it is normalised with the running statistics.
    """

    def forward(self, features: Tensor) -> Tensor:
        if not self.training or len(features) > 1:
            return super().forward(features)
        mean, var = self.running_mean, self.running_var
        return functional.batch_norm(features, mean, var, self.weight, self.bias, eps=self.eps)


def make_vector_norm(norm: str, channels: int) -> nn.Module:
    """As `make_norm`, for vectors (B, C): "batch", or the layer's norm for "group", "instance"."""
    check_choice(norm, NORMS, "norm")
    return FeatureNorm(channels) if norm == "batch" else nn.LayerNorm(channels)


def initialise(net: nn.Module) -> None:
    """He initialisation: convolutions by fan-out, depthwise ones and linear layers by fan-in."""
    for module in net.modules():
        if isinstance(module, nn.Conv3d) and module.groups == 1:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if isinstance(module, nn.Conv3d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


class GlobalPool(nn.Module):
    """Reduce (B, C, z, y, x) to one vector per scan.

    Args:
        kind: "avg", "max", "avg_max" (both, concatenated: 2 C values) or "lse", the smooth maximum
            log(mean(exp(r x))) / r with r = 5 (Pinheiro and Collobert, CVPR 2015, eq. 6), which
            lies between the average and the maximum.
    """

    sharpness = 5.0

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = check_choice(kind, POOLINGS, "pooling")

    def channels(self, features: int) -> int:
        """Length of the output vector for `features` input channels."""
        return 2 * features if self.kind == "avg_max" else features

    def forward(self, features: Tensor) -> Tensor:
        if self.kind == "avg":
            return features.mean((2, 3, 4))
        if self.kind == "max":
            return features.amax((2, 3, 4))
        if self.kind == "avg_max":
            return torch.cat([features.mean((2, 3, 4)), features.amax((2, 3, 4))], dim=1)
        voxels = features.flatten(2).float()
        smooth = torch.logsumexp(self.sharpness * voxels, dim=2) - math.log(voxels.shape[2])
        return smooth / self.sharpness

    def extra_repr(self) -> str:
        return self.kind


def quiet_output(head: nn.Sequential) -> None:
    """Start the last Linear layer near zero, so that training starts from even odds."""
    last = [module for module in head if isinstance(module, nn.Linear)][-1]
    nn.init.normal_(last.weight, std=0.01)


def input_layer(bins: int | None, mean: float, std: float) -> nn.Module:
    """What a network does with its input first: `SoftBins`, or without bins `Standardise`.

    Raises:
        ConfigError: bins together with a mean or standard deviation, or an argument out of range.
    """
    if bins is None:
        return Standardise(mean, std)
    if (mean, std) != (0.0, 1.0):
        raise ConfigError(
            f"input_bins={bins} takes the input as it is, but input_mean={mean} and "
            f"input_std={std} are given as well.",
            where="input_bins",
            fix="leave input_mean at 0 and input_std at 1, or set input_bins to null.",
        )
    return SoftBins(bins)


class SoftBins(nn.Module):
    """Each voxel's weights in `bins` soft bins of [0, 1], as channels.

    Bin k is a triangle with its top at k / (bins - 1) that reaches zero at its neighbours' tops
    (the linear B-splines on equally spaced knots): the weights of a voxel are at least 0, sum to 1
    and give the voxel back as the mean of the tops, so that nothing is lost. Ground glass, vessels
    and air become channels of their own, as with several display windows of a CT.

    Raises:
        ConfigError: fewer than two bins.
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        if not isinstance(bins, int) or isinstance(bins, bool) or bins < 2:
            raise ConfigError(
                f"input_bins must be a whole number of at least 2, got {bins!r}.",
                where="input_bins",
                fix="use for example 5, or null for the input itself.",
            )
        self.bins = bins

    def forward(self, image: Tensor) -> Tensor:
        """(B, bins, z, y, x) of a volume (B, 1, z, y, x) in [0, 1]."""
        place = image * (self.bins - 1)
        return torch.cat([1 - (place - k).abs().clamp(max=1) for k in range(self.bins)], dim=1)

    def extra_repr(self) -> str:
        return f"bins={self.bins}"


class Standardise(nn.Module):
    """(x - mean) / std of the input with fixed numbers; mean 0 and std 1 leave it as it is."""

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        if not std > 0:
            raise ConfigError(
                f"input_std must be greater than 0, got {std}.", where="input_std", fix="use 1."
            )
        self.mean, self.std = float(mean), float(std)

    def forward(self, image: Tensor) -> Tensor:
        if self.mean == 0.0 and self.std == 1.0:
            return image
        return (image - self.mean) / self.std

    def extra_repr(self) -> str:
        return f"mean={self.mean}, std={self.std}"
