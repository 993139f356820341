"""Soft bins with a gradient that does not hang on rounding: finite differences, and their mean."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from covidlit.models.fair_maxima import fair_maxima
from covidlit.models.layers import SoftBins


def _gradient(image: Tensor, bins: int, fair: bool) -> tuple[Tensor, Tensor]:
    """The bins, and the gradient of the sum of their differently weighted values."""
    layer, image = SoftBins(bins), image.clone().requires_grad_()
    if fair:
        with fair_maxima(layer):
            out = layer(image)
    else:
        out = layer(image)
    weights = torch.arange(out.numel(), dtype=out.dtype).reshape(out.shape).sin()
    return out.detach(), torch.autograd.grad((out * weights).sum(), image)[0]


@pytest.mark.parametrize("bins", [2, 3, 5, 8])
def test_between_the_tops_it_is_pytorchs(bins: int) -> None:
    generator = torch.Generator().manual_seed(bins)
    image = torch.rand((2, 3, 4, 5, 6), dtype=torch.float64, generator=generator)
    (out, gradient), (plain_out, plain) = (_gradient(image, bins, fair) for fair in (True, False))
    assert torch.equal(out, plain_out)
    torch.testing.assert_close(gradient, plain)


@pytest.mark.parametrize("bins", [2, 3, 5])
def test_on_a_top_it_is_the_mean_of_both_sides(bins: int) -> None:
    tops = torch.linspace(0, 1, bins, dtype=torch.float64)[None, None, :, None, None]
    on_top = _gradient(tops, bins, fair=True)[1].flatten()
    left, right = (_gradient(tops + step, bins, fair=False)[1].flatten() for step in (-1e-3, 1e-3))
    torch.testing.assert_close(on_top[1:-1], (left + right)[1:-1] / 2)
    assert on_top[0] == pytest.approx(right[0].item())  # no image goes beyond the ends
    assert on_top[-1] == pytest.approx(left[-1].item())


def test_rounding_moves_no_gradient() -> None:
    generator = torch.Generator().manual_seed(1)
    air = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]).reshape(1, 1, 5, 1, 1).repeat(1, 1, 1, 8, 8)
    moved = air + 1e-7 * torch.randint(-1, 2, air.shape, generator=generator)
    moved = moved.clamp(0, 1)
    fair = [_gradient(image, 5, fair=True)[1] for image in (air, moved)]
    torch.testing.assert_close(*fair)
    plain = [_gradient(image, 5, fair=False)[1] for image in (air, moved)]
    assert (plain[0] - plain[1]).abs().max() > 0.5  # else the steps would show nothing
