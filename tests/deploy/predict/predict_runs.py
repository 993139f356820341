"""Runs to predict with: a task as after its training, and its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from volume_records import volume_record

from covidlit.tasks import VolumeClassification

GEOMETRY = {"spacing": [20.0, 24.0, 24.0], "size": [16, 16, 16]}
CONFIG: dict[str, Any] = {
    "data": {"geometry": GEOMETRY, "window": [-1000, 400], "override_checks": []},
    "model": {"name": "csacnet"},
    "trainer": {"precision": "32-true"},
}
N_SCANS = 5


def held_out_rows(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["centre"] == "test"]


def save_run(
    task: VolumeClassification, config: dict[str, Any], path: Path, *, synthetic: bool = False
) -> Path:
    task.record = volume_record(config, split_hash="abc", synthetic=synthetic)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_model_summary=False)
    trainer.strategy.connect(task)
    trainer.save_checkpoint(path)
    return path


def make_task(n_classes: int = 2) -> VolumeClassification:
    torch.manual_seed(0)
    task = VolumeClassification(
        net={"_target_": "covidlit.models.CSACNet3D", "width": 4, "zero_init": False},
        n_classes=n_classes,
    )
    # Statistics as after training: in training mode scores would depend on the batch.
    task.train()
    for _ in range(3):
        task(torch.rand(4, 1, 16, 16, 16))
    return task.eval()
