"""Maps of a network whose weights are known, against the formulas worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from covidlit.explain import (
    ExplainError,
    activation_map,
    grad_cam,
    guided_layer_cam,
    layer_cam,
    layer_of,
    layers_of,
)
from covidlit.explain.layers import frozen
from covidlit.models import CSACNet3D
from covidlit.models.explainable import ExplainableLayer
from covidlit.models.voxel_grid import VoxelGrid

FEATURES = torch.tensor([2.0, -1.0])  # two channels: 2 x and -x
WEIGHTS = torch.tensor([3.0, 5.0])  # of the logit


class TwoChannels(nn.Module):
    """Features relu(2 x) and relu(-x); the logit is 3 and 5 times their pooled values."""

    def __init__(self, pooling: str) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 2, 1, bias=False)
        self.relu = nn.ReLU()
        self.head = nn.Linear(2, 1, bias=False)
        self.pooling = pooling
        with torch.no_grad():
            self.conv.weight.copy_(FEATURES.view(2, 1, 1, 1, 1))
            self.head.weight.copy_(WEIGHTS.view(1, 2))

    def explainable_layers(self) -> dict[str, ExplainableLayer]:
        return {"features": ExplainableLayer(self.relu, VoxelGrid())}

    def forward(self, image: Tensor) -> Tensor:
        features = self.relu(self.conv(image))
        pooled = features.mean((2, 3, 4)) if self.pooling == "avg" else features.amax((2, 3, 4))
        return self.head(pooled)


@pytest.fixture
def image() -> Tensor:
    return torch.randn(1, 1, 3, 4, 5, generator=torch.Generator().manual_seed(0))


def expected_features(image: Tensor) -> tuple[np.ndarray, np.ndarray]:
    x = image[0, 0].numpy()
    return np.maximum(2 * x, 0), np.maximum(-x, 0)


def test_the_activation_map_is_the_mean_response(image: Tensor) -> None:
    net = TwoChannels("avg")
    found = activation_map(net, image, layer_of(net, "features"))
    one, two = expected_features(image)
    np.testing.assert_allclose(found, (one + two) / 2, rtol=1e-6)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_grad_cam_is_the_formula(pooling: str, image: Tensor) -> None:
    net = TwoChannels(pooling)
    found = grad_cam(net, image, layer_of(net, "features"))
    # The mean gradient over the N voxels is w / N: average pooling gives each w / N, maximum
    # pooling gives w to one of them.
    one, two = expected_features(image)
    np.testing.assert_allclose(found, np.maximum(3 * one + 5 * two, 0) / 60, rtol=1e-5)


def test_negative_evidence_is_no_heat(image: Tensor) -> None:
    net = TwoChannels("avg")
    with torch.no_grad():
        net.head.weight[0, 1] = -100.0
    one, two = expected_features(image)
    for explain in (grad_cam, layer_cam):
        found = explain(net, image, layer_of(net, "features"))
        np.testing.assert_allclose(found, np.maximum(3 * one - 100 * two, 0) / 60, rtol=1e-5)


def test_layer_cam_keeps_a_maximum_where_it_is(image: Tensor) -> None:
    net = TwoChannels("max")
    found = layer_cam(net, image, layer_of(net, "features"))
    one, two = expected_features(image)
    wanted = np.where(one == one.max(), 3 * one, 0) + np.where(two == two.max(), 5 * two, 0)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_the_guided_map_multiplies_region_and_effect(image: Tensor) -> None:
    net, lung = TwoChannels("avg"), 0.25
    x = image[0, 0].numpy()
    one, two = expected_features(image)
    region = (3 * one + 5 * two) / 60
    effect = np.where(x > 0, 3 * 2, -5) / 60 * (x - lung)
    layer = layer_of(net, "features")
    # Voxels of 600 mm: the Gaussian of 6 mm leaves each alone.
    found = guided_layer_cam(net, image, layer, lung=lung, spacing=(600.0, 600.0, 600.0))
    np.testing.assert_allclose(found, np.sqrt(region * np.maximum(effect, 0)), rtol=1e-5)
    # Smoothed with its sign, so that what cancels out leaves no heat.
    smooth = gaussian_filter(effect, (6 / 5, 6 / 2, 6 / 3), mode="constant")
    found = guided_layer_cam(net, image, layer, lung=lung, spacing=(5.0, 2.0, 3.0))
    np.testing.assert_allclose(found, np.sqrt(region * np.maximum(smooth, 0)), rtol=1e-4, atol=1e-7)


def test_the_network_is_left_as_it_was(image: Tensor) -> None:
    net = CSACNet3D(width=4).train()
    net.stem[1].eval()
    net.head[0].weight.requires_grad_(False)
    before = [(m.training, [p.requires_grad for p in m.parameters()]) for m in net.modules()]
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    grad_cam(net, torch.rand(1, 1, 16, 16, 16), layer_of(net, "last_pool"))
    with pytest.raises(RuntimeError), frozen(net):
        raise RuntimeError
    after = [(m.training, [p.requires_grad for p in m.parameters()]) for m in net.modules()]
    assert before == after
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_an_unknown_layer_is_answered_with_what_was_meant() -> None:
    with pytest.raises(ExplainError, match="did you mean last_pool"):
        layer_of(CSACNet3D(width=4), "lastpool")
    plain = nn.Conv3d(1, 1, 1)
    assert layers_of(plain) == {}
    with pytest.raises(ExplainError, match="declares no layer"):
        layer_of(plain, "last_pool")
