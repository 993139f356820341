"""A resumed run does not forget its best epoch."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from covidlit.checkpoints.checks import CHECKPOINT_FORMAT
from covidlit.checkpoints.io import RunCheckpointIO
from covidlit.errors import CheckpointError
from covidlit.runs.best_checkpoint import BestCheckpoint

SCORES = (0.5, 0.9, 0.6, 0.7)


class Scripted(pl.LightningModule):
    """Its weight is the epoch, its validation score is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.weight.data.fill_(self.current_epoch)
        return 0 * self.weight.sum()

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.log("val_auroc", SCORES[self.current_epoch])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        task = "covidlit.tasks.VolumeClassification"
        own = {"format": CHECKPOINT_FORMAT, "task": task, "record": {}}
        checkpoint.update(hyper_parameters={}, covidlit=own)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def fit(folder: Path, epochs: int, ckpt_path: Path | None = None) -> BestCheckpoint:
    best = BestCheckpoint(
        folder, "best", monitor="val_auroc", mode="max", enable_version_counter=False
    )
    last = ModelCheckpoint(folder, "last", enable_version_counter=False)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=epochs, callbacks=[best, last], logger=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        plugins=[RunCheckpointIO([folder])],
    )  # fmt: skip
    loader = DataLoader(torch.zeros(2, 1))
    trainer.fit(Scripted(), loader, loader, ckpt_path=ckpt_path, weights_only=True)
    return best


def epoch_of(path: str) -> float:
    return torch.load(path, weights_only=True)["state_dict"]["weight"].item()


def test_the_best_epoch_of_the_first_half_stays_the_best(tmp_path: Path) -> None:
    fit(tmp_path / "stopped", 2)
    best = fit(tmp_path / "resumed", 4, tmp_path / "stopped" / "last.ckpt")
    assert best.best_model_score == pytest.approx(0.9)
    assert Path(best.best_model_path) == tmp_path / "resumed" / "best.ckpt"
    assert epoch_of(best.best_model_path) == 1


def test_a_better_epoch_of_the_second_half_replaces_it(tmp_path: Path) -> None:
    fit(tmp_path / "stopped", 1)
    best = fit(tmp_path / "resumed", 4, tmp_path / "stopped" / "last.ckpt")
    assert epoch_of(best.best_model_path) == 1
    assert epoch_of(str(tmp_path / "stopped" / "best.ckpt")) == 0


def test_a_best_checkpoint_that_is_gone_is_named(tmp_path: Path) -> None:
    fit(tmp_path / "stopped", 2)
    (tmp_path / "stopped" / "best.ckpt").unlink()
    with pytest.raises(CheckpointError, match="best checkpoint") as caught:
        fit(tmp_path / "resumed", 4, tmp_path / "stopped" / "last.ckpt")
    assert str(tmp_path / "stopped" / "best.ckpt") in str(caught.value)
