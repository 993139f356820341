"""Training for a budget of processor time, the same for every network, whatever else runs."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

WARM_UP = 0.05
"""Share of the budget over which the learning rate rises."""


class Budget(pl.Callback):
    """Ends a training after so many processor seconds and lowers the learning rate towards then.

    What counts is reading, augmentation and the steps themselves on the one thread that a training
    has, not validation: another program on the machine changes nothing.

    Args:
        seconds: of the processor.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.spent, self.steps = seconds, 0.0, 0
        self._mark: float | None = None
        self._top: list[float] = []
        self.curve: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"spent": self.spent, "steps": self.steps, "curve": self.curve, "top": self._top}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.spent, self.steps = state_dict["spent"], state_dict["steps"]
        self.curve, self._top = state_dict["curve"], state_dict["top"]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._mark = time.process_time()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        groups = trainer.optimizers[0].param_groups
        self._top = self._top or [group["lr"] for group in groups]
        share = min(self.spent / self.seconds, 1.0)
        factor = min(1.0, share / WARM_UP + 0.01) * (1 + math.cos(math.pi * share)) / 2
        for group, top in zip(groups, self._top, strict=True):
            group["lr"] = top * factor

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        now = time.process_time()
        assert self._mark is not None
        self.spent, self._mark, self.steps = self.spent + now - self._mark, now, self.steps + 1
        if self.spent >= self.seconds:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        point = {"seconds": round(self.spent, 1), "steps": self.steps}
        for name in ("train_loss", "val_loss", "val_dice", "val_dice_lung"):
            if name in trainer.callback_metrics:
                point[name] = round(float(trainer.callback_metrics.pop(name)), 4)
        self.curve.append(point)
        # Lightning's own checkpoints come before the point of this epoch is known.
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "last.ckpt")


def fit(
    module: pl.LightningModule,
    data: pl.LightningDataModule,
    folder: Path,
    *,
    seconds: float,
    validate_every: int,
) -> Budget:
    """Train for a budget, or go on where a training in `folder` was stopped.

    Returns:
        The budget, with the learning curve: processor seconds, steps, losses, validation Dice.
    """
    budget, last = Budget(seconds), folder / "last.ckpt"
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=-1,
        callbacks=[budget],
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        gradient_clip_val=5.0,
        check_val_every_n_epoch=validate_every,
    )
    if last.is_file():
        state = torch.load(last, map_location="cpu", weights_only=True)
        known = next(v for k, v in state["callbacks"].items() if k.startswith("Budget"))
        if known["spent"] >= seconds:
            module.load_state_dict(state["state_dict"])
            budget.load_state_dict(known)
            return budget
    trainer.fit(module, data, ckpt_path=str(last) if last.is_file() else None)
    trainer.save_checkpoint(last)
    return budget
