"""Global pooling and normalisation against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from scipy.special import logsumexp
from torch import nn

from covidlit.errors import ConfigError
from covidlit.models import CSACNet3D, DenseNet3D, ResNet3D
from covidlit.models.layers import FeatureNorm, GlobalPool, SoftBins, initialise, make_norm

FEATURES = torch.randn(2, 3, 2, 4, 5, generator=torch.Generator().manual_seed(0))


def test_pooling_equals_numpy() -> None:
    flat = FEATURES.flatten(2).numpy()
    expected = {
        "avg": flat.mean(2),
        "max": flat.max(2),
        "avg_max": np.concatenate([flat.mean(2), flat.max(2)], axis=1),
        "lse": logsumexp(5 * flat, axis=2, b=1 / flat.shape[2]) / 5,
    }
    for kind, values in expected.items():
        pool = GlobalPool(kind)
        np.testing.assert_allclose(pool(FEATURES).numpy(), values, rtol=1e-5, atol=1e-6)
        assert pool.channels(3) == values.shape[1]


@pytest.mark.parametrize("channels", [4, 16, 24, 48])
def test_norms_standardise(channels: int) -> None:
    x = 3 + 2 * torch.randn(2, channels, 4, 5, 6)
    for norm in ("batch", "group", "instance"):
        y = make_norm(norm, channels).train()(x).detach()
        assert abs(float(y.mean())) < 1e-3
        assert float(y.std()) == pytest.approx(1, abs=0.02)


def test_initialisation_keeps_the_variance() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(32, 64, 3), nn.Conv3d(64, 64, 3, groups=64), nn.Linear(64, 64))
    initialise(net)
    dense, depthwise, linear = net
    assert float(dense.weight.detach().var()) == pytest.approx(2 / (64 * 27), rel=0.05)
    assert float(depthwise.weight.detach().var()) == pytest.approx(2 / 27, rel=0.1)
    assert float(linear.weight.detach().var()) == pytest.approx(2 / 64, rel=0.1)
    assert not dense.bias.detach().any()


def test_vectors_of_one_scan_are_normalised_with_the_running_statistics() -> None:
    norm = FeatureNorm(3)
    for _ in range(200):
        norm(torch.randn(64, 3) * 2 + 5)
    one = torch.tensor([[5.0, 7.0, 3.0]])
    torch.testing.assert_close(norm(one), torch.tensor([[0.0, 1.0, -1.0]]), atol=0.15, rtol=0)
    expected = norm.eval()(one)
    torch.testing.assert_close(norm.train()(one), expected)
    pair = torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.5, 1.0]])  # two scans have a spread
    torch.testing.assert_close(norm(pair)[:, 0], torch.tensor([-1.0, 1.0]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("bins", [2, 5, 8])
def test_soft_bins_are_linear_b_splines(bins: int) -> None:
    image = torch.rand(2, 1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    weights = SoftBins(bins)(image)
    assert weights.shape == (2, bins, 3, 4, 5)
    tops = np.linspace(0, 1, bins)
    width = 1 / (bins - 1)
    for k, top in enumerate(tops):
        spline = BSpline.basis_element([top - width, top, top + width], extrapolate=False)
        expected = np.nan_to_num(spline(image[:, 0].numpy().astype(float)))
        np.testing.assert_allclose(weights[:, k].numpy(), expected, atol=1e-6)
    tops_of_bins = torch.from_numpy(tops).float().reshape(1, bins, 1, 1, 1)
    torch.testing.assert_close((weights * tops_of_bins).sum(1, keepdim=True), image)
    edges = SoftBins(bins)(torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 1, 2)).squeeze()
    torch.testing.assert_close(edges[[0, -1]], torch.eye(2))


@pytest.mark.parametrize("net", [CSACNet3D, DenseNet3D, ResNet3D])
def test_a_network_takes_soft_bins(
    net: type[CSACNet3D] | type[DenseNet3D] | type[ResNet3D],
) -> None:
    torch.manual_seed(0)
    binned = net(width=4, input_bins=3).eval()
    plain = net(width=4, in_channels=3).eval()
    plain.load_state_dict(binned.state_dict())
    image = torch.rand(1, 1, 8, 32, 32)
    torch.testing.assert_close(binned(image), plain(SoftBins(3)(image)))
    for wrong in ({"input_bins": 1}, {"input_bins": 2.5}, {"input_bins": 4, "input_mean": 0.4}):
        with pytest.raises(ConfigError, match="input_bins"):
            net(width=4, **wrong)
