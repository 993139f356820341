"""LightningDataModules over the manifest, the split and the cache."""

from covidlit.datamodules.volume_datamodule import VolumeDataModule
from covidlit.datamodules.volume_dataset import VolumeDataset, apply_window

__all__ = ["VolumeDataModule", "VolumeDataset", "apply_window"]
