"""A segmentation of slices as a whole run: train.py's way, folds, sweeps, stops and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from segmentation_log import check_logged
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cli.train import whole_run
from covidlit.cohort.splits import Split
from covidlit.errors import ConfigError
from covidlit.evaluation.segmentation import evaluate_segmentation, read_segmentation_tables
from covidlit.evaluation.segmentation.overlap import LESION
from covidlit.runs.outcomes.segmentation import Segmentation
from covidlit.settings.tree import config_dir
from covidlit.tasks.load import load_task

Run = Callable[..., Path]


@pytest.fixture(scope="module")
def finished(train_on_slices: Run) -> Path:
    return train_on_slices("model=maskrcnn_small", "trainer.max_epochs=2")


def composed(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", ["name=test", *overrides])
    found = OmegaConf.to_container(config, resolve=True)
    assert isinstance(found, dict)
    return {str(name): value for name, value in found.items()}


def test_a_run_leaves_tables_metrics_report_and_checkpoint(finished: Path) -> None:
    split = Split.load(finished / "split.json")
    tables = read_segmentation_tables(finished)
    slices = tables["slices"]
    assert set(slices["slice_id"]) == {*split.scans("validation"), *split.scans("test")}
    assert set(slices.loc[slices["part"] == "test", "slice_id"]) == set(split.scans("test"))
    objects = tables["objects"]
    assert set(objects["class_name"]) == {"lung", "lesion"}
    # The second slice of every patient has no lesion, and each has two lungs.
    lesions = objects[objects["class_name"] == "lesion"]
    assert set(lesions["slice_id"].str[-1]) == {"0"}
    assert (objects[objects["class_name"] == "lung"].groupby("slice_id").size() == 2).all()
    metrics = json.loads((finished / "metrics.json").read_text())
    again = evaluate_segmentation(tables, n_bootstrap=100).metrics
    assert metrics["parts"]["test"]["overlap"] == again["parts"]["test"]["overlap"]
    assert metrics["record"]["split_hash"] == split.hash
    page = (finished / "report.html").read_text()
    assert split.hash in page
    for said in ("data:image/png;base64", "Median:", "with a lesion", "torch.optim.AdamW"):
        assert said in page, said
    logged = pd.read_csv(finished / "logs" / "metrics.csv")
    assert {"val_dice", "val_dice_lung", "val_map_box", "val_map_mask", "val_sensitivity",
            "train_loss", "train_loss_mask", "val_loss"} <= set(logged)  # fmt: skip


def test_the_checkpoint_knows_classes_anchors_and_how_slices_are_prepared(finished: Path) -> None:
    content = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)
    record = content["covidlit"]["record"]
    assert record["preprocess"]["kind"] == "slices"
    assert record["preprocess"]["classes"] == ["lung", "lesion"]
    net = content["hyper_parameters"]["net"]
    assert record["config"]["model"]["task"]["net"]["anchor_sizes"] == net["anchor_sizes"]
    fit = record["config"]["model"]["task"]["anchor_fit"]
    assert fit["anchors fit to objects"] > 40
    assert 0.5 < fit["mean overlap of an object with its best anchor"] <= 1
    assert "objects whose best anchor overlaps by half" in (finished / "report.html").read_text()
    sizes = np.ravel(net["anchor_sizes"])
    boxes = read_segmentation_tables(finished)["objects"]
    true = np.sqrt((boxes["x1"] - boxes["x0"]) * (boxes["y1"] - boxes["y0"]))
    assert sizes.min() == pytest.approx(true.min(), rel=0.4)
    assert sizes.max() == pytest.approx(true.max(), rel=0.2)
    task = load_task(finished / "checkpoints" / "best.ckpt")
    assert task.classes == ["lung", "lesion"]


def test_what_a_sweep_sees_is_the_validation_dice_that_chose_the_checkpoint(finished: Path) -> None:
    value = Segmentation().value(read_segmentation_tables(finished))
    logged = pd.read_csv(finished / "logs" / "metrics.csv")["val_dice"].dropna()
    assert value == pytest.approx(logged.max(), abs=1e-4)


def test_each_epoch_is_measured_as_the_report_measures(finished: Path) -> None:
    check_logged(finished)


def test_pictures_have_no_volume_in_millilitres(finished: Path) -> None:
    slices = read_segmentation_tables(finished)["slices"]
    assert slices.get("voxel_ml", pd.Series(dtype=float)).isna().all()


def test_all_folds_in_one_run(train_on_slices: Run) -> None:
    run_dir = train_on_slices(
        "model=maskrcnn_small", "split.fold=all", "split.n_folds=2", "callbacks=last_epoch"
    )
    slices = read_segmentation_tables(run_dir)["slices"]
    tested = slices[slices["part"] == "test"]
    assert sorted(tested["slice_id"]) == sorted(set(tested["slice_id"]))
    assert len(tested) == 40
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert metrics["run"]["folds"] == [0, 1]
    assert metrics["parts"]["test"]["n_patients"] == 20
    assert metrics["parts"]["test"]["overlap"][LESION]["dice"]["n"] == 40


def test_a_stopped_run_goes_on_to_the_same_end(
    slice_overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = ["model=maskrcnn_small", *slice_overrides, "trainer.max_epochs=2"]
    whole_run(composed(*overrides), tmp_path / "whole")
    with monkeypatch.context() as patched:
        from covidlit.tasks import LesionSegmentation

        own = LesionSegmentation.training_step

        def stop(self: Any, batch: Any, batch_idx: int) -> Any:
            if self.current_epoch == 1:
                raise RuntimeError("stopped")
            return own(self, batch, batch_idx)

        patched.setattr(LesionSegmentation, "training_step", stop)
        with pytest.raises(RuntimeError, match="stopped"):
            whole_run(composed(*overrides), tmp_path / "stopped")
    whole_run(composed(*overrides), tmp_path / "stopped")
    ends = [
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "stopped")
    ]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["evaluation.operating_point=0.5"], "a segmentation has no operating point"),
        (["+evaluation.hit_overlap=1.5"], "evaluation.hit_overlap: must lie between"),
        (["evaluation.n_bootstrap=3"], "evaluation.n_bootstrap"),
        (["cards=true"], "set cards=false"),
        (["split.validation_fraction=0"], "validation part has no slice"),
        (["model.task.classes=[lung]"], "the data have the classes lung, lesion"),
    ],
)
def test_what_cannot_be_is_refused_before_the_training(
    overrides: list[str], said: str, slice_overrides: list[str], tmp_path: Path
) -> None:
    config = composed("model=maskrcnn_small", *slice_overrides, *overrides)
    with pytest.raises(ConfigError, match=said):
        whole_run(config, tmp_path)


def test_a_segmentation_of_volumes_is_refused(tiny_overrides: list[str], tmp_path: Path) -> None:
    config = composed("model=maskrcnn_small", *tiny_overrides)
    with pytest.raises(ConfigError, match=r"'slices', and the data are of the kind 'volume'"):
        whole_run(config, tmp_path)


def test_the_report_is_made_again_from_the_folder_of_a_run(finished: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", str(finished), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    first, again = (
        json.loads((folder / "metrics.json").read_text()) for folder in (finished, tmp_path)
    )
    assert again["parts"] == first["parts"]
    page = (tmp_path / "report.html").read_text()
    assert "Worst:" in page
    assert "evaluated by" in page
    options = ["--operating-point", "0.5", "--out", str(tmp_path)]
    refused = CliRunner().invoke(app, ["evaluate", str(finished), *options])
    assert refused.exit_code != 0


def test_the_configuration_of_a_run_says_what_was_asked_for(finished: Path) -> None:
    config = yaml.safe_load((finished / "config.yaml").read_text())
    assert config["model"]["task"]["anchors"] == "fit"
