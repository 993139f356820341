"""Maxima that share their gradient: PyTorch's where one value is largest, else in equal parts."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from covidlit.models.fair_maxima import fair_maxima
from covidlit.models.layers import GlobalPool, SoftBins

SIZES = [(8, 8, 8), (7, 6, 5), (9, 7, 3)]


def _gradient(net: nn.Module, x: Tensor, fair: bool) -> tuple[Tensor, Tensor]:
    """The output, and the gradient of the sum of its differently weighted values."""
    x = x.clone().requires_grad_()
    if fair:
        with fair_maxima(net):
            out = net(x)
    else:
        out = net(x)
    weights = torch.arange(out.numel(), dtype=out.dtype).reshape(out.shape).sin()
    return out.detach(), torch.autograd.grad((out * weights).sum(), x)[0]


@pytest.mark.parametrize("size", SIZES)
def test_without_ties_it_is_pytorchs(size: tuple[int, int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for kernel, stride, padding, ceil in product(
        [2, 3, (1, 2, 2)], [None, 1, 2], [0, 1], [True, False]
    ):
        if padding and kernel == (1, 2, 2):
            continue  # more padding than half a kernel
        pool = nn.MaxPool3d(kernel, stride, padding, ceil_mode=ceil)  # type: ignore[arg-type]
        (out, gradient), (plain_out, plain) = (_gradient(pool, x, fair) for fair in (True, False))
        assert torch.equal(out, plain_out)
        torch.testing.assert_close(gradient, plain)
    for kind in ("max", "avg_max", "avg", "lse"):
        both = [_gradient(GlobalPool(kind), x, fair) for fair in (True, False)]
        assert torch.equal(both[0][0], both[1][0])
        torch.testing.assert_close(both[0][1], both[1][1])


@given(values=st.lists(st.integers(0, 2), min_size=64, max_size=64), overlap=st.booleans())
@settings(max_examples=50, deadline=None)
def test_equal_maxima_get_equal_parts_and_nothing_is_lost(values: list[int], overlap: bool) -> None:
    x = torch.tensor(values, dtype=torch.float64).reshape(1, 1, 4, 4, 4).requires_grad_()
    pool = nn.MaxPool3d(3, 1) if overlap else nn.MaxPool3d(2)
    with fair_maxima(pool):
        out = pool(x)
    total = torch.zeros_like(x[0, 0])
    for z, r, c in product(range(out.shape[2]), repeat=3):
        (one,) = torch.autograd.grad(out[0, 0, z, r, c], x, retain_graph=True)
        given_to = one[0, 0][one[0, 0] > 0]
        assert given_to.sum() == pytest.approx(1.0)
        assert len(given_to.unique()) == 1
        starts = [k if overlap else 2 * k for k in (z, r, c)]
        window = tuple(slice(k, k + (3 if overlap else 2)) for k in starts)
        expected = x[0, 0][window] == x[0, 0][window].max()
        assert torch.equal(one[0, 0][window] > 0, expected)
        total += one[0, 0]
    assert total.sum() == pytest.approx(out.numel())


@pytest.mark.parametrize("net", [nn.MaxPool3d(2), nn.MaxPool3d(3, 2, 1), GlobalPool("max")])
def test_rounding_moves_no_gradient_where_all_is_equal(net: nn.Module) -> None:
    generator = torch.Generator().manual_seed(1)
    air = torch.full((1, 2, 8, 8, 8), 0.731)
    noise = 1 + 1e-7 * torch.randint(-1, 2, air.shape, generator=generator)
    fair = [_gradient(net, x, fair=True)[1] for x in (air, air * noise)]
    torch.testing.assert_close(*fair)
    plain = [_gradient(net, x, fair=False)[1] for x in (air, air * noise)]
    moved = (plain[0] - plain[1]).abs().max()
    assert moved > 0.5 * plain[0].abs().max()  # else the noise would show nothing


def test_the_network_is_left_as_it_was_and_what_follows_may_write_into_the_output() -> None:
    net = nn.Sequential(nn.MaxPool3d(2), nn.ReLU(inplace=True), GlobalPool("avg_max"))
    x = torch.randn(1, 2, 4, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(_gradient(net, x, fair=True), _gradient(net, x, fair=False))
    assert not any("forward" in vars(layer) for layer in net)


@pytest.mark.parametrize(
    "layer", [nn.MaxPool3d(2), nn.MaxPool3d(3, 2, 1), GlobalPool("avg_max"), SoftBins(4)], ids=repr
)
def test_second_derivatives_are_right_too(layer: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((1, 2, 4, 4, 5), dtype=torch.float64, generator=generator).requires_grad_()
    with fair_maxima(layer):
        assert torch.autograd.gradgradcheck(lambda x: layer(x) ** 2, (x,))
