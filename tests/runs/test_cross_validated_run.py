"""A cross-validation as one run: the folds are those of single runs, it goes on, it fits in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from typer.testing import CliRunner

from covidlit.cards import claim_sheet, read_run
from covidlit.cli.app import app
from covidlit.cli.train import whole_run
from covidlit.cohort import Split, read_manifest, write_manifest
from covidlit.errors import CheckpointError, ConfigError
from covidlit.evaluation import read_predictions
from covidlit.runs import cross_validation
from covidlit.settings.tree import config_dir

NETWORK = ("model=csacnet", "model.task.net.width=4", "data.drop_last=true")


@pytest.fixture
def settings(tiny_overrides: list[str]) -> Any:
    """The configuration of a cross-validation of the tiny cohort in two folds, with changes."""

    def make(*overrides: str) -> dict[str, Any]:
        folds = ("split=k_fold", "split.n_folds=2", "split.fold=all", "name=test")
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            config = compose("train", [*tiny_overrides, *folds, *overrides])
        plain = OmegaConf.to_container(config, resolve=True)
        assert isinstance(plain, dict)
        return {str(key): value for key, value in plain.items()}

    return make


def _scores(path: Path) -> pd.Series:
    return read_predictions(path / "predictions.parquet").set_index("scan_id")["score"]


@pytest.fixture(scope="module")
def whole(tiny_overrides: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a cross-validation of a network."""
    folds = ("split=k_fold", "split.n_folds=2", "split.fold=all", "name=test")
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config: Any = compose("train", [*tiny_overrides, *folds, *NETWORK])
    run_dir = tmp_path_factory.mktemp("folds") / "whole"
    whole_run(OmegaConf.to_container(config, resolve=True), run_dir)  # type: ignore[arg-type]
    return run_dir


def test_each_fold_is_a_run_of_its_own(whole: Path, settings: Any, tmp_path: Path) -> None:
    table = read_predictions(whole / "predictions.parquet")
    assert set(table["fold"]) == {0, 1}
    assert set(table["run_id"]) == {"whole"}
    assert table.loc[table["part"] == "test", "scan_id"].is_unique
    assert len(table[table["part"] == "test"]) == 40
    alone = settings(*NETWORK, "split.fold=1")
    whole_run(alone, tmp_path / "alone")
    pd.testing.assert_series_equal(_scores(tmp_path / "alone"), _scores(whole / "fold_1"))
    own = Split.load(whole / "fold_1" / "split.json")
    assert own == Split.load(tmp_path / "alone" / "split.json")
    state = json.loads((whole / "fold_1" / "run.json").read_text())
    assert state["state"] == "finished"
    assert state["facts"]["selected_on"] == "validation"


def test_one_report_is_written_of_all_folds(whole: Path) -> None:
    metrics = json.loads((whole / "metrics.json").read_text())
    assert [fold["fold"] for fold in metrics["parts"]["test"]["folds"]] == [0, 1]
    page = (whole / "report.html").read_text(encoding="utf-8")
    assert "fold 0, train" in page
    assert "fold 1, test" in page
    assert not (whole / "fold_0" / "report.html").exists()


def test_it_goes_on_fold_by_fold(
    whole: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: _scores(path) for path in (whole, whole / "fold_0", whole / "fold_1")}
    for name in ("predictions.parquet", "metrics.json", "report.html"):
        (whole / name).unlink()
    (whole / "fold_1" / "predictions.parquet").unlink()
    for folder in (whole, whole / "fold_1"):  # as a killed run leaves it
        (folder / "run.json").write_text('{"state": "running"}')
    trained: list[str] = []
    train_one = cross_validation.train_one

    def watched(config: Any, run_dir: Path, *args: Any, **kwargs: Any) -> Any:
        trained.append(run_dir.name)
        assert config["ckpt_path"] == str(whole / "fold_1" / "checkpoints" / "last.ckpt")
        return train_one(config, run_dir, *args, **kwargs)

    monkeypatch.setattr(cross_validation, "train_one", watched)
    whole_run(settings(*NETWORK), whole)
    assert trained == ["fold_1"]
    for path, scores in before.items():
        pd.testing.assert_series_equal(_scores(path), scores)
    assert json.loads((whole / "run.json").read_text())["state"] == "finished"


