"""Optimizers and schedulers of any length and with settings that torch refuses."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from covidlit.errors import ConfigError
from covidlit.tasks import VolumeClassification
from covidlit.tasks.schedules import make_optimizer, make_scheduler, refusals_named

NET = {"_target_": "covidlit.models.CSACNet3D", "width": 4, "hidden": [8, 8]}
ONE_CYCLE = {"_target_": "torch.optim.lr_scheduler.OneCycleLR"}


def _optimizer() -> torch.optim.Optimizer:
    node = {"_target_": "torch.optim.AdamW", "lr": 1e-3}
    return make_optimizer(node, [nn.Parameter(torch.zeros(1))])


def _rates(scheduler: Any, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        if len(rates) < steps:
            scheduler.optimizer.step()
            scheduler.step()
    return rates


@pytest.mark.parametrize("pct_start", [0.1, 0.25, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("three_phase", [False, True])
def test_a_cycle_of_any_length_has_rates(pct_start: float, three_phase: bool) -> None:
    for steps in range(2, 41):
        given: dict[str, Any] = {"pct_start": pct_start, "three_phase": three_phase}
        # Same class as torch's, where torch does not divide by zero: bit-identical there.
        ours = make_scheduler({**ONE_CYCLE, **given}, _optimizer(), functools.partial(int, steps))
        found = _rates(ours, steps)
        assert 0 < min(found) <= max(found) <= 1e-3, steps
        try:
            theirs = torch.optim.lr_scheduler.OneCycleLR(
                _optimizer(), max_lr=1e-3, total_steps=steps, **given
            )
        except ZeroDivisionError:
            assert pct_start * steps == 1
            continue
        assert found == _rates(theirs, steps)


def test_a_rise_of_one_step_given_as_epochs_is_left_out() -> None:
    given = {"pct_start": 0.1, "epochs": 2, "steps_per_epoch": 5}
    rates = _rates(make_scheduler({**ONE_CYCLE, **given}, _optimizer(), lambda: 99), 10)
    assert rates[0] == pytest.approx(1e-3)
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(
    ("name", "wrong", "named"),
    [
        ("optimizer", {"lr": -0.1}, r"lr -0.1.*Invalid learning rate: -0.1"),
        ("optimizer", {"betas": [0.9, 1.5]}, r"betas.*Invalid beta"),
        ("optimizer", {"lr": "fast"}, r"lr fast"),
        ("scheduler", {"pct_start": 1.5}, r"pct_start 1.5"),
        ("scheduler", {"pct_start": "late"}, r"pct_start late"),
        ("scheduler", {"anneal_strategy": "sine"}, r"anneal_strategy sine"),
    ],
)
def test_refused_settings_are_named(
    name: str, wrong: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = {"_target_": "torch.optim.AdamW", "lr": 1e-3} if name == "optimizer" else ONE_CYCLE
    settings: dict[str, Any] = {name: {**node, **wrong}}
    task = VolumeClassification(net=NET, **settings)
    task._trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    monkeypatch.setattr(task, "_total_steps", lambda _: 10)
    with pytest.raises(ConfigError, match=rf"{name}.*{named}.*model\.task\.{name}"):
        task.configure_optimizers()


def test_a_schedule_that_ends_before_the_training_is_named(tmp_path: Path, datamodule: Any) -> None:
    short = {**ONE_CYCLE, "total_steps": 2}
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=9, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
        default_root_dir=tmp_path,
    )  # fmt: skip
    task = VolumeClassification(net=NET, scheduler=short)
    with pytest.raises(ConfigError, match=r"scheduler OneCycleLR.*total_steps 2"):
        trainer.fit(task, datamodule=datamodule)


def test_errors_of_covidlit_stay_as_they_are() -> None:
    with pytest.raises(ConfigError, match="mine"), refusals_named({}, "optimizer"):
        raise ConfigError("mine")
