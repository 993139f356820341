"""A training whose loss is no number any more stops, says so and leaves usable checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint

from covidlit.checkpoints.file import load_checkpoint
from covidlit.errors import TrainingError
from covidlit.runs.lightning_runner import LightningRunner
from covidlit.runs.steps import train_and_evaluate
from covidlit.settings.tree import config_dir
from covidlit.tasks import VolumeClassification

NET = {"_target_": "covidlit.models.CSACNet3D", "width": 4, "hidden": [8, 8]}
TOO_HIGH = 1e30


class HighRateFrom(pl.Callback):
    """Sets a learning rate that no network survives, from the second epoch on."""

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.current_epoch == 1:
            trainer.optimizers[0].param_groups[0]["lr"] = TOO_HIGH


def make_trainer(folder: Path, *callbacks: pl.Callback, **arguments: Any) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu", max_epochs=9, logger=False, callbacks=list(callbacks),
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
        default_root_dir=folder, **arguments,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({}, "val_loss"), ({"limit_val_batches": 0}, "train_loss")],
    ids=["validated", "not validated"],
)
def test_the_checkpoints_are_those_of_the_epochs_before(
    arguments: dict[str, Any], named: str, tmp_path: Path, datamodule: Any
) -> None:
    keep: dict[str, Any] = {"dirpath": tmp_path, "enable_version_counter": False}
    kept: list[pl.Callback] = [ModelCheckpoint(filename="last", **keep)]
    if named == "val_loss":
        kept.append(ModelCheckpoint(filename="best", monitor="val_auroc", mode="max", **keep))
    trainer = make_trainer(tmp_path, HighRateFrom(), *kept, **arguments)
    with pytest.raises(TrainingError, match=rf"diverged: {named} .* epoch 1.*optimizer\.lr"):
        trainer.fit(VolumeClassification(net=NET), datamodule=datamodule)
    for path in tmp_path.glob("*.ckpt"):
        weights = load_checkpoint(path)["state_dict"].values()
        assert all(weight.isfinite().all() for weight in weights), path
    assert len(list(tmp_path.glob("*.ckpt"))) == len(kept)


def test_a_measurement_outside_training_is_not_stopped(tmp_path: Path, datamodule: Any) -> None:
    task = VolumeClassification(net=NET)
    with torch.no_grad():
        next(task.parameters()).fill_(torch.nan)
    (metrics,) = make_trainer(tmp_path).validate(task, datamodule, verbose=False)
    assert metrics["val_loss"] != metrics["val_loss"]


@pytest.mark.parametrize("overrides", [[], ["callbacks=last_epoch", "trainer.limit_val_batches=0"]])
def test_a_run_says_that_its_training_diverged(
    overrides: list[str], tiny_overrides: list[str], tmp_path: Path
) -> None:
    """The second run has no loss after its only step: its scores alone show it."""
    rate = ["model.task.optimizer.lr=1e38", "model.task.scheduler=null"]
    net = ["model.task.net.width=4", "debug=fast_dev_run"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", [*tiny_overrides, "name=test", *net, *rate, *overrides])
    with pytest.raises(TrainingError, match=r"diverged.*model\.task\.optimizer\.lr"):
        train_and_evaluate(OmegaConf.to_container(config, resolve=True), tmp_path)
    assert not (tmp_path / "predictions.parquet").exists()


def test_a_logger_is_closed_after_a_divergence(
    tmp_path: Path, datamodule: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []
    monkeypatch.setattr("covidlit.runs.training.finish_wandb", lambda trainer: closed.append(True))
    trainer = {
        "_target_": "pytorch_lightning.Trainer", "accelerator": "cpu", "max_epochs": 2,
        "enable_progress_bar": False, "enable_checkpointing": False,
    }  # fmt: skip
    optimizer = {"_target_": "torch.optim.Adam", "lr": TOO_HIGH}
    task = {"_target_": "covidlit.tasks.VolumeClassification", "net": NET, "optimizer": optimizer}
    with pytest.raises(TrainingError):
        LightningRunner("csacnet", task, trainer).fit(datamodule, tmp_path)
    assert closed == [True]
