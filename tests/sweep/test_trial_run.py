"""A trial reports, is pruned, and never sees a test scan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sweep_study import NARROW, Sweep

from covidlit.cohort import Split
from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.errors import ConfigError, SplitError, TrainingError
from covidlit.evaluation import read_predictions
from covidlit.runs.steps import train_and_evaluate

Compose = Callable[..., dict[str, Any]]
CSACNET = ["model=csacnet", *NARROW]
HARSH = {"_target_": "optuna.pruners.ThresholdPruner", "lower": 2.0, "n_warmup_steps": 1}
"""Prunes every trial at its second step: no AUC is above 1."""


def scikit_auc(table: pd.DataFrame) -> float:
    return float(roc_auc_score(table["target"].astype(int), table["score"]))


def test_a_trial_is_worth_what_the_whole_run_says_of_its_validation(
    config: Compose, sweep: Sweep, tmp_path: Path
) -> None:
    settings = config(*CSACNET, "trainer.max_epochs=2")
    (tmp_path / "whole").mkdir()
    whole = train_and_evaluate(settings, tmp_path / "whole")
    gone = _without_test_scans(settings, tmp_path / "without")
    value, folder = sweep.run(gone)
    assert value == pytest.approx(whole, abs=1e-9)
    predictions = read_predictions(folder / "predictions.parquet")
    assert set(predictions["part"]) == {"validation"}
    assert scikit_auc(predictions) == pytest.approx(value)
    split = Split.load(folder / "split.json")
    prepared = json.dumps(sorted(p.stem for p in (tmp_path / "cache").rglob("*.json")))
    assert len(list((tmp_path / "cache" / "volumes").rglob("*.npy"))) == len(split.parts), prepared
    assert not split.scans("test")
    assert not (folder / "report.html").exists()
    assert list(sweep.newest().intermediate_values) == [0, 1]
    assert sweep.newest().user_attrs["epochs"] == 2


def _without_test_scans(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same configuration, nothing prepared yet, where the test scans lead nowhere."""
    manifest = read_manifest(settings["data"]["source"]["path"])
    test = manifest["centre"] == "centre_4"
    assert test.sum() > 5
    manifest["path"] = np.where(test, str(folder / "nothing.nii"), manifest["path"])
    folder.mkdir()
    path = write_manifest(manifest, folder / "manifest.csv")
    source = {**settings["data"]["source"], "path": str(path)}
    cache = str(folder.parent / "cache")
    return {**settings, "data": {**settings["data"], "source": source, "cache_dir": cache}}


def test_a_pruned_trial_ends_in_order(
    config: Compose, sweep: Sweep, caplog: pytest.LogCaptureFixture
) -> None:
    settings = config(*CSACNET, "trainer.max_epochs=5")
    with caplog.at_level("INFO"), pytest.raises(optuna.TrialPruned, match="after 2 of 5 epochs"):
        sweep.run(settings, pruner=HARSH)
    folder = sweep.folder / "trial_0"
    said = [line for line in caplog.messages if "is pruned" in line]
    assert len(said) == 1
    assert "ThresholdPruner" in said[0]
    assert "are those of" not in caplog.text
    curve = pd.read_csv(folder / "logs" / "metrics.csv").groupby("epoch").last()
    reported = sweep.newest().intermediate_values
    assert list(reported) == [0, 1] == list(curve.index)
    assert list(reported.values()) == pytest.approx(curve["val_auroc"].tolist(), abs=1e-6)
    assert curve["train_loss"].notna().all()
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 1
    assert (folder / "config.yaml").is_file()
    assert not list(folder.rglob("*.part*"))
    assert sweep.newest().user_attrs["epochs"] == 2
    assert sweep.study.user_attrs["metric"] == "val_auroc"


def test_the_last_epoch_is_not_pruned(
    config: Compose, sweep: Sweep, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        value, folder = sweep.run(config(*CSACNET, "trainer.max_epochs=2"), pruner=HARSH)
    assert 0 <= value <= 1
    assert (
        f"The scores of the part 'validation' are those of {folder / 'checkpoints'}" in caplog.text
    )
    assert "  test: left out" in caplog.text


def test_the_objective_of_folds_is_their_mean(config: Compose, sweep: Sweep) -> None:
    settings = config("model=random_forest", "model.classifier.n_estimators=20")
    value, folder = sweep.run(settings, folds=3)
    table = read_predictions(folder / "predictions.parquet")
    aucs = [scikit_auc(rows) for _, rows in table.groupby("fold")]
    assert len(aucs) == 3
    assert value == pytest.approx(np.mean(aucs))
    running = np.cumsum(aucs) / [1, 2, 3]
    assert list(sweep.newest().intermediate_values.values()) == pytest.approx(running.tolist())
    assert table["scan_id"].is_unique
    assert table.groupby("patient_id")["fold"].nunique().max() == 1
    manifest = read_manifest(settings["data"]["source"]["path"])
    outside = manifest.loc[manifest["centre"] != "centre_4", "scan_id"]
    assert set(table["scan_id"]) == set(outside)
    for fold in range(3):
        own = Split.load(folder / f"fold_{fold}" / "split.json")
        assert set(own.scans("validation")) == set(table.loc[table["fold"] == fold, "scan_id"])


def test_a_trial_is_pruned_between_folds(config: Compose, sweep: Sweep) -> None:
    settings = config("model=random_forest", "model.classifier.n_estimators=5")
    with pytest.raises(optuna.TrialPruned, match="after 2 of 4 folds"):
        sweep.run(settings, folds=4, pruner=HARSH)
    folders = sorted(path.name for path in (sweep.folder / "trial_0").glob("fold_*"))
    assert folders == ["fold_0", "fold_1"]


@pytest.mark.parametrize(
    ("overrides", "settings", "error", "said"),
    [
        (["split.validation_fraction=0"], {}, ConfigError, "no validation part"),
        (["ckpt_path=last.ckpt"], {}, ConfigError, "ckpt_path"),
        ([], {"folds": 1}, SplitError, "1 folds cannot be made"),
        ([], {"folds": 30}, SplitError, "as many patients of each class"),
        (["model.task.optimizer.lr=1e30", "model.task.scheduler=null"], {}, TrainingError, "diver"),
    ],
    ids=["no validation", "resumed", "one fold", "too many folds", "diverged"],
)
def test_what_makes_no_sense_fails_with_its_reason(
    overrides: list[str],
    settings: dict[str, Any],
    error: type[Exception],
    said: str,
    config: Compose,
    sweep: Sweep,
) -> None:
    with pytest.raises(error, match=said):
        sweep.run(config(*CSACNET, *overrides), **settings)


def test_a_study_that_minimises_is_refused(config: Compose, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="maximize"):
        Sweep(tmp_path / "down", "minimize").run(config("model=svm"))
