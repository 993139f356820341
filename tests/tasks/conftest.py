"""A tiny datamodule whose order and noise depend on (epoch, scan) alone, as the real one's."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from covidlit.datamodules.sampling import Draw, EpochLoader, EpochSampler


class Volumes(Dataset[dict[str, Any]]):
    """Scans of 8x16x16; those of class k hold k bright blobs, with noise that depends on epoch."""

    def __init__(self, n_scans: int, n_classes: int) -> None:
        self.n_scans, self.n_classes = n_scans, n_classes

    def __len__(self) -> int:
        return self.n_scans

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        index, epoch = draw.row, draw.epoch
        generator = torch.Generator().manual_seed(1000 * epoch + index)
        image = 0.2 * torch.rand(1, 8, 16, 16, generator=generator)
        target = index % self.n_classes
        for blob in range(target):
            image[0, 2:5, 3:6, 4 * blob + 1 : 4 * blob + 4] = 1.0
        return {"image": image, "target": torch.tensor(target), "scan_id": f"scan{index}"}


class TinyDataModule(pl.LightningDataModule):
    def __init__(
        self, n_scans: int = 8, n_classes: int = 2, batch_size: int = 4, plain: bool = False
    ) -> None:
        super().__init__()
        self.plain = plain
        self.n_scans, self.n_classes, self.batch_size = n_scans, n_classes, batch_size
        self.table = pd.DataFrame(
            {"part": "train", "target": [i % n_classes for i in range(n_scans)], "status": "ok"}
        )

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(shuffle=False)

    def _loader(self, shuffle: bool) -> DataLoader[Any]:
        volumes: Any = Volumes(self.n_scans, self.n_classes)
        if self.plain:  # its iterator is made earlier in a resumed run than in one without a break
            return DataLoader([volumes[Draw(i)] for i in range(self.n_scans)], self.batch_size)
        # No generator of its own: the loader draws from the global one, as any plain loader does.
        return EpochLoader(
            volumes, batch_size=self.batch_size, sampler=EpochSampler(volumes, shuffle=shuffle)
        )

    test_dataloader = predict_dataloader = val_dataloader


@pytest.fixture
def datamodule() -> TinyDataModule:
    return TinyDataModule()


@pytest.fixture
def datamodule_class() -> type[TinyDataModule]:
    return TinyDataModule
