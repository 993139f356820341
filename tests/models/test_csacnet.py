"""The 3D CSAC-Net against the paper's layer counts and the design's growth rule."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from covidlit.errors import ConfigError
from covidlit.models import CSACNet3D


def count(net: nn.Module, kind: type[nn.Module]) -> int:
    return sum(isinstance(module, kind) for module in net.modules())


def atrous(net: nn.Module) -> list[nn.Conv3d]:
    return [m for m in net.modules() if isinstance(m, nn.Conv3d) and max(m.dilation) > 1]


def tiny(**arguments: object) -> CSACNet3D:
    return CSACNet3D(**{"width": 4, "hidden": (8, 8), **arguments})  # type: ignore[arg-type]


def test_default_has_the_papers_layers_and_size() -> None:
    with torch.device("meta"):
        net = CSACNet3D()
    assert count(net, nn.Conv3d) - len(atrous(net)) == 39
    assert len(atrous(net)) == 10
    assert count(net.pools, nn.MaxPool3d) == 3
    assert count(net.subnets, nn.MaxPool3d) == 5
    assert count(net, nn.MaxPool3d) == 8
    assert count(net, nn.Linear) == 3
    parameters = sum(p.numel() for p in net.parameters())
    assert parameters / 1e6 == pytest.approx(27.55, abs=0.005)
    assert all(conv.groups == conv.in_channels for conv in atrous(net))


@pytest.mark.parametrize(
    ("n_modules", "units"), [(3, [1, 1]), (4, [2, 2, 1]), (5, [3, 3, 2, 1]), (6, [4, 4, 3, 2, 1])]
)
def test_growth_rule(n_modules: int, units: list[int]) -> None:
    with torch.device("meta"):
        net = CSACNet3D(width=4, n_modules=n_modules)
    assert [count(subnet, nn.MaxPool3d) for subnet in net.subnets] == units
    assert [len(atrous(subnet)) for subnet in net.subnets] == [2 * n for n in units]
    assert len(net.pools) == n_modules - 1
    # It also runs: the subnets end at the baseline's resolution.
    assert net(torch.zeros(2, 1, 33, 47, 64, device="meta")).shape == (2, 1)


SIZES = [
    (8, 16, 16), (9, 17, 19), (16, 33, 31), (5, 50, 49), (24, 64, 64), (1, 40, 23), (31, 32, 65),
]  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stem_stride", [2, (1, 2, 2)])
def test_all_subnets_end_at_the_resolution_of_the_baseline(
    size: tuple[int, int, int], stem_stride: int | Sequence[int]
) -> None:
    with torch.device("meta"):
        net = CSACNet3D(width=4, stem_stride=stem_stride)
    ends: list[tuple[int, ...]] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ends.append(tuple(output.shape[2:]))

    for module in (*net.subnets, net.residual[-1]):
        module.register_forward_hook(keep)
    net(torch.zeros(2, 1, *size, device="meta"))
    assert len(ends) == 4
    assert len(set(ends)) == 1


def test_widths_blocks_and_dilations_are_arguments() -> None:
    net = tiny(blocks=[1, 2, 3, 1], dilations=[[1, 2, 3], 2], subnet_width=6, in_channels=2)
    assert [len(module) for module in net.residual] == [1, 2, 3, 1]
    assert [conv.dilation for conv in atrous(net)][:2] == [(1, 2, 3), (2, 2, 2)]
    assert all(conv.padding == conv.dilation for conv in atrous(net))
    assert net(torch.zeros(2, 2, 8, 16, 16)).shape == (2, 1)
    assert tiny(n_outputs=3)(torch.zeros(2, 1, 8, 16, 16)).shape == (2, 3)


ABLATIONS = [{"cross_layers": False}, {"dilations": [1, 1]}]


@pytest.mark.parametrize("arguments", ABLATIONS)
def test_an_ablation_takes_its_part_out_and_nothing_else(arguments: dict[str, object]) -> None:
    with torch.device("meta"):
        net, whole = CSACNet3D(**arguments), CSACNet3D()  # type: ignore[arg-type]
    assert atrous(net) == []
    assert count(net.pools, nn.MaxPool3d) == 3
    assert count(net, nn.Linear) == 3
    baseline = [n for n, _ in whole.named_parameters() if not n.startswith(("subnets.", "head."))]
    assert [n for n, _ in net.named_parameters() if not n.startswith(("subnets.", "head."))] == (
        baseline
    )
    kernels = sum(m.groups > 1 for m in net.modules() if isinstance(m, nn.Conv3d))
    assert kernels == (0 if "cross_layers" in arguments else 10)


def test_without_cross_layers_there_is_no_sparsity() -> None:
    with pytest.raises(ConfigError, match="sparsity_weight"):
        tiny(cross_layers=False).sparsity()


@pytest.mark.parametrize("arguments", [{}, *ABLATIONS])
def test_gradient_reaches_every_parameter(arguments: dict[str, object]) -> None:
    torch.manual_seed(0)
    # Batch norm takes a bias before it out again: its gradient is zero but for rounding.
    net = tiny(zero_init=False, dropout=0.0, norm="group", **arguments)
    net(torch.rand(2, 1, 8, 32, 32)).sum().backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_zero_init_starts_every_block_as_its_shortcut() -> None:
    net = tiny(zero_init=True).eval()
    block = net.residual[1][1]
    x = torch.rand(2, 32, 4, 8, 8)
    assert torch.equal(block(x), x)
    assert not torch.equal(tiny(zero_init=False).eval().residual[1][1](x), x)


@pytest.mark.parametrize("norm", ["batch", "group", "instance"])
def test_channels_last_equals_contiguous(norm: str) -> None:
    torch.manual_seed(0)
    net = tiny(norm=norm, dropout=0.0, zero_init=False).double()
    last = tiny(norm=norm, dropout=0.0, zero_init=False).double()
    last.load_state_dict(net.state_dict())
    last = last.to(memory_format=torch.channels_last_3d)
    x = torch.rand(2, 1, 8, 32, 32, dtype=torch.float64)
    y, y_last = net(x), last(x.contiguous(memory_format=torch.channels_last_3d))
    torch.testing.assert_close(y_last, y)
    y.sum().backward()
    y_last.sum().backward()
    for (name, p), q in zip(net.named_parameters(), last.parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad, msg=name)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_a_common_shift_does_not_silence_the_head(norm: str) -> None:
    net = tiny(norm=norm, dropout=0.0).train()
    pooled = torch.rand(8, net.head[0].in_features) + 1
    before = net.head(pooled)
    with torch.no_grad():
        net.head[0].bias -= 100.0
    torch.testing.assert_close(net.head(pooled), before, atol=1e-4, rtol=1e-4)
    assert before.std() > 0


@pytest.mark.parametrize("norm", ["batch", "group", "instance"])
def test_a_batch_of_one_scan_trains(norm: str) -> None:
    net = tiny(norm=norm).train()
    net(torch.rand(1, 1, 32, 32, 32)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_sparsity_is_the_mean_absolute_atrous_weight() -> None:
    net = tiny()
    weights = torch.cat([conv.weight.flatten() for conv in atrous(net)])
    assert net.sparsity().item() == pytest.approx(weights.abs().mean().item())
    net.sparsity().backward()
    others = [n for n, p in net.named_parameters() if p.grad is not None and "atrous" not in n]
    assert others == []


def test_standardisation_inside_the_network() -> None:
    torch.manual_seed(0)
    net = tiny(input_mean=0.3, input_std=0.25).eval()
    plain = tiny().eval()
    plain.load_state_dict(net.state_dict())
    x = torch.rand(1, 1, 8, 16, 16)
    torch.testing.assert_close(net(x), plain((x - 0.3) / 0.25))
    assert not torch.allclose(net(x), plain(x))


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_modules": 2},
        {"width": 0},
        {"blocks": [2, 2]},
        {"stem_stride": [2, 2]},
        {"dilations": [[1, 1, 1], [2, 2, 2]]},
        {"dilations": [[1, 2, 2]]},
        {"hidden": [8]},
        {"pooling": "mean"},
        {"norm": "layer"},
        {"input_std": 0.0},
    ],
)
def test_a_wrong_argument_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as error:
        tiny(**wrong)
    assert next(iter(wrong)) in str(error.value)
