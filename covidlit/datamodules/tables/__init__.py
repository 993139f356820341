"""Tables of numbers, joined to a manifest, as the data of a run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covidlit.datamodules.tables.clinical_datamodule import ClinicalDataModule
    from covidlit.datamodules.tables.factor_datamodule import FactorDataModule
    from covidlit.datamodules.tables.table_datamodule import TableDataModule

__all__ = ["ClinicalDataModule", "FactorDataModule", "TableDataModule"]

_MODULES = {
    "ClinicalDataModule": "clinical_datamodule",
    "FactorDataModule": "factor_datamodule",
    "TableDataModule": "table_datamodule",
}


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
