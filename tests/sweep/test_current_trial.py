"""A job finds its trial in Hydra's configuration, and no job of a sweep uses several devices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict
from sklearn.metrics import roc_auc_score
from sweep_study import Sweep

from covidlit.cli.train import run
from covidlit.errors import ConfigError
from covidlit.evaluation import read_predictions
from covidlit.settings.tree import config_dir


@pytest.fixture
def job(tiny_overrides: list[str], tmp_path: Path) -> Iterator[Any]:
    """Composes a job of a sweep as Hydra does, and sets Hydra's own configuration."""
    before = HydraConfig.instance().cfg

    def composed(number: int, *overrides: str) -> DictConfig:
        own = ["sweep=default", "hydra.sweeper.study_name=tiny", f"hydra.sweep.dir={tmp_path}"]
        own += [f"hydra.sweeper.trial={number}", "hydra.mode=MULTIRUN", *overrides]
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            config = compose("train", [*tiny_overrides, *own], return_hydra_config=True)
        with open_dict(config):
            config.hydra.runtime.output_dir = str(tmp_path / f"trial_{number}")
            config.hydra.job.num, config.hydra.job.id = number, f"train_{number}"
        HydraConfig.instance().set_config(config)
        with open_dict(config):
            del config["hydra"]
        return config

    yield composed
    HydraConfig.instance().cfg = before


def test_the_value_of_a_job_is_that_of_its_trial(job: Any, tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    sweep.study.ask()
    sweep.study.ask()
    value = run(job(1, "model=random_forest", "model.classifier.n_estimators=5"))
    assert value is not None
    assert sweep.newest().intermediate_values == {}  # it has no epochs
    folder = tmp_path / "trial_1"
    predictions = read_predictions(folder / "predictions.parquet")
    auc = roc_auc_score(predictions["target"].astype(int), predictions["score"])
    assert value == pytest.approx(auc)
    assert "test" not in json.loads((folder / "split.json").read_text())["parts"].values()
    assert not (folder / "report.html").exists()


def test_a_trial_that_nobody_asked_for_is_refused(job: Any, tmp_path: Path) -> None:
    Sweep(tmp_path)
    with pytest.raises(ConfigError, match="no trial 5"):
        run(job(5, "model=random_forest"))


def test_a_sweep_without_multirun_is_refused(job: Any) -> None:
    with pytest.raises(ConfigError, match="needs -m"):
        run(job(0, "hydra.mode=RUN"))


def test_several_devices_in_a_trial_are_refused(job: Any) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.devices"):
        run(job(0, "trainer=ddp", "trainer.accelerator=cpu"))
