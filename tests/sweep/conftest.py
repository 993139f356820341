"""Trials of a real study, run in this process as a job of a sweep runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from sweep_study import Sweep

from covidlit.settings.tree import config_dir

Config = dict[str, Any]


@pytest.fixture
def config(tiny_overrides: list[str]) -> Callable[..., Config]:
    """The resolved configuration of a tiny run."""

    def composed(*overrides: str) -> Config:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            tree = OmegaConf.to_container(
                compose("train", [*tiny_overrides, "name=test", *overrides]), resolve=True
            )
        assert isinstance(tree, dict)
        return {str(key): value for key, value in tree.items()}

    return composed


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path / "sweep")
