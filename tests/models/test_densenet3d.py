"""DenseNet3D is MONAI's network, with CSACNet3D's options."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets.densenet import DenseNet121, DenseNet169
from torch import nn

from covidlit.errors import ConfigError
from covidlit.models import DenseNet3D

X = torch.rand(2, 1, 32, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("depth", "reference"), [(121, DenseNet121), (169, DenseNet169)])
def test_same_backbone_as_monai(depth: int, reference: type[nn.Module]) -> None:
    with torch.device("meta"):
        expected = reference(spatial_dims=3, in_channels=1, out_channels=1)
        found = DenseNet3D(depth=depth).backbone
    shapes = {
        name.removeprefix("features."): value.shape
        for name, value in expected.state_dict().items()
        if name.startswith("features.")
    }
    assert {name: value.shape for name, value in found.state_dict().items()} == shapes


def test_average_pooling_gives_monais_logits() -> None:
    torch.manual_seed(0)
    net = DenseNet3D(width=4, growth=2, pooling="avg").eval()
    reference = DenseNet121(
        spatial_dims=3, in_channels=1, out_channels=1, init_features=4, growth_rate=2
    ).eval()
    reference.get_submodule("features").load_state_dict(net.backbone.state_dict())
    reference.get_submodule("class_layers.out").load_state_dict(net.head[1].state_dict())
    with torch.no_grad():
        torch.testing.assert_close(net(X), reference(X))


def test_a_thin_volume_is_pooled_in_its_plane() -> None:
    net = DenseNet3D(width=4, growth=2, max_pool=False).eval()
    with torch.no_grad():
        assert net.features(X[:, :, :4]).shape[2:] == (1, 4, 4)
        assert net.features(X[:, :, :1]).shape[2:] == (1, 4, 4)


def test_norm_reaches_every_layer_and_gradients_every_parameter() -> None:
    torch.manual_seed(0)
    net = DenseNet3D(width=4, growth=2, norm="group", dropout=0.0, stem_stride=(1, 2, 2))
    assert net.backbone.get_submodule("conv0").stride == (1, 2, 2)
    kinds = {type(module) for module in net.modules()}
    assert nn.GroupNorm in kinds
    assert nn.BatchNorm3d not in kinds
    net(X).sum().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("wrong", [{"depth": 120}, {"width": 0}, {"growth": 1.5}, {"norm": "no"}])
def test_a_wrong_argument_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as error:
        DenseNet3D(**wrong)  # type: ignore[arg-type]
    assert next(iter(wrong)) in str(error.value)
