"""LightningDataModules over the manifest, the split and the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from covidlit.datamodules.volume_datamodule import VolumeDataModule
    from covidlit.datamodules.volume_dataset import VolumeDataset, apply_window

__all__ = ["VolumeDataModule", "VolumeDataset", "apply_window"]

# Lightning takes seconds to import; prediction needs the window alone, and of tables nothing.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "volume_datamodule": ["VolumeDataModule"],
        "volume_dataset": ["VolumeDataset", "apply_window"],
    },
)
