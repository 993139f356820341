"""The fast depthwise atrous convolution against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from covidlit.models.atrous import DepthwiseAtrousConv3d

SHAPES = [(2, 5, 6, 8, 8), (1, 6, 5, 7, 9), (2, 3, 1, 3, 1), (3, 4, 2, 5, 8)]
DILATIONS = [(1, 2, 2), (2, 4, 4), (2, 2, 3), (3, 1, 1)]


@pytest.mark.parametrize("dilation", DILATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_output_and_gradients_equal_the_reference(
    shape: tuple[int, ...], dilation: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    conv = DepthwiseAtrousConv3d(shape[1], dilation).to(memory_format=torch.channels_last_3d)
    x = torch.randn(shape).contiguous(memory_format=torch.channels_last_3d).requires_grad_()
    y = conv(x)
    upstream = torch.randn(shape)
    y.backward(upstream)
    # The reference in double precision, through the native kernel.
    x64 = x.detach().double().requires_grad_()
    w64 = conv.weight.detach().double().requires_grad_()
    y64 = functional.conv3d(x64, w64, padding=dilation, dilation=dilation, groups=shape[1])
    y64.backward(upstream.double())
    for found, expected in ((y, y64), (x.grad, x64.grad), (conv.weight.grad, w64.grad)):
        assert found is not None
        assert expected is not None
        torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-5)


def test_the_fast_path_is_taken_in_channels_last_memory_alone() -> None:
    conv = DepthwiseAtrousConv3d(4, (1, 2, 2))
    x = torch.rand(1, 4, 3, 5, 5)
    assert "Depthwise" not in type(conv(x).grad_fn).__name__
    fast = conv(x.contiguous(memory_format=torch.channels_last_3d))
    assert "Depthwise" in type(fast.grad_fn).__name__
    assert fast.is_contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = conv(x.contiguous(memory_format=torch.channels_last_3d))
    assert mixed.dtype == torch.bfloat16


def test_it_is_still_a_convolution_to_those_who_export_it() -> None:
    conv = DepthwiseAtrousConv3d(4, (1, 2, 2)).eval()
    x = torch.rand(1, 4, 3, 5, 5).contiguous(memory_format=torch.channels_last_3d)
    exported = torch.export.export(conv, (x,))
    assert "conv3d" in str(exported.graph)
    torch.testing.assert_close(exported.module()(x), conv(x))
