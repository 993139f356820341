"""A 3D DenseNet to compare with: MONAI's implementation of Huang et al.'s network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from covidlit.errors import ConfigError
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
from covidlit.models.voxel_grid import VoxelGrid

DEPTHS = {
    121: (6, 12, 24, 16),
    169: (6, 12, 32, 32),
    201: (6, 12, 48, 32),
    264: (6, 12, 64, 48),
}
"""Dense layers of the four blocks (Huang et al., CVPR 2017, table 1)."""


class DenseNet3D(nn.Module):
    """3D DenseNet-BC (Huang et al., CVPR 2017) with CSACNet3D's options.

    Args:
        in_channels: channels of the input.
        n_outputs: 1 logit for a binary task, or the number of classes.
        depth: 121, 169, 201 or 264.
        width: channels of the stem.
        growth: channels that each dense layer adds (the paper's growth rate).
        stem_stride: of the 7x7x7 stem, an integer or (z, y, x).
        max_pool: whether a 3x3x3 max pooling of stride 2 follows the stem.
        pooling, dropout, norm, input_mean, input_std, input_bins: as in `CSACNet3D`; dropout
            stands before the one Linear layer.

    Raises:
        ConfigError: an argument out of its range; the message names it.
    """

    def __init__(
        self,
        in_channels: int = 1,
        n_outputs: int = 1,
        depth: int = 121,
        width: int = 64,
        growth: int = 32,
        stem_stride: int | Sequence[int] = 2,
        max_pool: bool = True,
        pooling: str = "avg_max",
        dropout: float = 0.1,
        norm: str = "batch",
        input_mean: float = 0.0,
        input_std: float = 1.0,
        input_bins: int | None = None,
    ) -> None:
        # Not at the top: it takes seconds, which CSAC-Net alone does without.
        from monai.networks.nets.densenet import DenseNet

        super().__init__()
        check_choice(depth, DEPTHS, "depth")
        for name, value in (("width", width), ("growth", growth)):
            if not isinstance(value, int) or value < 1:
                raise ConfigError(
                    f"{name} must be a whole number of at least 1, got {value!r}.",
                    where=name,
                    fix="use for example a width of 64 and a growth of 32.",
                )
        self.input = input_layer(input_bins, input_mean, input_std)
        whole = DenseNet(
            spatial_dims=3,
            in_channels=in_channels * (input_bins or 1),
            out_channels=n_outputs,
            init_features=width,
            growth_rate=growth,
            block_config=DEPTHS[depth],
        )
        replaced = whole.get_submodule("class_layers.out")
        assert isinstance(replaced, nn.Linear)
        self.backbone = whole.features
        self.backbone.get_submodule("conv0").stride = triple(  # type: ignore[assignment]
            stem_stride, "stem_stride"
        )
        if not max_pool:
            self.backbone.pool0 = nn.Identity()
        for k in (1, 2, 3):
            self.backbone.get_submodule(f"transition{k}").pool = _Halving(2)
        self.backbone.add_module("relu5", nn.ReLU(inplace=True))
        use_reliable_convolutions(self.backbone)
        self.pool = GlobalPool(pooling)
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(self.pool.channels(replaced.in_features), n_outputs)
        )
        initialise(self)
        quiet_output(self.head)
        if norm != "batch":
            replace_batch_norm(self.backbone, norm)

    def explainable_layers(self) -> dict[str, ExplainableLayer]:
        """Layers for heatmaps: `block4`, the last dense block, and the finer ones before it.

        Each is taken behind its block's normalisation and ReLU.
        """
        part, layers = self.backbone.get_submodule, {}
        grid = VoxelGrid().after(part("conv0"))
        if not isinstance(part("pool0"), nn.Identity):
            grid = grid.after(part("pool0"))
        for k in (1, 2, 3):
            layers[f"block{k}"] = ExplainableLayer(part(f"transition{k}.relu"), grid)
            grid = grid.after(part(f"transition{k}.pool"))
        layers["block4"] = ExplainableLayer(part("relu5"), grid)
        return dict(reversed(layers.items()))

    def features(self, image: Tensor) -> Tensor:
        """The last block's output behind norm and ReLU for an image (B, in_channels, z, y, x)."""
        return self.backbone(self.input(image))

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, n_outputs) of a volume (B, in_channels, z, y, x)."""
        return self.head(self.pool(self.features(image)))


class _Halving(nn.AvgPool3d):
    """Averages of 2 voxels along each axis that has so many: thin volumes are pooled in-plane."""

    def forward(self, input: Tensor) -> Tensor:
        for axis, size in enumerate(input.shape[2:], start=2):
            if size > 1:  # by sums, whose gradient OpenVINO can convert
                even = input.narrow(axis, 0, size // 2 * 2).unflatten(axis, (-1, 2))
                input = (even.select(axis + 1, 0) + even.select(axis + 1, 1)) / 2
        return input
