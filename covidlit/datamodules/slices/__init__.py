"""Labelled slices as the data of a run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covidlit.datamodules.slices.slice_datamodule import SliceDataModule

__all__ = ["SliceDataModule"]


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import, and prediction needs the channels alone.
    if name != "SliceDataModule":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.slice_datamodule").SliceDataModule
