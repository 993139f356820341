"""LightningDataModules over the manifest, the split and the cache."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from covidlit.datamodules.volume_dataset import VolumeDataset, apply_window

if TYPE_CHECKING:
    from covidlit.datamodules.volume_datamodule import VolumeDataModule

__all__ = ["VolumeDataModule", "VolumeDataset", "apply_window"]


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import, and prediction needs the window alone.
    if name != "VolumeDataModule":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.volume_datamodule").VolumeDataModule
