"""`train.py -m sweep=csacnet`, as a user gives it, from the command to the best experiment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import optuna
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from optuna.trial import TrialState
from sweep_study import NARROW

from covidlit.settings.tree import config_dir
from covidlit.sweep.storage import open_storage

ROOT = Path(__file__).parents[2]


def test_it_ends_with_its_page_and_its_best_experiment(
    tiny_overrides: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    command = [
        sys.executable, "train.py", "-m", "sweep=csacnet", "model=csacnet", *tiny_overrides,
        *NARROW, "augmentation=none,left_right", "hydra.sweeper.n_trials=2",
        f"hydra.sweep.dir={folder}",
    ]  # fmt: skip
    ended = subprocess.run(
        command, cwd=ROOT, text=True, check=False, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout
    study = optuna.load_study(study_name="csacnet", storage=open_storage(None, folder))
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert all(list(trial.intermediate_values) == [0] for trial in study.trials)

    html = (folder / "sweep.html").read_text()
    assert set(re.findall(r'href="([^#"][^"]*)"', html)) == {"trial_0/", "trial_1/"}
    assert f"{study.best_value:.4f}" in html
    assert not list(folder.rglob("report.html"))  # the test part is not looked at

    run = ["experiment=csacnet_best", f"hydra.searchpath=[file://{folder}/conf]"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        best = OmegaConf.to_container(compose("train", run), resolve=True)
    ran = OmegaConf.to_container(
        OmegaConf.load(folder / f"trial_{study.best_trial.number}" / "config.yaml")
    )
    assert isinstance(best, dict)
    assert isinstance(ran, dict)
    assert {**best, "name": ""} == {**ran, "name": ""}
