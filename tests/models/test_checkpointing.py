"""Activation checkpointing: the same step to the bit, with less kept for the backward pass."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from covidlit.models import CSACNet3D
from covidlit.runs.step_memory import step_memory
from covidlit.tasks import VolumeClassification

NETWORKS = {
    "csacnet": lambda **more: CSACNet3D(width=8, **more),
    "csacnet, group norm": lambda **more: CSACNet3D(width=8, norm="group", **more),
}


def steps(net: nn.Module, bfloat16: bool) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Losses and the state after three steps."""
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    target, losses = torch.tensor([0.0, 1.0, 1.0, 0.0]), []
    for _ in range(3):
        x = torch.rand(4, 1, 16, 32, 32).to(memory_format=torch.channels_last_3d)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = net(x)[:, 0].float()
        loss = functional.binary_cross_entropy_with_logits(logits, target)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses, net.state_dict()


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_steps_are_the_same_to_the_bit(name: str, bfloat16: bool) -> None:
    torch.manual_seed(0)
    plain = NETWORKS[name]().to(memory_format=torch.channels_last_3d)
    torch.manual_seed(0)
    ours = NETWORKS[name](activation_checkpointing=True)
    ours = ours.to(memory_format=torch.channels_last_3d)
    for net in (plain, ours):
        for module in net.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
    losses, state = steps(plain, bfloat16)
    our_losses, our_state = steps(ours, bfloat16)
    assert all(torch.equal(a, b) for a, b in zip(losses, our_losses, strict=True))
    assert state.keys() == our_state.keys()
    for key, value in state.items():
        assert torch.equal(value, our_state[key]), key


def test_evaluation_and_copies_are_left_alone() -> None:
    torch.manual_seed(0)
    net = CSACNet3D(width=8, activation_checkpointing=True)
    x = torch.rand(2, 1, 16, 32, 32)
    copy.deepcopy(net)(x).sum().backward()
    assert all(parameter.grad is None for parameter in net.parameters())
    net.eval()
    seen: list[Tensor] = []
    net.residual[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    net(x)
    assert len(seen) == 1


def test_a_step_keeps_less() -> None:
    peaks = {}
    for checkpointing in (False, True):
        task = VolumeClassification(
            net={
                "_target_": "covidlit.models.CSACNet3D",
                "width": 16,
                "activation_checkpointing": checkpointing,
            }
        )
        found = step_memory(task, {"geometry": {"size": [32, 64, 64]}}, rows=4)
        assert found is not None
        peaks[checkpointing] = found.activations
    assert peaks[True] < 0.8 * peaks[False]
