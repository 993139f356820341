"""The 3D ResNet that CSAC-Net is compared with: MONAI's implementation of Hara et al.'s network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from covidlit.models.convolution import use_reliable_convolutions
from covidlit.models.explainable import ExplainableLayer
from covidlit.models.layers import (
    GlobalPool,
    check_choice,
    initialise,
    input_layer,
    quiet_output,
    replace_batch_norm,
    triple,
)
from covidlit.models.medicalnet import load_medicalnet
from covidlit.models.voxel_grid import VoxelGrid

DEPTHS: dict[int, tuple[str, list[int]]] = {
    10: ("basic", [1, 1, 1, 1]),
    18: ("basic", [2, 2, 2, 2]),
    34: ("basic", [3, 4, 6, 3]),
    50: ("bottleneck", [3, 4, 6, 3]),
    101: ("bottleneck", [3, 4, 23, 3]),
    152: ("bottleneck", [3, 8, 36, 3]),
    200: ("bottleneck", [3, 24, 36, 3]),
}


class ResNet3D(nn.Module):
    """3D ResNet (Hara et al., ICCVW 2017), the paper's baseline, with CSACNet3D's options.

    Args:
        in_channels: channels of the input.
        n_outputs: 1 logit for a binary task, or the number of classes.
        depth: 10, 18, 34 (basic blocks), 50, 101, 152 or 200 (bottlenecks).
        width: channels of the stem and of the first stage.
        stem_stride: of the 7x7x7 stem, an integer or (z, y, x); MedicalNet's is 2.
        max_pool: whether a 3x3x3 max pooling of stride 2 follows the stem.
        shortcut_type: "B", a 1x1x1 projection, or "A", zero padding without parameters (needed by
            MedicalNet's weights of depth 18 and 34; MONAI passes no gradient through it).
        bias_downsample: whether the projections have a bias.
        pooling, dropout, norm, zero_init, input_mean, input_std, input_bins: as in `CSACNet3D`;
            dropout stands before the one Linear layer.
        pretrained: file with MedicalNet weights for the backbone, or None.

    Raises:
        ConfigError: an argument out of its range; the message names it.
        CheckpointError: `pretrained` is not a file of weights that fit.
    """

    def __init__(
        self,
        in_channels: int = 1,
        n_outputs: int = 1,
        depth: int = 18,
        width: int = 64,
        stem_stride: int | Sequence[int] = 2,
        max_pool: bool = True,
        shortcut_type: str = "B",
        bias_downsample: bool = False,
        pooling: str = "avg_max",
        dropout: float = 0.1,
        norm: str = "batch",
        zero_init: bool = True,
        input_mean: float = 0.0,
        input_std: float = 1.0,
        input_bins: int | None = None,
        pretrained: str | None = None,
    ) -> None:
        # Not at the top: it takes seconds, which CSAC-Net alone does without.
        from monai.networks.nets.resnet import ResNet, ResNetBlock, ResNetBottleneck

        super().__init__()
        check_choice(depth, DEPTHS, "depth")
        block, layers = DEPTHS[depth]
        self.input = input_layer(input_bins, input_mean, input_std)
        self.backbone = ResNet(
            block=block,
            layers=layers,
            block_inplanes=[width * 2**k for k in range(4)],
            n_input_channels=in_channels * (input_bins or 1),
            conv1_t_stride=list(triple(stem_stride, "stem_stride")),  # type: ignore[arg-type]
            no_max_pool=not max_pool,
            shortcut_type=check_choice(shortcut_type, ("A", "B"), "shortcut_type"),
            feed_forward=False,
            bias_downsample=bias_downsample,
        )
        use_reliable_convolutions(self.backbone)
        features = self.backbone.in_planes
        self.pool = GlobalPool(pooling)
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(self.pool.channels(features), n_outputs)
        )
        initialise(self)
        quiet_output(self.head)
        if norm != "batch":
            replace_batch_norm(self.backbone, norm)
        if zero_init:
            for module in self.modules():
                if isinstance(module, ResNetBlock):
                    nn.init.zeros_(module.bn2.weight)
                elif isinstance(module, ResNetBottleneck):
                    nn.init.zeros_(module.bn3.weight)
        if pretrained is not None:
            load_medicalnet(self.backbone, pretrained)

    def explainable_layers(self) -> dict[str, ExplainableLayer]:
        """Layers for heatmaps: `stage4`, the last residual stage, and the finer ones before it."""
        net, layers = self.backbone, {}
        grid = VoxelGrid().after(net.conv1)
        if not net.no_max_pool:
            grid = grid.after(net.maxpool)
        for k, stage in enumerate((net.layer1, net.layer2, net.layer3, net.layer4), start=1):
            strided = [m for m in stage[0].modules() if isinstance(m, nn.Conv3d)]
            # A block halves by one of its convolutions; kernels of 1 and 3 leave the centre alone.
            halving = max(strided, key=lambda conv: (max(conv.stride), max(conv.kernel_size)))
            grid = grid.after(halving)
            layers[f"stage{k}"] = ExplainableLayer(stage, grid)
        return dict(reversed(layers.items()))

    def features(self, image: Tensor) -> Tensor:
        """The last stage's output for an image (B, in_channels, z, y, x)."""
        net = self.backbone
        x = net.act(net.bn1(net.conv1(self.input(image))))
        if not net.no_max_pool:
            x = net.maxpool(x)
        return net.layer4(net.layer3(net.layer2(net.layer1(x))))

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, n_outputs) of a volume (B, in_channels, z, y, x)."""
        return self.head(self.pool(self.features(image)))
