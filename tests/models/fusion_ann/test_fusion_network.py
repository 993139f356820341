"""The fusion network: its members are networks of their own, its attention sums to one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from covidlit.errors import ConfigError
from covidlit.models import FusionANN
from covidlit.models.fusion_ann.fit import fit_preparation


def settings(n: int = 60, missing: bool = True) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, 4))
    if missing:
        values[:9, 2] = np.nan
    return fit_preparation(values, np.arange(n) % 2, range(4), ["a", "b", "c", "d"])


def test_members_are_computed_as_networks_of_their_own() -> None:
    numbers = torch.randn(7, 4)
    numbers[3, 2] = float("nan")
    whole = FusionANN(settings(), members=3, attention=True)
    found = whole(numbers)
    assert found.shape == (3, 7)
    for member in range(3):
        one = FusionANN(settings(), members=1, attention=True)
        state = {name: value[member : member + 1] for name, value in whole.state_dict().items()}
        one.load_state_dict(state)
        torch.testing.assert_close(one(numbers)[0], found[member])


def test_a_row_does_not_hang_on_the_others_of_its_batch() -> None:
    net, numbers = FusionANN(settings()).eval(), torch.randn(6, 4)
    torch.testing.assert_close(net(numbers)[:, 2:3], net(numbers[2:3]))


def test_members_differ_and_seeds_repeat() -> None:
    one, same, other = (FusionANN(settings(), seed=seed) for seed in (1, 1, 2))
    numbers = torch.randn(5, 4)
    torch.testing.assert_close(one(numbers), same(numbers))
    assert not torch.allclose(one(numbers), other(numbers))
    assert (one(numbers).std(0) > 0).all()


def test_attention_is_a_share_of_each_feature() -> None:
    net = FusionANN(settings(), attention=True)
    weights = net.attention(torch.randn(8, 4))
    assert weights.shape == (8, 5)  # four features, and whether the third is missing
    torch.testing.assert_close(weights.sum(1), torch.ones(8))
    with pytest.raises(ConfigError, match="no attention"):
        FusionANN(settings()).attention(torch.randn(8, 4))


@pytest.mark.parametrize(
    ("given", "said"),
    [({"members": 0}, "at least 1"), ({"hidden": []}, "list of widths"),
     ({"hidden": [8, 0]}, "list of widths"), ({"dropout": 1.0}, r"\[0, 1\)")],
)  # fmt: skip
def test_arguments_out_of_range_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        FusionANN(settings(), **given)
