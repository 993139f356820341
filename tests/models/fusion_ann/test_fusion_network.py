"""The fusion network: its members are networks of their own, its attention sums to one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from covidlit.errors import ConfigError
from covidlit.models import FusionANN
from covidlit.models.fusion_ann.ensemble import FusionEnsemble
from covidlit.models.fusion_ann.fit import fit_preparation
from covidlit.tasks.fusion import Fusion


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


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("transform", ["quantile", "standard"])
def test_numpy_computes_what_torch_computes(attention: bool, transform: str) -> None:
    rng = np.random.default_rng(1)
    values = np.round(rng.normal(size=(60, 4)), 1)
    values[:9, 2] = np.nan
    names = ["a", "b", "c", "d"]
    hparams = {
        "net": {"_target_": "covidlit.models.FusionANN", "members": 3, "hidden": [8, 5, 4],
                "attention": attention, "seed": 2},
        "preparation": fit_preparation(values, np.arange(60) % 2, [3, 0, 2], ["d", "a", "c"],
                                       transform=transform),
        "columns": names, "calibration_folds": 2, "calibration_members": 1,
    }  # fmt: skip
    task = Fusion(hparams)
    for parameter in task.parameters():
        torch.nn.init.normal_(parameter)
    task.calibration.copy_(torch.tensor([1.3, -0.4]))
    weights = {name: value.numpy() for name, value in task.state_dict().items()}
    own = FusionEnsemble(hparams, weights)
    new = rng.normal(size=(200, 4)) * 3
    new[rng.random(new.shape) < 0.2] = np.nan
    numbers = torch.tensor(new, dtype=torch.float32)
    with torch.no_grad():
        expected = task(numbers)[:3].numpy()
    np.testing.assert_allclose(own.logits(new), expected, rtol=1e-4, atol=1e-4)
    assert own.calibration == pytest.approx((1.3, -0.4))
    found = own.attention(new)
    if not attention:
        assert found is None
        return
    assert found is not None
    net: Any = task.net
    by_member = net.attention(numbers, 3).detach().numpy()
    np.testing.assert_allclose(found[:, [0, 1]], by_member[:, [0, 1]], atol=1e-5)
    np.testing.assert_allclose(found[:, 2], by_member[:, 2] + by_member[:, 3], atol=1e-5)


def test_weights_of_another_network_are_named() -> None:
    hparams = {
        "net": {"members": 3, "hidden": [8]}, "preparation": settings(), "calibration_folds": 0,
        "columns": ["a", "b", "c", "d"], "calibration_members": 1,
    }  # fmt: skip
    task = Fusion({**hparams, "net": {**hparams["net"], "_target_": "covidlit.models.FusionANN"}})
    weights = {name: value.numpy() for name, value in task.state_dict().items()}
    FusionEnsemble(hparams, weights)
    with pytest.raises(ValueError, match=r"net\.layers\.0\.weight"):
        FusionEnsemble({**hparams, "net": {"members": 3, "hidden": [9]}}, weights)
