"""ResNet3D is MONAI's network, with MedicalNet's weights where asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.networks.nets.resnet import resnet10, resnet50
from torch import nn

from covidlit.errors import CheckpointError, ConfigError
from covidlit.models import ResNet3D

X = torch.rand(2, 1, 16, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("depth", "reference"), [(10, resnet10), (50, resnet50)])
def test_same_backbone_as_monai(depth: int, reference: type[nn.Module]) -> None:
    with torch.device("meta"):
        expected = reference(
            n_input_channels=1, feed_forward=False, conv1_t_stride=2, bias_downsample=False
        )
        found = ResNet3D(depth=depth).backbone
    shapes = {name: value.shape for name, value in expected.state_dict().items()}
    assert {name: value.shape for name, value in found.state_dict().items()} == shapes


def test_average_pooling_gives_monais_features() -> None:
    torch.manual_seed(0)
    net = ResNet3D(depth=10, width=4, pooling="avg", zero_init=False).eval()
    with torch.no_grad():
        torch.testing.assert_close(net.pool(net.features(X)), net.backbone(X))
        assert net(X).shape == (2, 1)


def test_medicalnet_weights_are_loaded_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = resnet10(
        n_input_channels=1, feed_forward=False, conv1_t_stride=2, bias_downsample=False
    )
    weights = {f"module.{name}": value for name, value in source.state_dict().items()}
    # The published files also hold a segmentation head, and the optimizer's state.
    weights["module.conv_seg.0.weight"] = torch.zeros(3)
    path = tmp_path / "resnet_10.pth"
    torch.save({"state_dict": weights, "optimizer": {"lr": 0.1}}, path)
    net = ResNet3D(depth=10, pretrained=str(path)).eval()
    source.eval()
    with torch.no_grad():
        torch.testing.assert_close(net.features(X).mean((2, 3, 4)), source(X))


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    source = ResNet3D(depth=10, width=4).backbone.state_dict()
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": source}, path)
    with pytest.raises(CheckpointError, match=r"missing: .*layer1\.1"):
        ResNet3D(depth=18, width=4, pretrained=str(path))
    with pytest.raises(CheckpointError, match=r"of another shape: .*instead of"):
        ResNet3D(depth=10, width=8, pretrained=str(path))
    torch.save({"state_dict": source | {"more": torch.zeros(1)}}, path)
    with pytest.raises(CheckpointError, match="unexpected"):
        ResNet3D(depth=10, width=4, pretrained=str(path))


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with pytest.raises(CheckpointError, match="no such file"):
        ResNet3D(depth=10, width=4, pretrained=str(path))
    path.write_bytes(b"not a file of torch")
    with pytest.raises(CheckpointError, match="damaged"):
        ResNet3D(depth=10, width=4, pretrained=str(path))
    torch.save({"state_dict": {"a": 1}}, path)
    with pytest.raises(CheckpointError, match="no mapping"):
        ResNet3D(depth=10, width=4, pretrained=str(path))


def test_norm_and_zero_init_reach_every_block() -> None:
    net = ResNet3D(depth=10, width=16, norm="group")
    kinds = {type(module) for module in net.modules()}
    assert nn.GroupNorm in kinds
    assert nn.BatchNorm3d not in kinds
    last = [m.bn2.weight for m in net.modules() if hasattr(m, "bn2")]
    assert len(last) == 4
    assert not any(weight.detach().any() for weight in last)
    last = [m.bn3.weight for m in ResNet3D(depth=50, width=4).modules() if hasattr(m, "bn3")]
    assert len(last) == 16
    assert not any(weight.detach().any() for weight in last)


def test_gradient_reaches_every_parameter_and_strides_are_arguments() -> None:
    torch.manual_seed(0)
    net = ResNet3D(depth=10, width=4, zero_init=False, dropout=0.0, stem_stride=(1, 2, 2))
    assert net.backbone.conv1.stride == (1, 2, 2)
    net(X).sum().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("wrong", [{"depth": 19}, {"shortcut_type": "C"}, {"pooling": "sum"}])
def test_a_wrong_argument_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as error:
        ResNet3D(**wrong)  # type: ignore[arg-type]
    assert next(iter(wrong)) in str(error.value)
