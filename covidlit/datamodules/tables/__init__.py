"""Tables of numbers, joined to a manifest, as the data of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from covidlit.datamodules.tables.clinical_datamodule import ClinicalDataModule
    from covidlit.datamodules.tables.factor_datamodule import FactorDataModule
    from covidlit.datamodules.tables.table_datamodule import TableDataModule

__all__ = ["ClinicalDataModule", "FactorDataModule", "TableDataModule"]

# Lightning takes seconds to import.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "clinical_datamodule": ["ClinicalDataModule"],
        "factor_datamodule": ["FactorDataModule"],
        "table_datamodule": ["TableDataModule"],
    },
)
