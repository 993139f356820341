"""TabM behind the fusion network's seam; without its package, how to get it."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch

from covidlit.errors import ConfigError
from covidlit.models.fusion_ann.fit import fit_preparation
from covidlit.models.tabm import TabM
from covidlit.tasks.fusion import Fusion


@pytest.fixture
def installed() -> None:
    pytest.importorskip("tabm")


def settings(n: int = 60) -> dict[str, Any]:
    values = np.random.default_rng(0).normal(size=(n, 4))
    values[:9, 2] = np.nan
    return fit_preparation(values, np.arange(n) % 2, range(4), ["a", "b", "c", "d"])


@pytest.mark.usefixtures("installed")
def test_logits_are_of_each_member_and_of_each_row_alone() -> None:
    net, numbers = TabM(settings(), members=5, d_block=8).eval(), torch.randn(7, 4)
    numbers[3, 2] = float("nan")
    found = net(numbers)
    assert found.shape == (5, 7)
    assert found.isfinite().all()
    torch.testing.assert_close(net(numbers)[:, 3:4], net(numbers[3:4]))
    assert (found.std(0) > 0).all()


@pytest.mark.usefixtures("installed")
def test_seeds_repeat_whatever_was_drawn_before_and_leave_the_generator_alone() -> None:
    numbers = torch.randn(5, 4)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    one = TabM(settings(), seed=1).eval()
    assert torch.equal(torch.rand(3), expected)
    same, other = TabM(settings(), seed=1).eval(), TabM(settings(), seed=2).eval()
    torch.testing.assert_close(one(numbers), same(numbers))
    assert not torch.allclose(one(numbers), other(numbers))


@pytest.mark.usefixtures("installed")
def test_members_that_share_weights_cannot_calibrate() -> None:
    node = {"_target_": "covidlit.models.TabM", "members": 4, "d_block": 8}
    hparams: dict[str, Any] = {
        "net": node, "preparation": settings(), "columns": ["a", "b", "c", "d"],
        "calibration_folds": 5, "calibration_members": 1,
    }  # fmt: skip
    with pytest.raises(ConfigError, match="calibration_folds"):
        Fusion(hparams)
    assert Fusion({**hparams, "calibration_folds": 0}).n_scoring == 4


@pytest.mark.parametrize("wrong", [{"members": 0}, {"d_block": 1.5}, {"dropout": 1.0}], ids=str)
def test_arguments_out_of_their_range_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        TabM(settings(), **wrong)


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tabm", None)
    with pytest.raises(ConfigError, match=r"pip install 'covidlit\[tabm\]'"):
        TabM(settings())
