"""A sweep that would fail or mean nothing is refused before its first trial."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from covidlit.errors import ConfigError
from covidlit.settings.tree import config_dir
from covidlit.sweep.settings import SweepSettings
from covidlit.sweep.space_reading import read_space
from covidlit.sweep.trial_checks import (
    check_comparable,
    why_nothing_is_pruned,
    why_nothing_is_reported,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "drawn",
    ["seed", "split", "split.test_centres", "label_rule.positive", "inclusion", "data",
     "data.source.path", "experiment"],
)  # fmt: skip
def test_what_decides_on_the_scans_is_not_drawn(drawn: str) -> None:
    for params, conditional in (
        ({drawn: "choice(1,2)"}, []),
        ({"x": "choice(1,2)"}, [{"when": {"x": 1}, "params": {drawn: 3}}]),
    ):
        space = read_space([], params, conditional)
        with pytest.raises(ConfigError, match=rf"^{drawn}: "):
            check_comparable(space.parameters())
    check_comparable(read_space([f"{drawn}=1"], {"x": "choice(1,2)"}).parameters())


@pytest.mark.parametrize("drawn", ["data.batch_size", "data.geometry.size", "model.task.split_x"])
def test_all_else_may_be_drawn(drawn: str) -> None:
    check_comparable(read_space([], {drawn: "choice(1,2)"}).parameters())


@pytest.mark.parametrize(
    ("overrides", "folds", "said"),
    [
        ([], None, None),
        (["trainer.limit_val_batches=0"], None, "limit_val_batches"),
        (["trainer.limit_val_batches=0"], 3, None),
        (["trainer.limit_val_batches=0", "model=svm"], None, None),
        (["trainer.check_val_every_n_epoch=9", "trainer.max_epochs=5"], None, "every_n_epoch=9"),
    ],
)
def test_a_sweep_that_reports_nothing_is_known(
    overrides: list[str], folds: int | None, said: str | None
) -> None:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        why = why_nothing_is_reported(compose("train", overrides), folds)
    assert why is None if said is None else said in str(why)


@pytest.mark.parametrize(
    ("pruner", "epochs", "folds", "said"),
    [
        ({"n_startup_trials": 3, "n_warmup_steps": 3}, 5, None, None),
        ({"n_startup_trials": 3, "n_warmup_steps": 3}, 4, None, "n_warmup_steps=3"),
        ({"n_startup_trials": 3, "n_warmup_steps": 3}, 50, 3, "of 3 folds"),
        ({"n_startup_trials": 3, "n_warmup_steps": 1}, 2, 3, None),
        ({"n_startup_trials": 9, "n_warmup_steps": 0}, 50, None, None),
        ({"n_startup_trials": 10, "n_warmup_steps": 0}, 50, None, "n_startup_trials=10"),
        ({"min_resource": 3, "max_resource": "auto"}, 4, None, "min_resource=3"),
        ({"min_resource": 2, "max_resource": "auto"}, 4, None, None),
        ({}, 1, None, None),
    ],
)
def test_a_pruner_that_can_stop_nothing_is_known(
    pruner: dict[str, object], epochs: int, folds: int | None, said: str | None
) -> None:
    given: dict[str, Any] = {"pruner": pruner, "folds": folds, "n_trials": 10}
    settings = SweepSettings(**{field.name: None for field in fields(SweepSettings)} | given)
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        why = why_nothing_is_pruned(compose("train", [f"trainer.max_epochs={epochs}"]), settings)
    assert why is None if said is None else said in str(why)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trainer=ddp", "trainer.devices"),
        ("+hydra.sweeper.sampler.luck=1", "luck"),
    ],
)
def test_a_bad_command_ends_before_there_is_a_study(
    override: str, said: str, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "train.py",
        "-m",
        "sweep=networks",
        f"hydra.sweep.dir={tmp_path / 's'}",
    ]
    ended = subprocess.run(
        [*command, override], cwd=ROOT, text=True, capture_output=True, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert said in ended.stderr
    assert not (tmp_path / "s").exists()
