"""The main job, end to end, through the real command with tiny data."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
import wandb
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from typer.testing import CliRunner

import covidlit.models
from covidlit.baselines import load_model
from covidlit.checkpoints.file import load_checkpoint
from covidlit.cli.app import app
from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.cohort.splits import Split
from covidlit.deploy.predict import predict
from covidlit.errors import ConfigError
from covidlit.evaluation import read_predictions
from covidlit.runs.steps import train_and_evaluate
from covidlit.settings.tree import config_dir
from covidlit.tasks.load import load_task

ROOT = Path(__file__).parents[2]
MODELS = sorted(path.stem for path in (config_dir() / "model").glob("*.yaml"))
OF_NUMBERS = ("cox", "fusion_ann", "tabm")
"""Take no volumes; see tests/runs/test_survival_runs.py and test_severity_runs.py."""
OF_SLICES = ("maskrcnn", "maskrcnn_small")
EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))
SMALL_NET = {
    "csacnet": ["model.task.net.width=4"],
    "densenet3d": ["model.task.net.width=4", "model.task.net.growth=2"],
    "resnet3d": ["model.task.net.depth=10", "model.task.net.width=4"],
    "random_forest": ["model.classifier.n_estimators=20"],
}
Run = Callable[..., Path]


@pytest.mark.parametrize("model", [name for name in MODELS if name not in OF_NUMBERS])
def test_every_model_trains_and_leaves_the_whole_run_folder(
    model: str, train: Run, request: pytest.FixtureRequest
) -> None:
    if model in OF_SLICES:
        _check_run_of_slices(request.getfixturevalue("train_on_slices")(f"model={model}"), model)
        return
    if model == "csacnet":
        run_dir = request.getfixturevalue("csacnet_run")
    else:
        run_dir = train(f"model={model}", "cards=true", *SMALL_NET.get(model, []))
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    assert config["model"]["name"] == model
    split = Split.load(run_dir / "split.json")
    predictions = read_predictions(run_dir / "predictions.parquet")
    assert set(predictions["part"]) == {"validation", "test"}
    assert set(predictions.loc[predictions["part"] == "test", "centre"]) == {"centre_4"}
    assert set(predictions["scan_id"]) == set(split.scans("validation")) | set(split.scans("test"))
    assert predictions["score"].between(0, 1).all()
    json.loads((run_dir / "metrics.json").read_text())
    report = (run_dir / "report.html").read_text()
    assert "synthetic" in report.lower()
    assert split.hash in report
    assert split.hash in (run_dir / "claim.html").read_text()
    assert (run_dir / "model_card.md").is_file()
    if "task" in config["model"]:
        assert (run_dir / "logs" / "metrics.csv").is_file()
        checkpoint = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
        assert checkpoint["covidlit"]["record"]["split_hash"] == split.hash
    else:
        kept = run_dir / "checkpoints" / "model.skops"
        record = load_model(kept).record
        metrics = json.loads((run_dir / "metrics.json").read_text())
        assert record.split_hash == split.hash
        assert record.operating_point == metrics["operating_points"][0]["threshold"]
        own = predictions[predictions["part"] == "test"].head(3)
        manifest = read_manifest(config["data"]["source"]["path"])
        three = manifest[manifest["scan_id"].isin(own["scan_id"])]
        again = predict(kept, write_manifest(three, run_dir / "three.csv")).set_index("scan_id")
        scores = again.loc[own["scan_id"], "score"].to_list()
        assert scores == pytest.approx(own["score"].to_list(), abs=1e-12)
        with pytest.raises(ConfigError, match="scikit-learn"):
            predict(kept, run_dir / "three.csv", engine="openvino")


def _check_run_of_slices(run_dir: Path, model: str) -> None:
    assert yaml.safe_load((run_dir / "config.yaml").read_text())["model"]["name"] == model
    split = Split.load(run_dir / "split.json")
    slices = pd.read_parquet(run_dir / "slices.parquet")
    assert set(slices["slice_id"]) == {*split.scans("validation"), *split.scans("test")}
    assert pd.read_parquet(run_dir / "detections.parquet")["score"].between(0, 1).all()
    json.loads((run_dir / "metrics.json").read_text())
    assert split.hash in (run_dir / "report.html").read_text()
    checkpoint = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["covidlit"]["record"]["split_hash"] == split.hash


def test_the_reports_tables_have_headings_of_their_own(csacnet_run: Path) -> None:
    report = (csacnet_run / "report.html").read_text()
    headings = re.findall(r"<th(?: [^>]*)?>(.*?)</th>", report)
    assert {"characteristic", "part", "class name"} <= set(headings)
    assert "index" not in headings


def test_the_report_says_how_the_network_was_trained(csacnet_run: Path) -> None:
    report = (csacnet_run / "report.html").read_text()
    for said in ("torch.optim.Adam (lr 0.001, fused True)", "torch.optim.lr_scheduler.OneCycleLR"):
        assert said in report


def test_the_operating_point_stands_with_the_weights_it_was_chosen_for(csacnet_run: Path) -> None:
    point = {
        name: load_checkpoint(csacnet_run / "checkpoints" / name)["covidlit"]["record"][
            "operating_point"
        ]
        for name in ("best.ckpt", "last.ckpt")
    }
    metrics = json.loads((csacnet_run / "metrics.json").read_text())
    assert point["best.ckpt"] == metrics["operating_points"][0]["threshold"]
    assert point["last.ckpt"] is None
    assert metrics["record"]["selected_on"] == "validation"


def test_the_last_weights_are_not_called_selected(
    train: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What Lightning writes checkpoints with: not atomic where /tmp is another file system.
    monkeypatch.delattr("lightning_fabric.plugins.io.torch_io._atomic_save")
    run_dir = train("model=csacnet", *SMALL_NET["csacnet"], "model.weights=last")
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert metrics["record"]["selected_on"] == "last epoch"


def test_one_score_per_class(train: Run) -> None:
    run_dir = train("label_rule=multi_class", "trainer.fast_dev_run=true", *SMALL_NET["csacnet"])
    table = read_predictions(run_dir / "predictions.parquet")
    classes = ["np", "cap", "covid"]
    assert [classes[target] for target in table["target"]] == table["class_name"].tolist()
    assert table["score"].equals(table["score_covid"])
    total = table[[f"score_{name}" for name in classes]].sum(axis=1)
    assert total.to_numpy() == pytest.approx(1, abs=1e-5)


def test_a_model_is_added_by_one_file_and_one_yaml(
    train: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = (ROOT / "README.md").read_text().partition("## Adding a model")[2]
    code, node = (
        block.partition("```")[0] for block in re.split(r"```(?:python|yaml)\n", recipe)[1:3]
    )
    (tmp_path / "my_net.py").write_text(code)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "my_net.yaml").write_text(node)
    # As if both files stood in covidlit/models and conf/model.
    monkeypatch.setattr(covidlit.models, "__path__", [*covidlit.models.__path__, str(tmp_path)])
    run_dir = train("model=my_net", f"hydra.searchpath=[file://{tmp_path}]")
    assert set(read_predictions(run_dir / "predictions.parquet")["model"]) == {"my_net"}
    task = load_task(run_dir / "checkpoints" / "last.ckpt")
    assert type(task.net).__module__ == "covidlit.models.my_net"


def test_a_classifier_is_added_by_one_yaml(train: Run, tmp_path: Path) -> None:
    recipe = (ROOT / "README.md").read_text().partition("Any classifier of scikit-learn")[2]
    (tmp_path / "model").mkdir()
    node = recipe.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "model" / "naive_bayes.yaml").write_text(node)
    run_dir = train("model=naive_bayes", f"hydra.searchpath=[file://{tmp_path}]")
    assert set(read_predictions(run_dir / "predictions.parquet")["model"]) == {"naive_bayes"}
    report = (run_dir / "report.html").read_text()
    assert "sklearn.naive_bayes.GaussianNB" in report
    assert "280 (histogram 26, first_order 16, texture 22, coarse 216)" in report
    assert "checkpoint selected on" not in report


def test_a_run_of_weights_and_biases_is_written_offline_and_ended(train: Run) -> None:
    run_dir = train("logger=wandb", "trainer.limit_train_batches=1", *SMALL_NET["csacnet"])
    (written,) = run_dir.glob("logs/wandb/offline-run-*/*.wandb")
    assert b"val_auroc" in written.read_bytes()
    assert wandb.run is None  # or the next job of a sweep would write into it


def test_the_folds_of_a_cross_validation_are_pooled(train: Run, tmp_path: Path) -> None:
    quick = ["split=k_fold", "split.n_folds=2", "trainer.fast_dev_run=true", *SMALL_NET["csacnet"]]
    runs = [train(*quick, f"split.fold={fold}") for fold in (0, 1)]
    arguments = ["evaluate", *map(str, runs), "--out", str(tmp_path), "--bootstrap", "100"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["run"]["folds"] == [0, 1]
    assert metrics["run"]["run_ids"] == [run.name for run in runs]
    tested = [set(Split.load(run / "split.json").scans("test")) for run in runs]
    assert metrics["parts"]["test"]["n_scans"] == len(tested[0]) + len(tested[1])
    assert len(tested[0] | tested[1]) == 40


def test_the_same_seed_gives_the_same_scores(train: Run) -> None:
    # Both in this process: another may have another number of threads, which rounds otherwise.
    first, again = (
        read_predictions(train("model=csacnet", *SMALL_NET["csacnet"]) / "predictions.parquet")
        for _ in range(2)
    )
    columns = ["scan_id", "score"]
    pd.testing.assert_frame_equal(first[columns], again[columns])


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_runs_one_step(
    experiment: str, tiny_data: Path, tiny_overrides: list[str], tmp_path: Path
) -> None:
    study = yaml.safe_load((config_dir() / "experiment" / f"{experiment}.yaml").read_text())
    overrides = [*tiny_overrides, "trainer.fast_dev_run=true", *SMALL_NET["csacnet"]]
    if {"override /data": "synthetic"} in study["defaults"]:
        overrides = [o for o in overrides if not o.startswith(("data=", "data.source.path"))]
        overrides += ["data.source.n_scans=24", "data.source.matrix=48"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", [f"experiment={experiment}", *overrides])
    train_and_evaluate(OmegaConf.to_container(config, resolve=True), tmp_path)
    assert (tmp_path / "report.html").is_file()


def test_predict_repeats_the_runs_own_test_scores(csacnet_run: Path, tiny_data: Path) -> None:
    from covidlit.deploy.predict import predict

    manifest = (tiny_data / "manifest_path").read_text()
    scores = predict(csacnet_run / "checkpoints" / "best.ckpt", manifest).set_index("scan_id")
    own = read_predictions(csacnet_run / "predictions.parquet").set_index("scan_id")
    own = own[own["part"] == "test"]
    assert len(own) > 5
    assert (scores.loc[own.index, "score"] - own["score"]).abs().max() < 1e-6


KILLED = """
import os, signal
from covidlit.checkpoints.io import RunCheckpointIO
from covidlit.cli.train import main
save = RunCheckpointIO.save_checkpoint
def killed(self, checkpoint, path, storage_options=None):
    save(self, checkpoint, path)
    if os.path.basename(path) == "last.ckpt" and checkpoint["epoch"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
RunCheckpointIO.save_checkpoint = killed
main()
"""


def _finish(overrides: list[str], run_dir: Path) -> None:
    command = [sys.executable, "train.py", *overrides, f"hydra.run.dir={run_dir}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_run_that_was_killed_and_resumed_ends_with_the_same_weights(
    tiny_overrides: list[str], tmp_path: Path
) -> None:
    overrides = [
        *tiny_overrides,
        *SMALL_NET["csacnet"],
        "trainer.max_epochs=4",
        "model.task.net.dropout=0.3",
    ]
    _finish(overrides, tmp_path / "whole")

    last = tmp_path / "killed" / "checkpoints" / "last.ckpt"
    command = [sys.executable, "-c", KILLED, *overrides, f"hydra.run.dir={tmp_path / 'killed'}"]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    assert torch.load(last, weights_only=True)["epoch"] == 1

    _finish([*overrides, f"ckpt_path={last}"], tmp_path / "resumed")
    ends = [
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "resumed")
    ]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])


def test_a_sweep_over_several_devices_is_refused(tiny_overrides: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "train.py", "-m", *tiny_overrides, "trainer=ddp", "seed=1,2"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "trainer.devices" in done.stderr


def test_selection_without_a_validation_part_is_refused(train: Run) -> None:
    from covidlit.errors import ConfigError

    with pytest.raises(ConfigError, match="callbacks=last_epoch"):
        train("split.validation_fraction=0")
