"""What may change when a run goes on, and what may not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl

from covidlit.checkpoints import check_same_run, run_record
from covidlit.errors import CheckpointError
from covidlit.tasks import VolumeClassification
from covidlit.training_settings import number_of_devices

NET = {"_target_": "covidlit.models.CSACNet3D", "width": 4, "hidden": [8, 8]}
WHOLE: dict[str, Any] = {
    "seed": 0,
    "data": {
        "geometry": {"spacing": [5.0, 1.5, 1.5], "size": [16, 32, 32]},
        "window": [-1000, 400],
        "override_checks": ["gantry_tilt"],
        "source": {"path": "manifest.csv", "n_jobs": 2},
        "batch_size": 10,
        "balanced": False,
        "num_workers": 2,
        "n_jobs": -1,
        "backend": "loky",
        "cache_dir": "cache",
    },
    "split": {"_target_": "covidlit.cohort.splits.centre_held_out", "seed": 0},
    "label_rule": {"classes": None},
    "augmentation": {"scales": [0.9, 1.1], "degrees": 15},
    "model": {"name": "csacnet", "weights": "best", "task": {"loss": "bce", "scheduler": None}},
    "trainer": {
        "max_epochs": 3,
        "devices": 1,
        "accumulate_grad_batches": 1,
        "precision": "32-true",
        "num_nodes": 1,
    },
}


def make_task() -> VolumeClassification:
    return VolumeClassification(net=NET)


def _with(dotted: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(WHOLE)
    *way, last = dotted.split(".")
    node = config
    for name in way:
        node = node[name]
    node[last] = value
    return run_record(config, split_hash="abc")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    task = make_task()
    task.record = run_record(WHOLE, split_hash="abc")
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_model_summary=False)
    trainer.strategy.connect(task)
    trainer.save_checkpoint(tmp_path / "whole.ckpt")
    return tmp_path / "whole.ckpt"


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("data.batch_size", 4, "data.batch_size was 10 and is 4 now"),
        ("data.balanced", "class", "data.balanced was False and is 'class' now"),
        ("data.drop_last", True, "data.drop_last was None and is True now"),
        ("model.task.loss", "focal", "model.task.loss was 'bce' and is 'focal' now"),
        ("model.task.label_smoothing", 0.1, "model.task.label_smoothing"),
        ("augmentation", None, "augmentation.scales was .*; augmentation.degrees was 15 and is"),
        ("augmentation.degrees", 5, "augmentation.degrees was 15 and is 5 now"),
        ("label_rule", {"_target_": "covidlit.cohort.label_rule.LabelRule"}, "label_rule._target_"),
        ("split.seed", 1, "split.seed was 0 and is 1 now"),
        ("seed", 1, "seed was 0 and is 1 now"),
        ("trainer.accumulate_grad_batches", 8, "trainer.accumulate_grad_batches was 1 and is 8"),
        ("trainer.precision", "bf16-mixed", "trainer.precision was '32-true' and is 'bf16-mixed'"),
        ("trainer.devices", 4, "trainer.devices was 1 and is 4 now"),
        ("trainer.devices", [0, 1], "trainer.devices was 1 and is 2 now"),
        ("trainer.num_nodes", 2, "trainer.num_nodes was 1 and is 2 now"),
    ],
)
def test_a_changed_setting_of_the_training_is_named(
    setting: str, value: Any, named: str, whole: Path
) -> None:
    with pytest.raises(CheckpointError, match=f"cannot go on from this checkpoint: {named}"):
        check_same_run(whole, make_task(), _with(setting, value))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("data.num_workers", 8),
        ("data.n_jobs", 1),
        ("data.backend", "dask"),
        ("data.cache_dir", "/elsewhere"),
        ("data.source", {"path": "/elsewhere/manifest.csv", "n_jobs": 8}),
        ("model.weights", "last"),
        ("trainer.devices", [1]),
        ("trainer.accelerator", "gpu"),
        ("trainer.max_epochs", 9),
    ],
)
def test_what_does_not_change_the_training_may_change(
    setting: str, value: Any, whole: Path
) -> None:
    check_same_run(whole, make_task(), _with(setting, value))


@pytest.mark.parametrize(
    ("devices", "number"),
    [
        (1, 1), (4, 4), ("1", 1), ([0], 1), ([1], 1), ([0, 2], 2), ("0,1", 2), ("3,", 1),
        (-1, None), ("-1", None), ("auto", None), (None, None),
    ],
)  # fmt: skip
def test_devices_are_counted(devices: object, number: int | None) -> None:
    assert number_of_devices(devices) == number
