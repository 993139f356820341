"""What a refused or stopped run says, on the console and in its folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import covidlit.cli.train
import covidlit.runs.steps
from covidlit.errors import ConfigError, CovidlitError, SplitError

NO_MANIFEST = ["data=manifest", "data.source.path=not_there.csv"]


def _end(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    with pytest.raises(SystemExit) as end:
        covidlit.cli.train.main()
    return end.value.code


def test_a_refusal_stands_alone_and_last_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _end(monkeypatch, *NO_MANIFEST, f"hydra.run.dir={tmp_path}") == 2
    said = capfd.readouterr().err
    assert "there is no such manifest. Fix:" in said
    assert "Error executing job" not in said
    assert "Traceback" not in said
    assert said.count("there is no such manifest") == 1
    last = (tmp_path / "train.log").read_text().splitlines()[-1]
    assert "ERROR" in last
    assert "there is no such manifest. Fix: make one with" in last
    state = json.loads((tmp_path / "run.json").read_text())
    assert state["state"] == "failed"


def test_a_wrong_setting_of_an_object_stands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = ["trainer.max_epochs=abc", f"hydra.run.dir={tmp_path}"]
    assert _end(monkeypatch, *wrong) == 2
    said = capfd.readouterr().err
    assert "trainer.max_epochs" in said
    assert "Error executing job" not in said


def test_of_several_jobs_the_one_that_failed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    jobs = ["-m", "seed=1,2", *NO_MANIFEST, f"hydra.sweep.dir={tmp_path}"]
    assert _end(monkeypatch, *jobs) == 2
    said = capfd.readouterr().err
    assert "seed=1" in said
    assert "error: " in said


@pytest.mark.parametrize("models", ["svm,csacnet", "svm"])
def test_a_setting_of_one_of_several_models_is_said_to_need_its_own_command(
    models: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    mend = ConfigError("too few.", where="model", fix="use model.calibration.folds=2.")

    def refuse(*_: object) -> None:
        raise mend

    monkeypatch.setattr(covidlit.runs.steps, "train_and_evaluate", refuse)
    assert _end(monkeypatch, "-m", f"model={models}", f"hydra.sweep.dir={tmp_path}") == 2
    said = capfd.readouterr().err.rpartition("error: ")[2].strip()
    assert said.startswith("model: too few. Fix: use model.calibration.folds=2.")
    alone = said.endswith(
        f"Every model of model={models} would get that setting: give this model a command of "
        "its own."
    )
    assert alone == ("," in models)
    assert mend.fix == "use model.calibration.folds=2."


def test_an_error_that_nobody_expected_keeps_its_traceback(tmp_path: Path) -> None:
    code = (
        "import covidlit.runs.steps as steps\n"
        "def fail(*_): raise ZeroDivisionError('by chance')\n"
        "steps.train_and_evaluate = fail\n"
        "from covidlit.cli.train import main\nmain()\n"
    )
    command = [sys.executable, "-c", code, f"hydra.run.dir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError: by chance" in done.stderr
    assert "in fail" in done.stderr
    assert "ZeroDivisionError: by chance" in (tmp_path / "train.log").read_text().splitlines()[-1]


@pytest.mark.parametrize(
    ("raised", "level", "text"),
    [
        (SplitError("no split.", fix="make one."), "ERROR", "no split. Fix: make one."),
        (KeyboardInterrupt(), "WARNING", "The run was stopped (Ctrl-C). No epoch was finished"),
    ],
)
def test_the_log_ends_with_the_reason(
    raised: BaseException,
    level: str,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr(covidlit.runs.steps, "train_and_evaluate", fail)
    _end(monkeypatch, f"hydra.run.dir={tmp_path}")
    last = (tmp_path / "train.log").read_text().splitlines()[-1]
    assert f" {level} {text}" in last


def test_the_state_keeps_when_a_run_began_at_first(tmp_path: Path) -> None:
    from covidlit.runs.run_folder import run_folder

    config = {"seed": 1}
    with pytest.raises(CovidlitError), run_folder(tmp_path, config):
        raise CovidlitError("refused.")
    state = json.loads((tmp_path / "run.json").read_text())
    first = "2020-01-02T03:04:05+00:00"
    (tmp_path / "run.json").write_text(json.dumps({**state, "started": first}))
    with run_folder(tmp_path, config) as folder:
        folder.finish()
    state = json.loads((tmp_path / "run.json").read_text())
    assert state["state"] == "finished"
    assert state["started"] == first
    assert state["ended"] > first


def test_every_job_that_failed_says_its_own_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(config: dict[str, Any], *_: object) -> None:
        setting = {"svm": "model.calibration.folds", "random_forest": "model.tune"}
        name = config["model"]["name"]
        if name in setting:
            raise ConfigError("too few.", where=name, fix=f"use {setting[name]}=2.")

    monkeypatch.setattr(covidlit.runs.steps, "train_and_evaluate", refuse)
    models = "model=svm,csacnet,random_forest"
    assert _end(monkeypatch, "-m", models, "seed=1", f"hydra.sweep.dir={tmp_path}") == 2
    said = capfd.readouterr().err
    assert "error: model=svm: svm: too few. Fix: use model.calibration.folds=2." in said
    assert "error: model=random_forest: random_forest: too few. Fix: use model.tune=2." in said
    assert said.count("error: ") == 2
    capfd.readouterr()
    alone = ["-m", "model=svm,csacnet", "seed=1", f"hydra.sweep.dir={tmp_path}"]
    assert _end(monkeypatch, *alone) == 2
    assert "error: svm: too few." in capfd.readouterr().err
