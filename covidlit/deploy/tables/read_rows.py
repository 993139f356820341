"""Rows of a table as the numbers that a model takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from covidlit.checkpoints.record import RunRecord
from covidlit.counted import counted
from covidlit.deploy.tables.limits import refuse_impossible
from covidlit.errors import ConfigError, ManifestError
from covidlit.tables import read_table, row_texts

_KEYS = ("patient_id", "scan_id")
_MOST_ABSENT = 0.5
"""Share of a model's features without a column from which on a table is refused."""

_SEXES = {"M": 1.0, "F": 0.0}


@dataclass(frozen=True)
class Rows:
    """Rows to score.

    Args:
        names: `patient_id`, `scan_id` and a date, as far as the table has them.
        values: a column per feature of the model, NaN where missing.
        absent: features that the table has no column of.
        lines: sentences on what was found and done.
    """

    names: pd.DataFrame
    values: pd.DataFrame
    absent: tuple[str, ...]
    lines: tuple[str, ...]


def read_rows(
    path: str | Path, record: RunRecord, features: list[str], mapping: str | None = None
) -> Rows:
    """Read a table of patients or scans.

    With a mapping, or with the columns `patient_id` and `date` (contract 9), measurements are
    reduced to one row per patient as in the model's run. Any other table has a row for each row to
    score, columns by the features' names in any order (contract 8 among them).

    Args:
        path: .csv, .xlsx or .parquet.
        record: of the model.
        features: that it takes.
        mapping: of a hospital's own table: a name in `conf/clinical`, or the path of a file.

    Raises:
        ManifestError: names row, column and value of what cannot be, or a column that is in
            another unit than its name says; or the table lacks most of the features.
        ConfigError: a mapping for a model of scans.
    """
    settings = record.preprocess.model_dump()
    clinical = settings["kind"] == "clinical"
    if mapping is not None and not clinical:
        raise ConfigError(
            "a mapping is of clinical tables, and the model takes factors of scans.",
            where="--mapping",
            fix="give the factors.parquet of `covidlit quantify`, without --mapping.",
        )
    if mapping is not None:
        return _of_source(path, mapping, settings, features)
    table = read_table(path, ManifestError)
    if table.empty:
        raise ManifestError("the table has no row.", where=path, fix="export it again.")
    if clinical and {"patient_id", "date"} <= set(table):
        return _of_source(path, None, settings, features)
    return rows_of_table(table, path, record, features)


def _of_source(
    path: str | Path, mapping: str | None, settings: Mapping[str, Any], features: list[str]
) -> Rows:
    # The schemas of contract 9 take a third of a second to import.
    from covidlit.datamodules.tables.clinical_rows import read_source, rows_of_source

    index = str(settings.get("index", "auto"))
    window = (settings.get("before_days"), settings.get("after_days"))
    source = read_source(path, mapping, index)
    rows = rows_of_source(source, index, settings.get("rule", "first"), window)
    require_same_units(rows.features, settings.get("units") or {}, path)
    absent = absent_features(features, list(rows.values), path)
    values = rows.values.reindex(columns=features).astype("float64").reset_index(drop=True)
    names = rows.patients[["patient_id", "index_date"]].reset_index(drop=True)
    refuse_impossible(
        [f"patient {name}" for name in names["patient_id"]], values, path,
        settings.get("training"), units_said=mapping is not None,
    )  # fmt: skip
    return Rows(names, values, absent, rows.lines)


def rows_of_table(
    table: pd.DataFrame, path: str | Path, record: RunRecord, features: list[str]
) -> Rows:
    """The rows of a table that is in memory, such as factors of scans that were just measured.

    Args:
        table: a row for each row to score, columns by the features' names.
        path: what errors name.
        record: of the model.
        features: that it takes.

    Raises:
        ManifestError: see `read_rows`.
    """
    settings = record.preprocess.model_dump()
    if "male" in features and "male" not in table and "sex" in table:
        table = _with_male(table, path)
    absent = absent_features(features, list(map(str, table)), path)
    values = pd.DataFrame({name: _numbers(table, name, path) for name in features})
    found = settings.get("nothing_found") or {}
    if "n_lesions" in table and found:
        none = _numbers(table, "n_lesions", path).eq(0)
        for name in set(found) & set(features) - set(absent):
            values[name] = values[name].mask(none & values[name].isna(), found[name])
    texts = [f"row {text}" for text in row_texts(table)]
    refuse_impossible(texts, values, path, settings.get("training"))
    keys = [name for name in (*_KEYS, "acquisition_date") if name in table]
    names = table[keys].astype("string")
    if not set(_KEYS) & set(names):
        names = names.assign(patient_id=pd.Series(texts, table.index, dtype="string"))
    return Rows(names.reset_index(drop=True), values.reset_index(drop=True), absent, ())


def absent_features(features: list[str], known: list[str], path: str | Path) -> tuple[str, ...]:
    """The features that a table has no column of.

    Raises:
        ManifestError: they are most of them.
    """
    absent = [name for name in features if name not in known]
    if len(absent) > _MOST_ABSENT * len(features):
        meant = ((name, get_close_matches(name, known, 1, 0.75)) for name in absent)
        near = [f"call {found[0]!r} {name}" for name, found in meant if found]
        raise ManifestError(
            f"the table has no column of {len(absent)} of the {len(features)} features that the "
            f"model takes: {', '.join(absent)}.",
            where=path,
            fix=f"{'; '.join(near)}." if near
            else "name the columns so, or say by --mapping what the table's own mean.",
        )  # fmt: skip
    return tuple(absent)


def _numbers(table: pd.DataFrame, name: str, path: str | Path) -> pd.Series:
    if name not in table:
        return pd.Series(np.nan, index=table.index)
    cells = table[name]
    found = pd.to_numeric(cells, errors="coerce").astype("float64")
    wrong = found.isna() & cells.notna()
    if wrong.any():
        rows = table[wrong]
        raise ManifestError(
            f"row {row_texts(rows)[0]}, column {name!r}: value {str(cells[wrong].iloc[0])!r} is no "
            f"number ({counted(int(wrong.sum()), 'such cell')}).",
            where=path,
            fix="give a number or leave the cell empty; values such as <0.5 are read by --mapping.",
        )
    return found


def _with_male(table: pd.DataFrame, path: str | Path) -> pd.DataFrame:
    sexes = table["sex"].astype("string").str.strip().str.upper()
    wrong = sexes.notna() & ~sexes.isin(list(_SEXES))
    if wrong.any():
        raise ManifestError(
            f"row {row_texts(table[wrong])[0]}, column 'sex': value "
            f"{str(table.loc[wrong, 'sex'].iloc[0])!r} must be F or M.",
            where=path,
            fix="write F or M, or leave the cell empty.",
        )
    return table.assign(male=sexes.map(_SEXES).astype("float64"))


def require_same_units(features: pd.DataFrame, units: Mapping[str, Any], path: str | Path) -> None:
    """Refuse numbers that are held in another unit than in the model's run.

    Args:
        features: `name` and `unit` of each.
        units: of the run, by name.
        path: what errors name.

    Raises:
        ManifestError: names column and units.
    """
    for name, unit in zip(features["name"], features["unit"], strict=True):
        known = units.get(name)
        if known and unit and isinstance(unit, str) and known != unit:
            raise ManifestError(
                f"column {name!r} is held in {unit} here, and was held in {known} in the model's "
                "run.",
                where=path,
                fix=f"say held_in: {known} of it in the mapping.",
            )
