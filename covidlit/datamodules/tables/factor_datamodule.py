"""The datamodule of the factors of lesions: contract 8 + manifest + split in, numbers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, Self

from covidlit.cohort.splits import Split
from covidlit.datamodules.arguments import as_path
from covidlit.datamodules.cohort_data import RunSettings, SplitOf
from covidlit.datamodules.tables.factors import read_factor_numbers
from covidlit.datamodules.tables.numbers import Numbers
from covidlit.datamodules.tables.table_datamodule import TableDataModule
from covidlit.datamodules.tables.table_settings import table_arguments


class FactorDataModule(TableDataModule):
    """The quantitative factors of the scans of a manifest, one row per scan.

    In a scan without a lesion, what only a lesion can have (a diameter, a density) counts as
    `nothing_found` says; see `covidlit.cohort.factor_readings`. Whatever else is undefined is NaN.

    Args:
        manifest: path of the manifest (contract 2).
        factors: path of `factors.parquet` (contract 8), or of the folder that it is in.
        split: a Split, the path of one, or a function of the manifest that makes one.
        columns: of the factors; None: the paper's eleven.
        nothing_found: column -> what it counts as in a scan without a lesion, in place of its own.
        options: see `TableDataModule`.

    Raises:
        ConfigError: an argument out of range or of another type.
    """

    kind = "factors"
    numbers_name = "factors"

    def __init__(
        self,
        manifest: str | Path,
        factors: str | Path,
        split: Split | str | Path | SplitOf,
        columns: Sequence[str] | None = None,
        nothing_found: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(manifest, split, **options)
        self.factors_path = as_path(factors, "factors")
        self._columns = None if columns is None else list(columns)
        self._nothing_found = dict(nothing_found or {})

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], run: RunSettings) -> Self:
        """The datamodule of `conf/data/factors.yaml`; see `covidlit.datamodules.cohort_data`."""
        known = {*signature(cls).parameters, *signature(TableDataModule).parameters}
        return cls(**table_arguments(settings, run, known - {"options"}))

    def read_numbers(self) -> Numbers:
        """Read the factors."""
        return read_factor_numbers(self.factors_path, self._columns, self._nothing_found)

    def input_record(self) -> dict[str, Any]:
        """The factors, and what a scan without a lesion counts as."""
        features = self.numbers.features
        known = features[features["nothing_found"].notna()]
        values = zip(known["name"], known["nothing_found"], strict=True)
        return {
            **super().input_record(),
            "nothing_found": {name: float(value) for name, value in values},
        }
