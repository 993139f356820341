"""3D convolutions on the CPU: results and gradients against float64, thin volumes above all."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from covidlit.models import CSACNet3D, DenseNet3D, ResNet3D
from covidlit.models.convolution import Conv3d, use_reliable_convolutions

SIZES = [(1, 1, 1), (1, 12, 16), (2, 2, 2), (2, 7, 5), (3, 4, 4), (5, 7, 5), (7, 7, 7), (9, 12, 16)]
KERNELS = [(1, 1, 1), (3, 3, 3), (5, 5, 5), (7, 7, 7), (3, 1, 1), (1, 3, 3)]
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.02}


def in_double(conv: Conv3d, x: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    """The result, and the gradients for the input, the weights and the bias, in float64."""
    inputs = [x.detach().double(), conv.weight.detach().double()]
    if conv.bias is not None:
        inputs.append(conv.bias.detach().double())
    for value in inputs:
        value.requires_grad_()
    bias = inputs[2] if len(inputs) == 3 else None
    y = functional.conv3d(
        inputs[0], inputs[1], bias, conv.stride, conv.padding, conv.dilation, conv.groups
    )
    return (y.detach(), *torch.autograd.grad(y, inputs, gradient.double()))


def computed(conv: Conv3d, x: Tensor, gradient: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The same as the layer computes it, in autocast where that is bfloat16."""
    x = x.detach().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        y = conv(x)
    assert y.dtype == dtype
    return (y.detach(), *torch.autograd.grad(y, [x, *conv.parameters()], gradient.to(dtype)))


def distance(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other).norm() / other.norm())


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("stride", [1, 2, (1, 2, 2)], ids=str)
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_results_and_gradients_are_those_of_float64(
    kernel: tuple[int, int, int], stride: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    for size, (inputs, outputs, bias) in itertools.product(SIZES, [(1, 16, False), (16, 32, True)]):
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        conv = Conv3d(inputs, outputs, kernel, stride, padding, bias=bias)
        conv = conv.to(memory_format=torch.channels_last_3d)
        x = torch.randn(2, inputs, *size).to(memory_format=torch.channels_last_3d)
        gradient = torch.randn_like(conv(x).detach())
        pairs = zip(computed(conv, x, gradient, dtype), in_double(conv, x, gradient), strict=True)
        for name, (got, expected) in zip(
            ("result", "input", "weight", "bias"), pairs, strict=False
        ):
            assert distance(got, expected) <= TOLERANCE[dtype], (size, inputs, name)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_dilation_groups_and_no_padding(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    shapes = [
        {"padding": 0, "kernel_size": 7},
        {"padding": "valid", "kernel_size": 7},
        {"padding": (2, 4, 4), "dilation": (2, 4, 4), "kernel_size": 3, "groups": 8},
        {"padding": 3, "kernel_size": 7, "groups": 2, "stride": 2},
    ]
    for shape, format in itertools.product(
        shapes, [torch.channels_last_3d, torch.contiguous_format]
    ):
        conv = Conv3d(8, 16, **shape)  # type: ignore[arg-type]
        x = torch.randn(2, 8, 7, 9, 8).to(memory_format=format)
        gradient = torch.randn_like(conv(x).detach())
        if conv.padding == "valid":
            conv.padding = (0, 0, 0)
            expected = in_double(conv, x, gradient)
            conv.padding = "valid"
        else:
            expected = in_double(conv, x, gradient)
        for got, wanted in zip(computed(conv, x, gradient, dtype), expected, strict=True):
            assert distance(got, wanted) <= TOLERANCE[dtype], shape


@pytest.mark.parametrize("autocast", [False, True])
def test_doubles_and_single_volumes_are_pytorchs(autocast: bool) -> None:
    torch.manual_seed(0)
    conv, plain = Conv3d(2, 4, 5, padding=2), nn.Conv3d(2, 4, 5, padding=2)
    plain.load_state_dict(conv.state_dict())
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        one = torch.randn(2, 3, 4, 4)  # without a batch
        assert torch.equal(conv(one), plain(one))
    x, gradients = torch.randn(2, 2, 3, 4, 4, dtype=torch.float64), []
    for layer in (conv.double(), plain.double()):
        layer(x).square().sum().backward()
        gradients.append(layer.weight.grad)
    assert torch.equal(*gradients)


def test_the_plain_layer_is_used_where_it_can_be_relied_on() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 6, 9, 8).to(memory_format=torch.channels_last_3d)
    conv = nn.Conv3d(8, 16, 3, padding=1)
    ours = nn.Sequential(nn.Conv3d(8, 16, 3, padding=1))
    ours[0].load_state_dict(conv.state_dict())
    use_reliable_convolutions(ours)
    assert type(ours[0]) is Conv3d
    for layer in (conv, ours):
        layer(x).square().sum().backward()
    assert torch.equal(conv(x), ours(x))
    for mine, plain in zip(ours.parameters(), conv.parameters(), strict=True):
        assert mine.grad is not None
        assert plain.grad is not None
        assert torch.equal(mine.grad, plain.grad)


def test_compiled_ones_have_right_gradients() -> None:
    torch.manual_seed(0)
    for size, kernel in (((2, 12, 16), 3), ((5, 9, 9), 7)):
        conv = Conv3d(8, 16, kernel, padding=kernel // 2)
        net, x = nn.Sequential(conv), torch.randn(2, 8, *size)
        net.compile()
        with torch.autocast("cpu", torch.bfloat16):
            y = net(x)
        (weight,) = torch.autograd.grad(y, [conv.weight], torch.ones_like(y))
        assert distance(weight, in_double(conv, x, torch.ones_like(y))[2]) <= TOLERANCE[y.dtype]


@pytest.mark.parametrize("build", [CSACNet3D, DenseNet3D, lambda: ResNet3D(depth=10)])
def test_every_network_computes_with_them(build: type[nn.Module]) -> None:
    kinds = {type(layer) for layer in build().modules() if isinstance(layer, nn.Conv3d)}
    assert all(issubclass(kind, Conv3d) for kind in kinds)


@pytest.mark.parametrize("bins", [None, 5])
def test_a_step_in_bfloat16_goes_where_that_in_float32_goes(bins: int | None) -> None:
    torch.manual_seed(0)
    net = CSACNet3D(width=8, input_bins=bins, dropout=0.0, norm="group")
    net = net.to(memory_format=torch.channels_last_3d)
    x, target = torch.rand(4, 1, 24, 48, 64), torch.tensor([0.0, 1.0, 0.0, 1.0])
    gradients = []
    for enabled in (False, True):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = net(x)[:, 0].float()
        functional.binary_cross_entropy_with_logits(logits, target).backward()
        gradients.append([p.grad.flatten() for p in net.parameters() if p.grad is not None])
    exact, rounded = (torch.cat(each) for each in gradients)
    assert torch.cosine_similarity(exact, rounded, dim=0) > 0.9
    assert distance(rounded, exact.double()) < 0.4