def _of_exchanged_scans(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Two scans have changed places, which neither settings nor the split tell."""
    source = config["data"]["source"]
    manifest = read_manifest(Path(source["path"]))
    first, second = manifest.index[:2]
    places = ["path", "series_uid"]
    manifest.loc[[first, second], places] = manifest.loc[[second, first], places].to_numpy()
    other = write_manifest(manifest, folder / "other.csv")
    return {**config, "data": {**config["data"], "source": {**source, "path": str(other)}}}


def test_finished_folds_of_other_rows_are_not_kept(
    whole: Path, settings: Any, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(whole, run_dir)
    (run_dir / "run.json").write_text('{"state": "running"}')
    with pytest.raises(ConfigError, match="fold 0 was trained on other rows"):
        whole_run(_of_exchanged_scans(settings(*NETWORK), tmp_path), run_dir)


def test_a_run_goes_on_with_the_rows_it_was_trained_on(
    whole: Path, settings: Any, tmp_path: Path
) -> None:
    last = whole / "fold_1" / "checkpoints" / "last.ckpt"
    config = settings(*NETWORK, "split.fold=1", f"ckpt_path={last}", "trainer.max_epochs=2")
    with pytest.raises(CheckpointError, match="other rows"):
        whole_run(_of_exchanged_scans(config, tmp_path), tmp_path / "run")


def test_processes_that_others_started_are_refused(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in (("WORLD_SIZE", "2"), ("SLURM_STEP_NUM_TASKS", "4"), ("RANK", "1")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(ConfigError, match="is started once"):
                whole_run(settings(*NETWORK), tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_report_is_made_again_from_the_folder(whole: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", str(whole), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "fold 0, train" in page
    assert "trainable parameters" in page


def test_the_cards_are_those_of_all_folds(whole: Path, tmp_path: Path) -> None:
    items = {item.number: item for item in claim_sheet(read_run(whole))}
    assert [n for n, item in items.items() if item.status == "missing"] == [31]
    assert "2 folds" in items[20].answer[0]
    hashes = [Split.load(whole / f"fold_{k}" / "split.json").hash for k in (0, 1)]
    assert [h for h in hashes if any(h in line for line in items[20].answer)] == hashes
    assert "Number of models: 2, one per fold, trained alike." in items[25].answer
    other = tmp_path / "run"
    shutil.copytree(whole, other)
    shutil.copy(whole / "fold_1" / "split.json", other / "fold_0" / "split.json")
    with pytest.raises(CheckpointError, match="different runs"):
        read_run(other)


def test_heatmaps_are_those_of_a_fold(whole: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["explain", str(whole), "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "fold_0" in done.output


def test_folds_side_by_side_give_the_same(settings: Any, tmp_path: Path) -> None:
    model = ("model=svm", "model.calibration.folds=2", "split.n_folds=3")
    values = [
        whole_run(settings(*model, f"cross_validation.n_jobs={n_jobs}"), tmp_path / str(n_jobs))
        for n_jobs in (1, 2)
    ]
    pd.testing.assert_series_equal(_scores(tmp_path / "1"), _scores(tmp_path / "2"))
    assert values[0] == values[1]
    assert "Training ended" in (tmp_path / "2" / "fold_2" / "train.log").read_text()


@pytest.mark.parametrize(
    ("available", "peak", "n_jobs", "started"),
    [
        (None, 10**9, 8, 8),
        (16 * 10**9, 10**9, 8, 8),
        (4 * 10**9, 10**9, 8, 4),
        (10**8, 10**9, 8, 1),
    ],
)
def test_no_more_folds_are_started_than_there_is_memory_for(
    available: int | None, peak: int, n_jobs: int, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_validation, "available_memory", lambda: available)
    assert cross_validation._as_memory_allows(n_jobs, peak) == started


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["split.n_folds=1"], "needs a split with a number of folds, not 1"),
        (["ckpt_path=last.ckpt"], r"goes on in its own folder.*hydra\.run\.dir"),
        (["trainer.accelerator=gpu", "cross_validation.n_jobs=2"], "would share the GPU"),
        (["cross_validation.n_jobs=0"], "n_jobs: must be a whole number other than 0"),
        (["cross_validation.n_jobs=100000"], "n_jobs: must be at most"),
    ],
)
def test_what_cannot_be_cross_validated_is_said_first(
    overrides: list[str], message: str, settings: Any, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        whole_run(settings(*NETWORK, *overrides), tmp_path)
    assert not list(tmp_path.iterdir())
