"""What may change when a run goes on, and what may not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from volume_records import volume_record

from covidlit.checkpoints.same_run import changed_length, check_same_run
from covidlit.errors import CheckpointError
from covidlit.settings.trainer import cut_short, number_of_devices
from covidlit.tasks import VolumeClassification


def _check_same_run(path: Path, task: VolumeClassification, record: dict[str, Any]) -> str:
    return check_same_run(path, task.hparams, task.state_dict(), record)


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
    return volume_record(config, split_hash="abc")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    task = make_task()
    task.record = volume_record(WHOLE, split_hash="abc")
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
        _check_same_run(whole, make_task(), _with(setting, value))


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
    _check_same_run(whole, make_task(), _with(setting, value))


@pytest.mark.parametrize(
    ("devices", "number"),
    [
        (1, 1), (4, 4), ("1", 1), ([0], 1), ([1], 1), ([0, 2], 2), ("0,1", 2), ("3,", 1),
        (-1, None), ("-1", None), ("auto", None), (None, None),
    ],
)  # fmt: skip
def test_devices_are_counted(devices: object, number: int | None) -> None:
    assert number_of_devices(devices) == number


@pytest.mark.parametrize(
    ("scheduler", "arguments", "depends"),
    [
        (None, {}, False),
        ("OneCycleLR", {}, True),
        ("OneCycleLR", {"total_steps": 100}, False),
        ("CosineAnnealingLR", {}, True),
        ("CosineAnnealingLR", {"T_max": 100}, False),
        ("StepLR", {"step_size": 3}, False),
        ("ReduceLROnPlateau", {}, False),
    ],
)
def test_a_schedule_over_the_whole_run_depends_on_its_length(
    scheduler: str | None, arguments: dict[str, Any], depends: bool
) -> None:
    node = scheduler and {"_target_": f"torch.optim.lr_scheduler.{scheduler}", **arguments}
    before, now = {"max_epochs": 10, "max_steps": -1}, {"max_epochs": 20, "max_steps": -1}
    expected = "trainer.max_epochs was 10 and is 20" if depends else ""
    assert changed_length(before, now, node) == expected
    assert changed_length(before, before, node) == ""
    assert bool(changed_length(before, before | {"max_steps": 99}, node)) is depends


def test_a_run_cannot_end_before_its_checkpoint(whole: Path) -> None:
    content = torch.load(whole, weights_only=True)
    torch.save(content | {"epoch": 2}, whole)
    for epochs in (3, 20):
        said = _check_same_run(whole, make_task(), _with("trainer.max_epochs", epochs))
        assert said == "after 3 of 3 epochs"
    with pytest.raises(CheckpointError, match=r"3 epochs behind it, and .*max_epochs is 2"):
        _check_same_run(whole, make_task(), _with("trainer.max_epochs", 2))


@pytest.mark.parametrize(
    ("trainer", "said"),
    [
        ({}, ""),
        ({"fast_dev_run": False, "limit_train_batches": None, "overfit_batches": 0.0}, ""),
        ({"limit_train_batches": 1.0}, ""),
        ({"fast_dev_run": True}, "a trial of 1 batch "),
        ({"fast_dev_run": 3}, "a trial of 3 batches "),
        ({"limit_train_batches": 1}, "1 batch in every epoch"),
        ({"limit_train_batches": 0.25}, "0.25 of the training part in every epoch"),
        ({"overfit_batches": 2}, "2 batches again and again"),
    ],
)
def test_a_training_that_was_cut_short_is_said_to_be(trainer: dict[str, Any], said: str) -> None:
    assert said in cut_short(trainer)
    assert bool(cut_short(trainer)) is bool(said)
