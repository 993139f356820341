"""What a run cannot do is said before the scans are prepared, and the mend that is named works."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import pytorch_lightning as pl
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from typer.testing import CliRunner

import covidlit.datamodules.volume_datamodule as volumes
from covidlit.baselines.runner import ClassicalRunner
from covidlit.cli.app import app
from covidlit.cli.train import whole_run
from covidlit.cohort.manifest import read_manifest
from covidlit.deploy.predict import predict
from covidlit.errors import CovidlitError
from covidlit.settings.tree import config_dir

pytestmark = pytest.mark.slow

Start = Callable[..., None]
Write = Callable[[pd.DataFrame], list[str]]


class TrainedError(Exception):
    """Stands for days of training."""


class PreparedError(Exception):
    """Stands for hours of preparation."""


@pytest.fixture
def start(tiny_overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts a run that ends where its training would begin."""

    def fit(*_: object, **__: object) -> None:
        raise TrainedError

    def run(*overrides: str) -> None:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            config = compose("train", [*tiny_overrides, "name=test", *overrides])
        resolved: Any = OmegaConf.to_container(config, resolve=True)
        folder = tmp_path / "run"
        shutil.rmtree(folder, ignore_errors=True)
        whole_run(resolved, folder)

    monkeypatch.setattr(pl.Trainer, "fit", fit)
    monkeypatch.setattr(ClassicalRunner, "_fit_estimator", fit)
    return run


