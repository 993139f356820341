"""The loader of labelled slices."""

from __future__ import annotations

from typing import Any

import pandas as pd

from covidlit.datamodules.balance import draw_weights
from covidlit.datamodules.loading import epoch_loader
from covidlit.datamodules.sampling import EpochLoader, EpochSampler
from covidlit.datamodules.slices.slice_dataset import SliceDataset, collate_slices


def slice_loader(
    dataset: SliceDataset,
    rows: pd.DataFrame,
    *,
    batch_size: int,
    num_workers: int,
    trainer: Any = None,
    shuffle: bool = False,
    balanced: bool | str = False,
    drop_last: bool = False,
) -> EpochLoader:
    """Batches of slices.

    Args:
        dataset: of these rows.
        rows: of the table.
        batch_size: slices per batch and device.
        num_workers: loader processes.
        trainer: whose devices share the slices; None: one device.
        shuffle, balanced, drop_last: see `SliceDataModule`.
    """
    sampler = EpochSampler(
        dataset,
        seed=dataset.seed,
        shuffle=shuffle,
        weights=draw_weights(balanced, dataset.targets, rows["centre"].to_numpy(dtype=object)),
        classes=dataset.targets,
        drop_last=drop_last,
        rank=trainer.global_rank if trainer else 0,
        world_size=trainer.world_size if trainer else 1,
    )
    pixels = rows["rows"] * rows["columns"]
    if dataset.size is not None:
        pixels = pixels * 0 + dataset.size[0] * dataset.size[1]
    # float32 channels, a byte for each object and one for all.
    largest = int((pixels * (13 + rows["n_objects"])).max()) if len(rows) else 0
    return epoch_loader(
        dataset,
        sampler,
        batch_size=batch_size,
        num_workers=num_workers,
        collate=collate_slices,
        row_bytes=largest,
        processes=trainer.num_devices if trainer else 1,
    )
