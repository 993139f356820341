"""Settings of a sweep that mean nothing are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from covidlit.errors import ConfigError
from covidlit.sweep.settings import read_settings

CONF = str(Path(__file__).parent / "conf")


def settings(**changed: Any) -> dict[str, Any]:
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("config", return_hydra_config=True)
    node = OmegaConf.to_container(config.hydra.sweeper)
    assert isinstance(node, dict)
    kept = {str(key): value for key, value in node.items() if not str(key).startswith("_")}
    return {**kept, **changed}


def test_the_shipped_settings_are_read() -> None:
    read_settings(settings()).check(own_workers=True)
    assert read_settings(settings()).n_trials == 4  # the application's


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"n_trials": 0}, "n_trials"),
        ({"n_trials": 2.5}, "n_trials"),
        ({"n_jobs": True}, "n_jobs"),
        ({"folds": 1}, "folds"),
        ({"direction": "up"}, "direction"),
        ({"max_failure_rate": 1.5}, "max_failure_rate"),
        ({"trial_timeout": -1}, "trial_timeout"),
        ({"gpus": 2}, "gpus"),
        ({"n_trails": 3}, "did you mean n_trials"),
    ],
)
def test_what_means_nothing_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(settings(**changed)).check(own_workers=True)
    assert said in str(caught.value)


@pytest.mark.parametrize("changed", [{"trial_timeout": 60}, {"gpus": [0]}])
def test_a_launcher_has_its_own_limits(changed: dict[str, Any]) -> None:
    read_settings(settings(**changed)).check(own_workers=True)
    with pytest.raises(ConfigError, match=r"own worker processes alone.*hydra.launcher"):
        read_settings(settings(**changed)).check(own_workers=False)
