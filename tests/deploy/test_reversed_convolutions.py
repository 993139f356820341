"""Convolutions that go back as convolutions: the same numbers as PyTorch's autograd."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

from covidlit.deploy.reversed_convolutions import ReversedConv3d, reverse_convolutions
from covidlit.models.atrous import DepthwiseAtrousConv3d


@pytest.mark.parametrize("size", [(8, 16, 12), (9, 7, 15)])
@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (2, 2), (6, 1), (32, 1)])
def test_forward_and_gradient_are_those_of_the_convolution(
    channels: int, groups: int, size: tuple[int, int, int]
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, channels, *size, dtype=torch.float64, generator=generator)
    n = 0
    for kernel, stride, padding, dilation in product(
        [1, 2, 3, 7], [1, 2, 3, (1, 2, 2)], [0, 1, 3], [1, 2]
    ):
        if kernel == 7 and (channels == 32 or dilation == 2):
            continue  # slow, or larger than the image
        conv = nn.Conv3d(channels, 4, kernel, stride, padding, dilation, groups).double()
        inputs = x.clone().requires_grad_()
        expected = conv(inputs)
        weights = torch.randn(expected.shape, dtype=x.dtype, generator=generator)
        (plain,) = torch.autograd.grad((expected * weights).sum(), inputs)
        out = ReversedConv3d(conv)(inputs)
        torch.testing.assert_close(out, expected)
        torch.testing.assert_close(torch.autograd.grad((out * weights).sum(), inputs)[0], plain)
        n += 1
    assert n > 50


def test_all_convolutions_of_a_network_are_reversed_but_those_with_hooks() -> None:
    net = nn.Sequential(nn.Conv3d(1, 4, 3), DepthwiseAtrousConv3d(4, (1, 2, 2)), nn.Conv3d(4, 2, 1))
    net[2].register_forward_hook(lambda *_: None)
    reverse_convolutions(net)
    assert [type(layer) for layer in net] == [ReversedConv3d, ReversedConv3d, nn.Conv3d]
