"""The factors of lesions (contract 8) as a table of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.clinical.source import FEATURE_COLUMNS
from covidlit.cohort.factor_definitions import DEFINITIONS
from covidlit.cohort.factor_limits import FACTORS
from covidlit.cohort.factor_readings import READINGS, read_nothing_found
from covidlit.cohort.factor_tables import read_factors
from covidlit.datamodules.tables.numbers import Numbers
from covidlit.errors import ConfigError, ManifestError, did_you_mean
from covidlit.tables import read_table

GROUP, FURTHER = "imaging", "further"
"""Groups of features: the paper's eleven, and whatever else `covidlit quantify` wrote."""

_FILES = ("factors.parquet", "factors.csv")
_MADE_BY = "covidlit quantify [--masks FOLDER | CHECKPOINT] MANIFEST"
_UNITS = {"ml": "mL", "mm": "mm", "hu": "HU", "percent": "%", "hu_per_mm": "HU/mm"}


def read_factor_numbers(
    path: str | Path,
    columns: Sequence[str] | None = None,
    nothing_found: Mapping[str, float] | None = None,
) -> Numbers:
    """Read factors, with what a scan without a lesion counts as.

    Args:
        path: `factors.parquet` (or `.csv`), or the folder in which `covidlit quantify` wrote it;
            `scans.csv` beside it says why other scans have none.
        columns: of the table; None: the paper's eleven.
        nothing_found: column -> value of scans without a lesion, in place of those of
            `covidlit.cohort.factor_readings.READINGS`.

    Raises:
        ManifestError: there is no such file, or it breaks contract 8.
        ConfigError: a column that the table does not have, or that is no number.
    """
    file = factors_file(path)
    table = read_factors(file)
    names = list(FACTORS) if columns is None else list(map(str, columns))
    _check_columns(table, names, file)
    values = _values(names, nothing_found or {})
    filled = read_nothing_found(table, values)
    numbers = filled[names].astype("float64")
    return Numbers(
        pd.concat([table[["scan_id", "patient_id"]], numbers], axis=1),
        _features(names, values),
        _reasons(file.parent / "scans.csv"),
        place=str(file),
        made_by=_MADE_BY,
    )


def factors_file(path: str | Path) -> Path:
    """The table of factors in a folder of `covidlit quantify`, or the table itself.

    Raises:
        ManifestError: the folder has none.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    for name in _FILES:
        if (path / name).is_file():
            return path / name
    raise ManifestError(
        f"there is no {_FILES[0]} in this folder.",
        where=path,
        fix=f"give the folder that `{_MADE_BY}` wrote.",
    )


def _check_columns(table: pd.DataFrame, names: Sequence[str], file: Path) -> None:
    keys = ("patient_id", "scan_id", "acquisition_date")
    known = [
        str(name) for name in table
        if name not in keys and pd.api.types.is_numeric_dtype(table[name])
    ]  # fmt: skip
    for name in names or [""]:
        if name not in known:
            raise ConfigError(
                f"{file.name} has no column of numbers {name!r}."
                if name
                else "no column is named.",
                where="data.columns",
                fix=did_you_mean(name, known) or f"use null, or some of {', '.join(known)}.",
            )
    if len(set(names)) < len(names):
        raise ConfigError(f"a column stands twice in {list(names)}.", where="data.columns")


def _values(names: Sequence[str], given: Mapping[str, float]) -> dict[str, float]:
    """What each column counts as in a scan without a lesion, where that is defined."""
    for name, value in given.items():
        if name not in names:
            raise ConfigError(
                "there is no such factor.",
                where=f"data.nothing_found.{name}",
                fix=did_you_mean(str(name), names) or f"the factors are {', '.join(names)}.",
            )
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ConfigError(
                f"must be a number, not {value!r}.", where=f"data.nothing_found.{name}"
            )
    own = {name: READINGS[name].nothing_found for name in names if name in READINGS}
    values = {**own, **{name: float(value) for name, value in given.items()}}
    return {name: value for name, value in values.items() if value is not None}


def _features(names: Sequence[str], values: Mapping[str, float]) -> pd.DataFrame:
    definitions = {each.column: each for each in DEFINITIONS}
    rows: list[dict[str, Any]] = []
    for name in names:
        known = definitions.get(name)
        ending = max((e for e in _UNITS if name.endswith(f"_{e}")), key=len, default="")
        rows.append(
            {
                "name": name,
                "group": GROUP if name in FACTORS else FURTHER,
                "description": FACTORS.get(name, name.replace("_", " ")),
                "unit": known.unit if known else _UNITS.get(ending, ""),
                "source": known.source if known else "covidlit quantify",
                "worse": READINGS[name].worse if name in READINGS else None,
                "nothing_found": values.get(name),
            }
        )
    return pd.DataFrame(rows, columns=[*FEATURE_COLUMNS, "nothing_found"])


def _reasons(path: Path) -> dict[str, str]:
    """Why scans were not measured, from the list of scans that stands beside the factors."""
    if not path.is_file():
        return {}
    table = read_table(path, ManifestError)
    if not {"scan_id", "status", "reason"} <= set(table):
        return {}
    refused = table[table["status"].astype("string").eq("refused") & table["scan_id"].notna()]
    return dict(zip(refused["scan_id"].astype(str), refused["reason"].astype(str), strict=True))
