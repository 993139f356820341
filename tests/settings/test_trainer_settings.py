"""What Lightning's Trainer would stumble over is said at once, with the setting's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import yaml

from covidlit.errors import ConfigError
from covidlit.settings.trainer import check_trainer_settings
from covidlit.settings.tree import config_dir

NODES = sorted(path.name for path in (config_dir() / "trainer").glob("*.yaml"))


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("max_epochs", "abc", "must be a valid integer; not 'abc'"),
        ("max_epochs", 1.5, "must be a valid integer.*; not 1.5"),
        ("max_epochs", True, "must be a valid integer; not True"),
        ("max_epochs", 0, "nothing would be trained"),
        ("limit_train_batches", 0, "nothing would be trained"),
        ("limit_train_batches", "half", "must be a valid .* not 'half'"),
        ("devices", "two", "a list of indices such as .*; not 'two'"),
        ("devices", "0,one", "a list of indices such as .*; not '0,one'"),
        ("precision", 17, "16-mixed.* not 17"),
        ("precision", "16-mixd", "16-mixed.* not '16-mixd'"),
        ("deterministic", "wran", "'warn'; not 'wran'"),
        ("check_val_every_n_epoch", 0, "at least 1, not 0"),
        ("num_nodes", "a", "must be a valid integer"),
        ("plugins", 3, "must be a valid .*; not 3|cannot be 3"),
        ("max_epoch", 3, "no such setting.*did you mean max_epochs"),
        ("accelerator", "gup", "no accelerator 'gup'.*did you mean gpu"),
    ],
)
def test_a_wrong_value_is_named(setting: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=f"trainer.{setting}: .*{said}"):
        check_trainer_settings({"_target_": "pytorch_lightning.Trainer", setting: value})


@pytest.mark.parametrize("name", NODES)
def test_the_choices_of_conf_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    node = yaml.safe_load((config_dir() / "trainer" / name).read_text())
    node = {**node.pop("trainer", {}), **node}
    for key in ("defaults", "hydra"):
        node.pop(key, None)
    check_trainer_settings(node)


@pytest.mark.parametrize(
    "settings",
    [
        {"devices": "0,1", "precision": "bf16-mixed", "limit_val_batches": 0},
        {"devices": [0], "precision": 16, "gradient_clip_val": 1, "max_time": {"hours": 3}},
        {"devices": -1, "fast_dev_run": 3, "overfit_batches": 0.1, "profiler": "simple"},
        {"devices": "auto", "max_epochs": -1, "max_steps": 50, "deterministic": "warn"},
    ],
)
def test_what_lightning_takes_passes(settings: dict[str, Any]) -> None:
    check_trainer_settings(settings)


def test_nodes_that_describe_objects_are_left_to_their_class() -> None:
    profiler = {"_target_": "pytorch_lightning.profilers.SimpleProfiler"}
    check_trainer_settings({"profiler": profiler})
    check_trainer_settings({"_target_": "my_package.Trainer", "max_epochs": "abc"})


@pytest.mark.parametrize("accelerator", ["gpu", "cuda"])
def test_a_machine_without_a_gpu_is_said(
    accelerator: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"no GPU was found.*use trainer=cpu"):
        check_trainer_settings({"accelerator": accelerator})
    pl.Trainer(accelerator="auto", logger=False, default_root_dir=tmp_path)
    check_trainer_settings({"accelerator": "auto"})
