"""LightningDataModules over the manifest, the split and the cache."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covidlit.datamodules.volume_datamodule import VolumeDataModule
    from covidlit.datamodules.volume_dataset import VolumeDataset, apply_window

__all__ = ["VolumeDataModule", "VolumeDataset", "apply_window"]


_MODULES = {
    "VolumeDataModule": "volume_datamodule",
    "VolumeDataset": "volume_dataset",
    "apply_window": "volume_dataset",
}


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import; prediction needs the window alone, and of tables nothing.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
