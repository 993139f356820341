"""Runs of the fusion network: alone, in all folds at once, gone on with, and loaded again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.deploy.tables.all_folds import load_all_folds
from covidlit.deploy.tables.model import load_table_model
from covidlit.deploy.tables.predict_rows import predict_rows
from covidlit.errors import ConfigError
from covidlit.evaluation.predictions import read_predictions
from covidlit.tasks.load import load_task

pytestmark = pytest.mark.slow
Run = Callable[..., Path]
SMALL = ["trainer.max_epochs=3", "model.task.net.members=2", "model.task.net.hidden=[8]"]
FOLDS = ["split.fold=all", *SMALL]


def scores(folder: Path) -> pd.DataFrame:
    return read_predictions(folder / "predictions.parquet").set_index(["fold", "part", "scan_id"])


def test_a_run_leaves_all_that_a_run_leaves_and_its_checkpoint_is_plain(factor_run: Run) -> None:
    folder = factor_run("fusion_ann", "cards=true", "model.task.k_best=5", *SMALL)
    assert (folder / "report.html").is_file()
    assert (folder / "model_card.md").is_file()
    assert (folder / "logs" / "metrics.csv").is_file()
    path = folder / "checkpoints" / "last.ckpt"
    kept = torch.load(path, weights_only=True)
    settings = kept["hyper_parameters"]["preparation"]
    assert len(settings["names"]) == 5
    assert json.loads(json.dumps(settings)) == settings
    split = json.loads((folder / "split.json").read_text())
    assert kept["covidlit"]["record"]["split_hash"] == split["hash"]
    people = set(split["parts"])
    assert not any(name in json.dumps(settings) for name in people)
    task = load_task(path)
    own = torch.full((1, len(kept["hyper_parameters"]["columns"])), float("nan"))
    assert 0 < float(task.scores(task(own)).detach()) < 1  # a patient of whom nothing is known


def test_a_run_scores_new_factors_as_its_own_and_says_what_it_looks_at(factor_run: Run) -> None:
    folder = factor_run("fusion_ann", *SMALL)
    found = pd.read_csv(folder / "importance.csv")
    assert found["auc_drop"].is_monotonic_decreasing
    assert (found["low"] <= found["high"]).all()
    assert (folder / "importance.png").is_file()
    assert "Importance of features" in (folder / "report.html").read_text()
    measured = next(folder.parent.rglob("factors.*"))
    own = read_predictions(folder / "predictions.parquet").set_index("scan_id")["score"]
    scored = predict_rows(load_table_model(folder), measured, checkpoint=folder).table
    again = scored.set_index("scan_id")["score"].loc[own.index]
    np.testing.assert_allclose(again, own, atol=1e-5)
    assert scored["notes"].str.contains("in the training part").any()


def test_a_report_made_again_has_the_same_importance(factor_run: Run, tmp_path: Path) -> None:
    folder = factor_run("fusion_ann", "model.task.net.attention=true", *SMALL)
    command = ["evaluate", str(folder), "--out", str(tmp_path)]
    made = CliRunner().invoke(app, command)
    assert made.exit_code == 0, made.output
    sections = [
        (place / "report.html").read_text().partition('<section id="importance">')[2]
        for place in (folder, tmp_path)
    ]
    first, again = (section.partition("</section>")[0] for section in sections)
    assert "Spearman correlation" in first
    assert again == first


def test_folds_trained_as_one_are_those_trained_one_by_one(factor_run: Run) -> None:
    together = factor_run("fusion_ann", *FOLDS, name="together")
    alone = factor_run("fusion_ann", *FOLDS, "cross_validation.together=false", name="alone")
    one, other = scores(together), scores(alone)
    assert one.index.equals(other.index)
    np.testing.assert_allclose(one["score"], other["score"], atol=1e-5)
    assert one["score"].nunique() > 50
    measured = next(together.parent.rglob("factors.*"))
    scored = predict_rows(load_all_folds(together), measured).table
    assert scored["status"].eq("ok").all()
    assert scored["notes"].str.contains("2 of the 3 folds' models have learnt from it").all()
    for fold in range(3):
        assert (together / f"fold_{fold}" / "checkpoints" / "last.ckpt").is_file()


def test_a_callback_that_changes_the_training_is_not_passed_over(factor_run: Run) -> None:
    stop = "{_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: val_loss, patience: 0}"
    slow = ["model.task.optimizer.lr=1.0", "trainer.max_epochs=20"]
    folder = factor_run("fusion_ann", *FOLDS, *slow, f"+callbacks.early={stop}")
    path = folder / "fold_0" / "checkpoints" / "last.ckpt"
    assert torch.load(path, weights_only=True)["epoch"] < 19


def test_finished_folds_are_kept(factor_run: Run) -> None:
    folder = factor_run("fusion_ann", *FOLDS)
    first = scores(folder)
    kept = (folder / "fold_0" / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    for name in ("run.json", "report.html", "predictions.parquet"):
        (folder / name).unlink()
    (folder / "run.json").write_text(json.dumps({"state": "stopped"}))
    (folder / "fold_1" / "run.json").write_text(json.dumps({"state": "stopped"}))
    again = scores(factor_run("fusion_ann", *FOLDS))
    pd.testing.assert_series_equal(first["score"], again["score"], atol=1e-5)
    assert (folder / "fold_0" / "checkpoints" / "last.ckpt").stat().st_mtime_ns == kept


def test_other_data_and_more_classes_are_refused(factor_run: Run) -> None:
    with pytest.raises(ConfigError, match="two classes"):
        factor_run("fusion_ann", "label_rule=multi_class", *SMALL)
    with pytest.raises(ConfigError, match="no feature or group of features"):
        factor_run("fusion_ann", "model.task.features=[volume]", *SMALL, name="other")


def test_tabm_learns_on_the_folds_and_features_of_the_fusion_network(factor_run: Run) -> None:
    pytest.importorskip("tabm")
    small = ["trainer.max_epochs=3", "model.task.net.d_block=8", "model.task.net.members=4"]
    folder = factor_run("tabm", "split.fold=all", *small)
    network = factor_run("fusion_ann", *FOLDS, name="network")
    assert scores(folder).index.equals(scores(network).index)
    assert set(read_predictions(folder / "predictions.parquet")["model"]) == {"tabm"}
    kept = [
        torch.load(run / "fold_1" / "checkpoints" / "last.ckpt", weights_only=True)
        for run in (folder, network)
    ]
    own, other = (each["hyper_parameters"]["preparation"] for each in kept)
    assert own == other  # fitted on the same training rows
    fold = folder / "fold_1"
    own_scores = read_predictions(fold / "predictions.parquet").set_index("scan_id")["score"]
    measured = next(folder.parent.rglob("factors.*"))
    scored = predict_rows(load_table_model(fold), measured).table.set_index("scan_id")
    np.testing.assert_allclose(scored.loc[own_scores.index, "score"], own_scores, atol=1e-5)
    assert (scored["score_low"] < scored["score_high"]).any()
