"""Convolutions with fewer products give what PyTorch's own give, and are in what is exported."""

from __future__ import annotations

import copy
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from covidlit.deploy.graph import VolumeScorer, write_onnx
from covidlit.deploy.winograd import WinogradConv3d, use_fewer_products
from covidlit.models import CSACNet3D, ResNet3D


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 8, 16])
@pytest.mark.parametrize("bias", [False, True])
def test_a_convolution_is_pytorchs(depth: int, bias: bool) -> None:
    torch.manual_seed(depth)
    plain = nn.Conv3d(3, 5, 3, padding=1, bias=bias).double()
    volume = torch.randn(2, 3, depth, 6, 7, dtype=torch.float64)
    fewer = WinogradConv3d(plain)
    torch.testing.assert_close(fewer(volume), plain(volume), rtol=1e-12, atol=1e-12)


def test_rounding_in_float32_is_that_of_a_feature() -> None:
    torch.manual_seed(0)
    plain = nn.Conv3d(64, 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(plain.weight, nonlinearity="relu")
    volume = torch.randn(1, 64, 8, 12, 12).relu()
    exact = copy.deepcopy(plain).double()(volume.double())
    worst = (WinogradConv3d(plain)(volume) - exact).abs().max() / exact.std()
    assert worst < 1e-5


def _statistics_of_its_own(net: nn.Module) -> nn.Module:
    """Batch norms as after a training: a norm that went into no weights would show."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm3d) and module.track_running_stats:
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -1, 1)
    return net.eval()


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("kind", [CSACNet3D, ResNet3D])
def test_a_network_gives_the_same(kind: type[CSACNet3D | ResNet3D], norm: str) -> None:
    torch.manual_seed(0)
    # Without zero_init, which would leave the convolutions out of what a group norm lets through.
    net = _statistics_of_its_own(kind(width=32, norm=norm, zero_init=False)).double()
    fewer = copy.deepcopy(net)
    use_fewer_products(fewer)
    image = torch.rand(2, 1, 32, 32, 32, dtype=torch.float64)
    with torch.inference_mode():
        expected = net(image)
        torch.testing.assert_close(fewer(image), expected, rtol=1e-9, atol=1e-9)
    assert (expected[0] - expected[1]).abs() > 1e-6
    found = [module for module in fewer.modules() if isinstance(module, WinogradConv3d)]
    assert len(found) >= 4
    if kind is CSACNet3D and norm == "batch":
        assert all(module.bias is not None for module in found)  # of the norm that went into it


class _Skip(nn.Sequential):
    """A Sequential in name only."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self[1](image + self[0](image))


def _chain(case: str) -> nn.Module:
    conv, norm, relu = nn.Conv3d(32, 32, 3, padding=1), nn.BatchNorm3d(32), nn.ReLU()
    if case == "a norm behind a module that stands there twice":
        return nn.Sequential(relu, conv, relu, norm)
    if case == "one convolution twice":
        return nn.Sequential(conv, conv, norm)
    if case == "another forward":
        return _Skip(conv, norm)
    if case == "a norm by the batch alone":
        return nn.Sequential(conv, nn.BatchNorm3d(32, track_running_stats=False))
    if case == "pruned":
        prune.l1_unstructured(conv, "weight", amount=0.5)
    else:
        norm.register_forward_hook(lambda module, args, output: output + 1)
    return nn.Sequential(conv, norm)


@pytest.mark.parametrize(
    "case",
    [
        "a norm behind a module that stands there twice", "one convolution twice",
        "another forward", "a norm by the batch alone", "pruned", "a norm with a hook",
    ],
)  # fmt: skip
def test_a_norm_goes_into_the_weights_only_where_it_follows(case: str) -> None:
    torch.manual_seed(0)
    net = _statistics_of_its_own(_chain(case)).double()
    volume = torch.randn(1, 32, 4, 5, 6, dtype=torch.float64)
    with torch.inference_mode():
        expected = net(volume)
        use_fewer_products(net)
        torch.testing.assert_close(net(volume), expected)


@pytest.mark.parametrize(
    "other",
    [
        {"stride": 2}, {"dilation": 2, "padding": 2}, {"groups": 2}, {"padding": 0},
        {"padding_mode": "circular"}, {"kernel_size": 1, "padding": 0}, {"in_channels": 16},
    ],
)  # fmt: skip
def test_other_convolutions_are_left_alone(other: dict[str, object]) -> None:
    arguments = {"in_channels": 32, "out_channels": 32, "kernel_size": 3, "padding": 1} | other
    net = nn.Sequential(nn.Conv3d(**arguments), nn.Conv3d(32, 32, 3, padding=1))
    use_fewer_products(net)
    left, fitting = net
    assert type(left) is nn.Conv3d
    assert type(fitting) is WinogradConv3d


@pytest.mark.slow
def test_the_exported_graph_has_the_six_products(tmp_path: Path) -> None:
    """Of its two blocks the first is 8 deep, the second 2: only there are 3x3x3 kernels left."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv3d(1, 32, 1), nn.Conv3d(32, 4, 3, padding=1), nn.MaxPool3d(4), nn.Conv3d(4, 32, 1),
        nn.Conv3d(32, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 2 * 2 * 2, 1),
    )  # fmt: skip
    use_fewer_products(net)
    scorer = VolumeScorer(net, torch.sigmoid, (-1000.0, 400.0))
    write_onnx(scorer, (8, 8, 8), tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    kernels = [shapes[node.input[1]] for node in graph.node if node.op_type == "Conv"]
    assert kernels.count((4, 32, 1, 3, 3)) == 6
    assert kernels.count((4, 32, 3, 3, 3)) == 1
    assert len(kernels) == 9
