"""The 3D CSAC-Net: a 3D residual network with cross-layer sparse atrous convolution subnets.

Yao et al., "AI detection of mild COVID-19 pneumonia from chest CT scans", Eur Radiol 2021, section
"Algorithms" and Fig. 1. Its supplement is not public; this realisation has every layer count that
the paper gives (39 convolutions, 10 atrous ones, 3 + 5 max poolings, 3 fully connected layers).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from covidlit.errors import ConfigError
from covidlit.models.atrous import DepthwiseAtrousConv3d
from covidlit.models.explainable import ExplainableLayer
from covidlit.models.layers import (
    GlobalPool,
    Triple,
    initialise,
    input_layer,
    make_norm,
    make_vector_norm,
    quiet_output,
    triple,
)
from covidlit.models.voxel_grid import VoxelGrid

EXPANSION = 4


def _conv(inputs: int, outputs: int, kernel: int, stride: int | Triple = 1) -> nn.Conv3d:
    return nn.Conv3d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def _halve() -> nn.MaxPool3d:
    # ceil_mode keeps the last slice of an odd number, and one slice stays one slice.
    return nn.MaxPool3d(kernel_size=2, stride=2, ceil_mode=True)


class Bottleneck(nn.Module):
    """Residual block 1x1x1, 3x3x3, 1x1x1 (He et al. 2016), with a projection where wanted."""

    def __init__(self, inputs: int, width: int, norm: str, project: bool) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.body = nn.Sequential(
            _conv(inputs, width, 1),
            make_norm(norm, width),
            nn.ReLU(inplace=True),
            _conv(width, width, 3),
            make_norm(norm, width),
            nn.ReLU(inplace=True),
            _conv(width, outputs, 1),
            make_norm(norm, outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if project:
            self.shortcut = nn.Sequential(_conv(inputs, outputs, 1), make_norm(norm, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu_(self.body(x) + self.shortcut(x))


class SSAC(nn.Module):
    """Sparse separable atrous convolution: depthwise 3x3x3 with dilation, then 1x1x1 pointwise."""

    def __init__(self, inputs: int, outputs: int, dilation: Triple, norm: str) -> None:
        super().__init__()
        self.atrous = DepthwiseAtrousConv3d(inputs, dilation)
        self.pointwise = _conv(inputs, outputs, 1)
        self.norm = make_norm(norm, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu_(self.norm(self.pointwise(self.atrous(x))))


class CrossLayerSubnet(nn.Sequential):
    """Units of two SSAC and a MaxPool3d, from between two residual modules to the last resolution.

    Args:
        inputs: channels at its start.
        width: channels of all its pointwise convolutions.
        units: number of units; each halves the resolution.
        dilations: of the first and the second SSAC of each unit, (z, y, x).
        norm: see `make_norm`.
    """

    def __init__(
        self, inputs: int, width: int, units: int, dilations: Sequence[Triple], norm: str
    ) -> None:
        layers: list[nn.Module] = []
        for _ in range(units):
            for dilation in dilations:
                layers.append(SSAC(inputs, width, dilation, norm))
                inputs = width
            layers.append(_halve())
        super().__init__(*layers)


class CSACNet3D(nn.Module):
    """3D CSAC-Net: whole CT volume in, one score (or one per class) out.

    With M residual modules there are M - 1 max poolings between them and M - 1 cross-layer subnets:
    the first starts from module 2's input and has M - 2 units, the k-th (k >= 2) from module k's
    output and has M - k, so that all end at the resolution of the last module.

    Args:
        in_channels: channels of the input.
        n_outputs: 1 logit for a binary task, or the number of classes.
        width: channels of the stem; module k has 2^(k - 1) times as many in its 3x3x3 convolutions
            and 4 times those at its output.
        n_modules: M, at least 3.
        blocks: bottleneck blocks per residual module, one number or one per module.
        stem_stride: of the 7x7x7 stem, an integer or (z, y, x); (1, 2, 2) suits few, thick slices.
        dilations: of the two atrous convolutions of each unit, integers or (z, y, x); at least one
            axis of each must be greater than 1, or all of both 1: then they are ordinary depthwise
            convolutions, for the ablation "without dilation".
        subnet_width: channels of the subnets; None is twice `width`.
        hidden: widths of the first two of the three Linear layers.
        pooling: "avg", "max", "avg_max" or "lse", see `GlobalPool`. Small lesions vanish in "avg".
        dropout: probability, before each of the last two Linear layers.
        norm: "batch", "group" or "instance"; the two hidden Linear layers get it as well.
        zero_init: start every residual block as the identity (its last norm's scale at zero).
        cross_layers: False leaves the subnets out, for the ablation "without cross-layers".
        input_mean, input_std: the input is standardised with these inside the network.
        input_bins: instead, it is spread over so many channels (`SoftBins`); None: one channel.

    Raises:
        ConfigError: an argument out of its range; the message names it.
    """

    def __init__(
        self,
        in_channels: int = 1,
        n_outputs: int = 1,
        width: int = 64,
        n_modules: int = 4,
        blocks: int | Sequence[int] = 2,
        stem_stride: int | Sequence[int] = 2,
        dilations: Sequence[int | Sequence[int]] = ((1, 2, 2), (2, 4, 4)),
        subnet_width: int | None = None,
        hidden: Sequence[int] = (128, 128),
        pooling: str = "avg_max",
        dropout: float = 0.1,
        norm: str = "batch",
        zero_init: bool = True,
        cross_layers: bool = True,
        input_mean: float = 0.0,
        input_std: float = 1.0,
        input_bins: int | None = None,
    ) -> None:
        super().__init__()
        self._check(width, n_modules, dilations, hidden)
        per_module = [blocks] * n_modules if isinstance(blocks, int) else list(blocks)
        if len(per_module) != n_modules or min(per_module) < 1:
            raise ConfigError(
                f"blocks must be one positive integer or {n_modules} of them, got {blocks!r}.",
                where="blocks",
                fix="give one number per residual module.",
            )
        rates = [triple(rate, "dilations") for rate in dilations]
        plain = [max(rate) == 1 for rate in rates]
        if any(plain) and not all(plain):
            raise ConfigError(
                f"each of the dilations needs an axis greater than 1 (or none of them has one), "
                f"got {list(dilations)!r}.",
                where="dilations",
                fix="write for example [[1, 2, 2], [2, 4, 4]].",
            )
        self.input = input_layer(input_bins, input_mean, input_std)
        self.stem = nn.Sequential(
            _conv(in_channels * (input_bins or 1), width, 7, triple(stem_stride, "stem_stride")),
            make_norm(norm, width),
            nn.ReLU(inplace=True),
        )
        self.residual = nn.ModuleList()
        self.pools = nn.ModuleList(_halve() for _ in range(n_modules - 1))
        ends = [width]  # channels at the stem's and at each module's output
        for k, count in enumerate(per_module):
            inner = width * 2**k
            module = [Bottleneck(ends[-1], inner, norm, project=True)]
            ends.append(EXPANSION * inner)
            module += [Bottleneck(ends[-1], inner, norm, project=False) for _ in range(count - 1)]
            self.residual.append(nn.Sequential(*module))
        side = 2 * width if subnet_width is None else subnet_width
        units = [n_modules - 2] + [n_modules - k for k in range(2, n_modules)]
        starts = [ends[1], *ends[2:n_modules]]
        if not cross_layers:
            units, starts = [], []
        self.subnets = nn.ModuleList(
            CrossLayerSubnet(start, side, count, rates, norm)
            for start, count in zip(starts, units, strict=True)
        )
        self.pool = GlobalPool(pooling)
        # Pooled features are positive and differ little from scan to scan: without the norms one
        # step can move a hidden unit below zero for every scan, and its ReLU keeps it there.
        self.head = nn.Sequential(
            nn.Linear(self.pool.channels(ends[-1] + side * len(units)), hidden[0]),
            make_vector_norm(norm, hidden[0]),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden[0], hidden[1]),
            make_vector_norm(norm, hidden[1]),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden[1], n_outputs),
        )
        initialise(self)
        quiet_output(self.head)
        if zero_init:
            for block in self.modules():
                if isinstance(block, Bottleneck):
                    nn.init.zeros_(block.body[-1].weight)  # type: ignore[arg-type]

    @staticmethod
    def _check(
        width: int, n_modules: int, dilations: Sequence[object], hidden: Sequence[int]
    ) -> None:
        for name, fails, rule, value in (
            ("width", width < 1, "at least 1", width),
            ("n_modules", n_modules < 3, "at least 3 (M - 2 units in the first)", n_modules),
            ("dilations", len(dilations) != 2, "two, one per atrous convolution", dilations),
            ("hidden", len(hidden) != 2, "two widths (three Linear layers)", hidden),
        ):
            if fails:
                raise ConfigError(
                    f"{name} must be {rule}, got {value!r}.", where=name, fix=f"change {name}."
                )

    def explainable_layers(self) -> dict[str, ExplainableLayer]:
        """Layers for heatmaps: the last max pooling, each subnet's units, the residual modules.

        First, hence the default, is what the last max pooling takes, `module3` of four: the same
        features at twice the resolution. `last_pool` is the paper's (Figs. 3 and 4);
        `subnet<k>` the end of cross-layer subnet k, at the last resolution; `subnet<k>_unit<j>` its
        j-th pair of atrous convolutions, before their pooling; `module<k>` the output of residual
        module k.
        """
        grids = [VoxelGrid().after(self.stem[0])]  # of each module's output
        for pool in self.pools:
            grids.append(grids[-1].after(pool))
        before = f"module{len(self.pools)}"
        layers = {
            before: ExplainableLayer(self.residual[-2], grids[-2]),
            "last_pool": ExplainableLayer(self.pools[-1], grids[-1]),
        }
        units: dict[str, ExplainableLayer] = {}
        for k, subnet in enumerate(self.subnets, start=1):
            layers[f"subnet{k}"] = ExplainableLayer(subnet, grids[-1])
            grid = grids[max(k - 1, 1)]  # the first starts behind a pooling, the others before it
            parts = list(subnet.children())  # of each unit: SSAC, SSAC, MaxPool3d
            for j, (atrous, pool) in enumerate(zip(parts[1::3], parts[2::3], strict=True), start=1):
                units[f"subnet{k}_unit{j}"] = ExplainableLayer(atrous, grid)
                grid = grid.after(pool)
        modules = zip(self.residual, grids, strict=True)
        outputs = {f"module{k}": ExplainableLayer(*pair) for k, pair in enumerate(modules, start=1)}
        return layers | units | outputs

    def features(self, image: Tensor) -> Tensor:
        """Baseline and subnet outputs, concatenated on channels, at the last module's resolution.

        Args:
            image: (B, in_channels, z, y, x).
        """
        x = self.stem(self.input(image))
        sides = []
        for k, module in enumerate(self.residual):
            x = module(x)
            if 1 <= k < len(self.subnets):
                sides.append(self.subnets[k](x))
            if k < len(self.pools):
                x = self.pools[k](x)
            if k == 0 and len(self.subnets):
                sides.append(self.subnets[0](x))
        return torch.cat([x, *sides], dim=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, n_outputs) of a volume (B, in_channels, z, y, x)."""
        return self.head(self.pool(self.features(image)))

    def sparsity(self) -> Tensor:
        """Mean absolute value of the atrous kernels, to be added to the loss with a weight (L1).

        Raises:
            ConfigError: the network was built without cross-layers.
        """
        kernels = [module.atrous.weight for module in self.modules() if isinstance(module, SSAC)]
        if not kernels:
            raise ConfigError(
                "a network without cross-layers has no atrous kernels to make sparse.",
                where="sparsity_weight",
                fix="set sparsity_weight to 0.",
            )
        total = torch.stack([kernel.abs().sum() for kernel in kernels]).sum()
        return total / sum(kernel.numel() for kernel in kernels)