@pytest.fixture
def table(tiny_data: Path) -> pd.DataFrame:
    """The tiny manifest; all of centre 4 is the test part, two covid and two np validate."""
    path = Path((tiny_data / "manifest_path").read_text())
    table = pd.read_csv(path, dtype={"patient_id": str})
    table["path"] = [str(path.parent / name) for name in table["path"]]
    table["split"] = table["centre"].map({"centre_4": "test"}).fillna("train")
    for name in ("covid", "np"):
        rows = table.index[(table["class_name"] == name) & (table["split"] == "train")][:2]
        table.loc[rows, "split"] = "validation"
    return table


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Overrides that train on a table, whose column `split` is the split."""

    def written(table: pd.DataFrame) -> list[str]:
        table.to_csv(tmp_path / "m.csv", index=False)
        return [f"data.source.path={tmp_path / 'm.csv'}", "split=column"]

    return written


def _unprepared(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(*_: object, **__: object) -> None:
        raise PreparedError

    monkeypatch.setattr(volumes, "prepare_cohort", prepare)


def _refused(start: Start, overrides: list[str]) -> CovidlitError:
    with pytest.raises(CovidlitError) as refused:
        start(*overrides)
    assert refused.value.fix
    return refused.value


def _settings(error: CovidlitError) -> list[str]:
    """Each setting that an error suggests."""
    found = re.findall(r"[a-z_]+(?:\.[a-z_]+)*=(?:\[[^\]]*\]|[\w.]*\w)", error.fix or "")
    assert found, error
    return list(found)


def _few_covid(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """Only so many covid patients are left to train on."""
    covid = table.index[(table["class_name"] == "covid") & (table["split"] == "train")]
    return table.drop(covid[n:])


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize(
    "model",
    [["model=svm"], ["model=random_forest", "model.calibration={method: sigmoid, folds: 9}"]],
)
def test_calibration_folds_are_named_from_the_rarest_class_before_the_preparation(
    n: int,
    model: list[str],
    table: pd.DataFrame,
    write: Write,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    overrides = [*write(_few_covid(table, n)), *model]
    with monkeypatch.context() as unprepared:
        _unprepared(unprepared)
        error = _refused(start, overrides)
    assert f"target 1 has {n}" in error.what
    assert error.fix == f"use model.calibration.folds={n}."
    with pytest.raises(TrainedError):
        start(*overrides, *_settings(error))


def test_where_no_folds_work_a_model_that_needs_none_is_named(
    table: pd.DataFrame, write: Write, start: Start
) -> None:
    overrides = write(_few_covid(table, 1))
    error = _refused(start, [*overrides, "model=svm"])
    assert _settings(error) == ["model=random_forest"]
    with pytest.raises(TrainedError):
        start(*overrides, *_settings(error))


def test_folds_of_a_search_that_work_are_named(
    table: pd.DataFrame, write: Write, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [*write(_few_covid(table, 4)), "model=random_forest", "model.tune=true"]
    overrides += ["model.search.grid={min_samples_leaf: [1]}", "model.classifier.n_estimators=2"]
    with monkeypatch.context() as unprepared:
        _unprepared(unprepared)
        error = _refused(start, overrides)
    assert len(_settings(error)) == 2
    with pytest.raises(TrainedError):
        start(*overrides, *_settings(error))


@pytest.mark.parametrize("split", [["split=centre_held_out"], ["split=k_fold", "split.n_folds=4"]])
@pytest.mark.parametrize(
    "follows",
    [
        ["model=resnet3d"],
        [
            "model=resnet3d", "callbacks=last_epoch",
            "model.task.scheduler={_target_: torch.optim.lr_scheduler.ReduceLROnPlateau}",
        ],
    ],
)  # fmt: skip
def test_what_follows_validation_scores_needs_some(
    split: list[str], follows: list[str], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [*split, *follows, "split.validation_fraction=0", "model.task.net.norm=group"]
    with monkeypatch.context() as unprepared:
        _unprepared(unprepared)
        error = _refused(start, overrides)
    ways = _settings(error)
    assert ways[0].startswith("split.validation_fraction=0.")
    assert len(ways) == 2
    for way in ways:
        with pytest.raises(TrainedError):
            start(*overrides, way)


def test_of_a_split_by_column_the_column_is_named(
    table: pd.DataFrame, write: Write, start: Start
) -> None:
    none = table.assign(split=table["split"].replace("validation", "train"))
    error = _refused(start, write(none))
    assert "validation_fraction" not in str(error)
    assert "write validation into the column split" in str(error)
    with pytest.raises(TrainedError):
        start(*write(none), *_settings(error))
    with pytest.raises(TrainedError):
        start(*write(table))


def test_a_part_without_a_class_is_warned_of_before_the_preparation(
    table: pd.DataFrame,
    write: Write,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    only = table[(table["split"] != "test") | (table["class_name"] != "covid")]
    overrides = [*write(only), "model=random_forest"]
    _unprepared(monkeypatch)
    with caplog.at_level(logging.WARNING), pytest.raises(PreparedError):
        start(*overrides)
    said = [r.getMessage() for r in caplog.records if "test part has no scan" in r.getMessage()]
    assert len(said) == 1
    assert "target 1 (covid)" in said[0]
    caplog.clear()
    with caplog.at_level(logging.WARNING), pytest.raises(PreparedError):
        start(*write(table), "model=random_forest")
    assert "has no scan" not in caplog.text


@pytest.mark.parametrize("net", ["csacnet", "resnet3d"])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_a_batch_that_a_norm_cannot_learn_from_is_named_with_knobs_that_train(
    net: str, norm: str, table: pd.DataFrame, write: Write, start: Start
) -> None:
    # 11 training scans in batches of 5 leave one; at 8 voxels the last features are one voxel.
    keep = table[table["split"] == "train"].groupby("class_name").head(4).index[:11]
    few = pd.concat([table.loc[keep], table[table["split"] != "train"]])
    few = few[~few["scan_id"].duplicated()]
    n = int((few["split"] == "train").sum())
    overrides = [*write(few), f"model={net}", f"model.task.net.norm={norm}"]
    overrides += ["data.geometry.size=[8,8,8]", f"data.batch_size={n - 1}"]
    error = _refused(start, overrides)
    ways = _settings(error)
    assert "model.task.net.norm=group" in ways
    if norm == "batch":
        assert {"data.drop_last=true"} < set(ways)
        assert len([way for way in ways if way.startswith("data.batch_size=")]) == 1
    for way in ways:
        if way == "model.task.net.norm=batch":
            continue  # of the size alone: a last batch of one is a second thing, said then
        with pytest.raises(TrainedError):
            start(*overrides, way)


def test_a_cut_off_batch_that_is_the_only_one_is_refused(
    table: pd.DataFrame, write: Write, start: Start
) -> None:
    overrides = [*write(table), "model=resnet3d", "data.drop_last=true", "data.batch_size=500"]
    error = _refused(start, overrides)
    assert "data.drop_last" in str(error)
    for way in _settings(error):
        with pytest.raises(TrainedError):
            start(*overrides, way)


def test_training_on_one_class_names_a_split_that_has_both(
    table: pd.DataFrame, write: Write, start: Start
) -> None:
    path = write(table)[0]
    covid = table.loc[table["class_name"] == "covid", "centre"].unique()
    held = ["split=centre_held_out", f"split.test_centres=[{','.join(covid)}]"]
    overrides = [path, "model=random_forest", "split.validation_fraction=0"]
    error = _refused(start, [*held, *overrides])
    with pytest.raises(TrainedError):
        start(*held, *overrides, _settings(error)[0])


def _command(*arguments: object) -> str:
    result = CliRunner(env={"COLUMNS": "300"}).invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def cohort(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny cohort's DICOM files and labels; one series lacks a slice."""
    folder = tmp_path_factory.mktemp("cohort")
    root = Path((tiny_data / "manifest_path").read_text()).parent
    shutil.copytree(root / "dicom", folder / "dicom")
    shutil.copy(root / "labels.csv", folder / "labels.csv")
    series = sorted(path for path in folder.rglob("*") if path.is_dir())[-1]
    files = sorted(series.iterdir())
    files[len(files) // 2].unlink()
    return folder


def _manifest(cohort: Path, out: Path, *options: object) -> str:
    labels = cohort / "labels.csv"
    return _command("manifest", cohort / "dicom", "--labels", labels, "--out", out, *options)


def test_what_the_manifest_was_told_is_not_asked_for_again(
    cohort: Path, tiny_data: Path, tmp_path: Path, train: Callable[..., Path]
) -> None:
    plain, told = tmp_path / "plain.csv", tmp_path / "told.csv"
    _manifest(cohort, plain)
    assert (read_manifest(plain)["status"] == "refused").sum() == 1
    _manifest(cohort, told, "--override", "missing_slice", "--label-rule", "by-class")
    table = read_manifest(told)
    assert (table["status"] == "ok").all()

    run = train(f"data.source.path={told}", "model=random_forest", "cards=true")
    record = json.loads((run / "cohort.json").read_text())
    assert record["checks"]["override"] == ["missing_slice"]
    assert record["checks"]["of_manifest"] == ["missing_slice"]
    assert not any(record["refused"].values())
    assert record["label_rules"] == {"by_class: covid": len(table)}
    claim = (run / "claim.csv").read_text()
    assert "Checks of the scans switched off: missing_slice." in claim
    assert "Switched off as the manifest was made: missing_slice." in claim
    assert "by the label rule by_class (covid)" in claim
    scored = pd.read_parquet(run / "predictions.parquet")
    assert not {"label_rule", "checks_changed"} & {*scored.columns}

    scores = predict(run, told)
    assert (scores["status"] == "ok").all()

    # And without being told, the run refuses the scan, and says that nothing was switched off.
    columns = ["checks_changed", "label_rule"]
    table.drop(columns=columns).to_csv(tmp_path / "untold.csv", index=False)
    run = train(f"data.source.path={tmp_path / 'untold.csv'}", "model=random_forest")
    record = json.loads((run / "cohort.json").read_text())
    assert sum(sum(reasons.values()) for reasons in record["refused"].values()) == 1
    assert record["checks"]["override"] == []


def test_the_rule_that_keeps_the_positive_scans_is_named_and_works(
    cohort: Path, tmp_path: Path, start: Start
) -> None:
    labels = pd.read_csv(cohort / "labels.csv").drop(columns=["rtpcr_initial", "rtpcr_round"])
    labels["acquisition_date"] = "2019-05-01"
    folder = tmp_path / "untested"
    folder.mkdir()
    labels.to_csv(folder / "labels.csv", index=False)
    (folder / "dicom").symlink_to(cohort / "dicom")
    said = _manifest(folder, tmp_path / "zeros.csv")
    assert "cannot be trained on" in said
    assert "covidlit manifest --label-rule by-class" in said
    _manifest(folder, tmp_path / "both.csv", "--label-rule", "by-class")
    assert set(read_manifest(tmp_path / "both.csv")["target"]) == {0, 1}

    unlabelled = tmp_path / "unlabelled.csv"
    _manifest(folder, unlabelled, "--label-rule", "none")
    overrides = [f"data.source.path={unlabelled}", "model=random_forest"]
    for rule in ("label_rule=paper", "label_rule=manifest"):
        error = _refused(start, [*overrides, rule])
        assert "label_rule=by_class" in _settings(error)
        with pytest.raises(TrainedError):
            start(*overrides, "label_rule=by_class")
