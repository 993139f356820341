"""A run folder belongs to one run: used ones are refused, unfinished ones go on, ends are noted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from covidlit.cli.train import whole_run
from covidlit.errors import ConfigError
from covidlit.evaluation.run_report import training_curve
from covidlit.runs.run_folder import run_folder
from covidlit.settings.tree import config_dir

CONFIG: dict[str, Any] = {"seed": 1, "data": {"batch_size": 4, "source": {"path": "/here.csv"}}}


def _state(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((path / "run.json").read_text())
    return state


def _take(
    path: Path,
    config: dict[str, Any],
    *,
    epochs: int = 0,
    finish: bool = False,
    raised: BaseException | None = None,
    **arguments: Any,
) -> None:
    """What a run does with its folder."""
    with run_folder(path, config, **arguments) as folder:
        if epochs:
            (path / "checkpoints").mkdir()
            (path / "checkpoints" / "last.ckpt").touch()
        if finish:
            folder.finish()
        if raised is not None:
            raise raised


def test_a_finished_run_is_not_overwritten(tmp_path: Path) -> None:
    with run_folder(tmp_path, CONFIG) as folder:
        assert _state(tmp_path)["state"] == "running"
        folder.finish({"model": "a"})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError, match=r"holds a run already.*hydra\.run\.dir"):
        _take(tmp_path, CONFIG)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    with run_folder(tmp_path, CONFIG, keep_finished=True) as folder:
        assert (folder.finished, folder.facts) == (True, {"model": "a"})
        assert folder.checkpoint is None
    with pytest.raises(ConfigError, match="holds a run already"):
        _take(tmp_path, {**CONFIG, "seed": 2}, keep_finished=True)


@pytest.mark.parametrize("left", ["config.yaml", "predictions.parquet", "metrics.json"])
def test_what_an_earlier_version_left_is_not_overwritten(left: str, tmp_path: Path) -> None:
    (tmp_path / left).write_text("{}")
    with pytest.raises(ConfigError, match=left):
        _take(tmp_path, CONFIG)
    assert (tmp_path / left).read_text() == "{}"


@pytest.mark.parametrize(
    ("raised", "state"),
    [
        (KeyboardInterrupt(), "stopped"),
        (SystemExit(1), "stopped"),  # how Lightning leaves
        (ValueError("no room"), "failed"),
    ],
)
def test_an_unfinished_run_says_so_and_goes_on(
    raised: BaseException, state: str, tmp_path: Path
) -> None:
    with pytest.raises(type(raised)):
        _take(tmp_path, CONFIG, epochs=1, raised=raised)
    assert _state(tmp_path)["state"] == state
    assert "no room" in _state(tmp_path)["reason"] or state == "stopped"
    moved = {**CONFIG, "data": {**CONFIG["data"], "source": {"path": "/there.csv"}}}
    with run_folder(tmp_path, moved) as folder:
        assert folder.goes_on
        assert folder.checkpoint == tmp_path / "checkpoints" / "last.ckpt"
    with pytest.raises(ConfigError, match="seed was 1 and is 2"):
        _take(tmp_path, {**CONFIG, "seed": 2})


def test_a_start_that_failed_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no room"):
        _take(tmp_path, CONFIG, raised=ValueError("no room"))
    with run_folder(tmp_path, {**CONFIG, "seed": 2}) as folder:
        assert (folder.goes_on, folder.checkpoint) == (False, None)


def test_a_report_that_fails_leaves_the_run_finished(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"):
        _take(tmp_path, CONFIG, finish=True, raised=OSError("full"))
    assert _state(tmp_path)["state"] == "finished"


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(1)])
def test_a_run_that_is_stopped_once_all_is_written_is_finished(
    stop: BaseException, tmp_path: Path
) -> None:
    with pytest.raises(type(stop)):
        _take(tmp_path, CONFIG, finish=True, raised=stop)
    assert _state(tmp_path)["state"] == "finished"


@pytest.mark.parametrize("left", ["checkpoints/best.ckpt", "checkpoints/model.skops", "a.parquet"])
def test_what_an_unfinished_run_has_got_is_not_overwritten(left: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no room"):
        _take(tmp_path, CONFIG, raised=ValueError("no room"))
    (tmp_path / left).parent.mkdir(exist_ok=True)
    (tmp_path / left).touch()
    with pytest.raises(ConfigError, match="seed was 1 and is 2"):
        _take(tmp_path, {**CONFIG, "seed": 2})


@pytest.mark.parametrize(
    "change",
    [
        {"trainer": {"max_epochs": 9}},
        {"inclusion": {"min_spo2_percent": 90}},
        {"model": {"weights": "last"}},
        {"callbacks": {"stop": {"patience": 3}}},
    ],
)
def test_a_finished_run_of_another_kind_is_not_kept(change: dict[str, Any], tmp_path: Path) -> None:
    _take(tmp_path, CONFIG, finish=True)
    with pytest.raises(ConfigError, match="holds a run already"):
        _take(tmp_path, CONFIG | change, keep_finished=True)


def test_results_of_an_attempt_that_did_not_end_are_not_taken_for_the_next(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no room"):
        _take(tmp_path, CONFIG, epochs=1, raised=ValueError("no room"))
    for name in ("predictions.parquet", "metrics.json", "report.html"):
        (tmp_path / name).touch()
    with pytest.raises(KeyboardInterrupt):
        _take(tmp_path, CONFIG, raised=KeyboardInterrupt())
    left = {path.name for path in tmp_path.iterdir()} - {".run.lock"}
    assert left == {"checkpoints", "config.yaml", "run.json"}


@pytest.mark.parametrize("text", ["", '{"state": "ru', "[]"])
def test_a_state_that_was_cut_off_is_of_no_finished_run(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no room"):
        _take(tmp_path, CONFIG, epochs=1, raised=ValueError("no room"))
    (tmp_path / "run.json").write_text(text)
    with run_folder(tmp_path, CONFIG, keep_finished=True) as folder:
        assert (folder.finished, folder.goes_on) == (False, True)


def test_a_disk_that_is_full_at_the_start_leaves_a_folder_to_start_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("write_json", "write_text"):
        with monkeypatch.context() as patch:
            patch.setattr(f"covidlit.runs.run_folder.{name}", _full)
            with pytest.raises(OSError, match="full"):
                _take(tmp_path, CONFIG)
    _take(tmp_path, CONFIG, finish=True)
    assert _state(tmp_path)["state"] == "finished"


def _full(*_: object) -> None:
    raise OSError("the disk is full")


def test_facts_that_are_no_plain_values_are_written_as_text(tmp_path: Path) -> None:
    with run_folder(tmp_path, CONFIG) as folder:
        folder.finish({"n": np.float32(0.5), "path": Path("a")})
    assert _state(tmp_path)["facts"] == {"n": "0.5", "path": "a"}


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from covidlit.errors import ConfigError\n"
        "from covidlit.runs.run_folder import run_folder\n"
        "try:\n"
        "    with run_folder(__import__('pathlib').Path(sys.argv[1]), {}): pass\n"
        "except ConfigError as error: sys.exit(str(error))"
    )
    with run_folder(tmp_path, CONFIG):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
        )
    assert done.returncode == 1
    assert "another run is writing into this folder" in done.stderr


def test_runs_of_one_second_have_folders_of_their_own() -> None:
    code = (
        "from hydra import compose, initialize_config_dir\n"
        "from hydra.core.hydra_config import HydraConfig\n"
        "from covidlit.settings.tree import config_dir\n"
        "with initialize_config_dir(str(config_dir()), version_base='1.3'):\n"
        "    config = compose('train', ['name=csacnet'], return_hydra_config=True)\n"
        "    print(config.hydra.run.dir)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    folders = {process.communicate()[0] for process in started}
    assert len(folders) == 3
    assert all(folder.startswith("runs/csacnet/") for folder in folders)


def test_a_run_is_taken_up_from_any_folder(csacnet_run: Path) -> None:
    config = yaml.safe_load((csacnet_run / "config.yaml").read_text())
    assert Path(config["data"]["source"]["path"]).is_absolute()


def test_a_stopped_run_goes_on_in_its_folder(
    train: Callable[..., Path], tiny_overrides: list[str], tmp_path: Path
) -> None:
    overrides = [
        *tiny_overrides, "name=test", "model=csacnet", "model.task.net.width=4",
        "trainer.max_epochs=2",
    ]  # fmt: skip
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("train", overrides), resolve=True)
    whole_run(config, tmp_path / "whole")
    whole_run(config, tmp_path / "stopped")
    stopped = tmp_path / "stopped"
    for name in ("predictions.parquet", "metrics.json", "report.html"):
        (stopped / name).unlink()
    (stopped / "run.json").write_text('{"state": "running"}')  # as a killed one leaves it
    whole_run(config, stopped)
    assert _state(stopped)["state"] == "finished"
    scores = [
        pd.read_parquet(tmp_path / name / "predictions.parquet")["score"]
        for name in ("whole", "stopped")
    ]
    pd.testing.assert_series_equal(*scores)
    assert '"went on from": "checkpoints/last.ckpt after' in (stopped / "metrics.json").read_text()
    curve = training_curve(stopped)
    assert curve is not None
    assert curve["epoch"].tolist() == [0, 1]
