"""Labelled slices as the data of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from covidlit.datamodules.slices.slice_datamodule import SliceDataModule

__all__ = ["SliceDataModule"]

# Lightning takes seconds to import, and prediction needs the channels alone.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "slice_datamodule": ["SliceDataModule"],
    },
)
