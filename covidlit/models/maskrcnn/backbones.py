"""Feature pyramids over backbones that train on a GPU, or on two cores."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import timm
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torchvision.models import resnet
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from covidlit.errors import ConfigError
from covidlit.models.layers import check_choice

NORMS = ("group", "frozen", "batch")


class Architecture(NamedTuple):
    """A backbone.

    Args:
        name: at torchvision or timm.
        channels: of its features at strides 4, 8, 16 and 32.
        mean, std: of the input that its ImageNet weights were trained with.
        stages: prefixes of its modules, from the input on; what is frozen is frozen in this order.
    """

    name: str
    channels: tuple[int, int, int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    stages: tuple[tuple[str, ...], ...]


_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_RESNET_STAGES = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))
BACKBONES = {
    "resnet18": Architecture("resnet18", (64, 128, 256, 512), *_IMAGENET, _RESNET_STAGES),
    "resnet34": Architecture("resnet34", (64, 128, 256, 512), *_IMAGENET, _RESNET_STAGES),
    "resnet50": Architecture("resnet50", (256, 512, 1024, 2048), *_IMAGENET, _RESNET_STAGES),
    "efficientnet_lite0": Architecture(
        "tf_efficientnet_lite0",
        (24, 40, 112, 320),
        (127 / 255,) * 3,
        (128 / 255,) * 3,
        (
            ("conv_stem", "bn1"),
            ("blocks.0", "blocks.1"),
            ("blocks.2",),
            ("blocks.3", "blocks.4"),
            ("blocks.5", "blocks.6"),
        ),
    ),
}
"""Backbones by name. Features of a stride are those of the last block with it."""

N_STAGES = 5


class TimmFeatures(nn.Module):
    """The layers of timm's EfficientNet, as far as the features go, and its features by level."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.conv_stem: nn.Module = net.get_submodule("conv_stem")
        self.bn1: nn.Module = net.get_submodule("bn1")
        self.blocks = nn.Sequential(*net.get_submodule("blocks").children())
        self._after = {1: "0", 2: "1", 4: "2", 6: "3"}

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        features: dict[str, Tensor] = OrderedDict()
        x = self.bn1(self.conv_stem(image))
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self._after:
                features[self._after[index]] = x
        return features


class PyramidBackbone(nn.Module):
    """A backbone with a feature pyramid, whose modules are named as torchvision names them.

    Args:
        backbone: one of `BACKBONES`.
        channels: of the pyramid.
        norm: "group" (needs no statistics: for training from the start), "frozen" (batch norm with
            the statistics and weights that it was given: for pretrained weights) or "batch".
        trainable_stages: of the five stages from the deepest on, how many are trained.
        in_channels: of the slices.
        pyramid_norm: of the pyramid, as `norm`; None: without one.

    Raises:
        ConfigError: an argument out of its range.
    """

    def __init__(
        self,
        backbone: str,
        channels: int = 256,
        norm: str = "group",
        trainable_stages: int = N_STAGES,
        in_channels: int = 3,
        pyramid_norm: str | None = None,
    ) -> None:
        super().__init__()
        check_choice(backbone, tuple(BACKBONES), "backbone")
        check_choice(norm, NORMS, "norm")
        if trainable_stages not in range(N_STAGES + 1):
            raise ConfigError(
                f"trainable_stages must be 0 to {N_STAGES}, got {trainable_stages!r}.",
                where="trainable_stages",
                fix=f"{N_STAGES} trains the whole backbone.",
            )
        self.architecture = BACKBONES[backbone]
        self.norm = norm
        self.body = _body(self.architecture, in_channels)
        if norm == "group":
            _replace_norms(self.body)
        self.fpn = FeaturePyramidNetwork(
            list(self.architecture.channels),
            channels,
            extra_blocks=LastLevelMaxPool(),
            norm_layer=norm_layer(pyramid_norm) if pyramid_norm else None,
        )
        self.out_channels = channels
        self._frozen = self._freeze(trainable_stages)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Features of the levels "0" to "3" (strides 4 to 32) and "pool" (64)."""
        features: dict[str, Tensor] = self.fpn(self.body(image))
        return features

    def _freeze(self, trainable_stages: int) -> list[nn.Module]:
        """Freeze the first stages; returns the batch norms whose statistics must stay too."""
        prefixes = [
            prefix
            for stage in self.architecture.stages[: N_STAGES - trainable_stages]
            for prefix in stage
        ]

        def is_frozen(name: str) -> bool:
            return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)

        for name, parameter in self.body.named_parameters():
            if is_frozen(name):
                parameter.requires_grad_(False)
        return [
            module
            for name, module in self.body.named_modules()
            if isinstance(module, nn.BatchNorm2d) and is_frozen(name)
        ]

    def train(self, mode: bool = True) -> PyramidBackbone:
        """As `nn.Module.train`, with the batch norms of frozen stages at their statistics."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self


def freeze_norms(net: nn.Module) -> list[nn.Module]:
    """Keep every batch norm at the weights and statistics that it has or is given.

    Returns:
        The norms, which must be put into evaluation mode whenever the network is trained.
    """
    norms: list[nn.Module] = [
        module for module in net.modules() if isinstance(module, nn.BatchNorm2d)
    ]
    for module in norms:
        for parameter in module.parameters():
            parameter.requires_grad_(False)
    return norms


def norm_layer(norm: str) -> Callable[[int], nn.Module]:
    """What makes a normalisation of so many channels."""
    return group_norm if norm == "group" else nn.BatchNorm2d


def group_norm(channels: int) -> nn.GroupNorm:
    """Of at most 32 groups, of at least 4 channels."""
    groups = next(n for n in (32, 16, 8, 4, 2, 1) if channels % n == 0 and channels // n >= 4)
    return nn.GroupNorm(groups, channels)


def _body(architecture: Architecture, in_channels: int) -> nn.Module:
    if architecture.name.startswith("resnet"):
        make: Any = getattr(resnet, architecture.name)
        net = make(weights=None)
        if in_channels != 3:
            net.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
        names = {f"layer{level + 1}": str(level) for level in range(4)}
        body: nn.Module = IntermediateLayerGetter(net, names)
        return body
    return TimmFeatures(timm.create_model(architecture.name, in_chans=in_channels))


def _replace_norms(net: nn.Module) -> None:
    """Put group norms in the place of batch norms; those of timm carry their activation."""
    for name, child in list(net.named_children()):
        if isinstance(child, BatchNormAct2d):
            other = nn.Sequential(group_norm(child.num_features), child.drop, child.act)
            setattr(net, name, other)
        elif isinstance(child, nn.BatchNorm2d):
            setattr(net, name, group_norm(child.num_features))
        else:
            _replace_norms(child)


def stem_of(weight: Tensor, in_channels: int) -> Tensor:
    """Weights of a first convolution for another number of channels, of the same sum."""
    if weight.shape[1] == in_channels:
        return weight
    mean = weight.mean(dim=1, keepdim=True)
    return mean.repeat(1, in_channels, 1, 1) * weight.shape[1] / in_channels


def standardisation(
    architecture: Architecture, in_channels: int
) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and spread of the input, one for each channel."""
    if in_channels == 3:
        return architecture.mean, architecture.std
    mean = torch.tensor(architecture.mean).mean().item()
    std = torch.tensor(architecture.std).mean().item()
    return [mean] * in_channels, [std] * in_channels
