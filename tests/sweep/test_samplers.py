"""Each sampler and pruner of the configuration can be chosen, and each draw has its own seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from covidlit.sweep.samplers import draw_seed, is_grid, make_pruner, make_sampler

CONF = str(Path(__file__).parent / "conf")


def node(group: str, choice: str) -> dict[str, Any]:
    with initialize_config_dir(CONF, version_base="1.3"):
        overrides = [f"hydra/sweeper/{group}={choice}"]
        config = compose("config", overrides=overrides, return_hydra_config=True)
    settings = OmegaConf.to_container(config.hydra.sweeper[group])
    assert isinstance(settings, dict)
    return {str(key): value for key, value in settings.items()}


@pytest.mark.parametrize("choice", ["tpe", "gp", "cmaes", "random"])
def test_a_draw_depends_on_the_seed_and_its_number_alone(choice: str) -> None:
    settings = node("sampler", choice)

    def proposal(seed: int, draw: int) -> tuple[float, ...]:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=9))
        study.optimize(lambda t: t.suggest_float("x", 0, 1) - t.suggest_float("y", 0, 1), 12)
        study.sampler = make_sampler({**settings, "seed": seed}, draw)
        trial = study.ask()
        return trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)

    first = proposal(0, 3)
    assert proposal(0, 3) == first
    if choice != "gp":  # whose best guess is the same from any start
        assert proposal(0, 4) != first
        assert proposal(1, 3) != first


def test_no_two_draws_share_a_seed() -> None:
    seeds = {draw_seed(seed, draw) for seed in range(20) for draw in range(100)}
    assert len(seeds) == 2000


def test_the_grid_is_told_from_the_others() -> None:
    assert is_grid(node("sampler", "grid"))
    assert not is_grid(node("sampler", "random"))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("median", optuna.pruners.MedianPruner),
        ("hyperband", optuna.pruners.HyperbandPruner),
        ("none", optuna.pruners.NopPruner),
    ],
)
def test_pruners_are_made_from_their_settings(choice: str, expected: type) -> None:
    assert isinstance(make_pruner(node("pruner", choice)), expected)
