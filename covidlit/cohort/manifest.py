"""Contract 2, the manifest: one row per scan, read, checked and written."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from covidlit.cohort.class_names import tidy_class_names
from covidlit.cohort.columns import (
    TEXT,
    between,
    column_of,
    flag,
    iso_date,
    number,
    one_of,
    text,
    to_dates,
    whole_number,
)
from covidlit.errors import ManifestError
from covidlit.tables import read_table, row_numbers, validate, write_table

REQUIRED = ("patient_id", "scan_id", "path", "class_name")
"""The columns that no manifest can do without; all others may be absent."""

RTPCR_RESULTS = ("positive", "negative")

MANIFEST_SCHEMA = pa.DataFrameSchema(
    {
        "patient_id": text(required=True, nullable=False),
        "scan_id": text(required=True, nullable=False),
        "path": text(required=True, nullable=False),
        # Null where nobody has labelled the scan yet: it can be predicted, not trained on.
        "class_name": text(required=True),
        "centre": text(),  # needed by splits by centre only
        "study_uid": text(),
        "series_uid": text(),
        "acquisition_date": iso_date(),
        "target": whole_number(0),
        "age": number(between(0, 120, "years")),
        "sex": one_of("F", "M"),
        "rtpcr_initial": one_of(*RTPCR_RESULTS),
        "rtpcr_round": whole_number(1),
        "aetiology": text(),
        "severity": text(),
        "quality_grade": text(),
        "spo2_percent": number(between(0, 100, "percent")),
        "manufacturer": text(),
        "scanner_model": text(),
        "kernel": text(),
        "kvp": number(between(0, 1000, "kV")),
        "exposure_mas": number(between(0, 1e6, "mAs")),
        "slice_thickness_mm": number(between(0, 100, "mm")),
        "n_slices": whole_number(1),
        "status": one_of("ok", "refused"),
        "reason": text(),
        "split": one_of("train", "validation", "test"),
        "synthetic": flag(),
    },
    unique=["scan_id"],
    unique_column_names=True,
    strict=False,
)
"""Contract 2. Any further column is allowed and serves as a subgroup of the evaluation."""


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Read a manifest (`.csv` or `.parquet`) and hold it against the schema.

    Returns:
        The table with typed columns (`acquisition_date` as datetime64) and, in `attrs["root"]`, the
        folder that relative paths start from.

    Raises:
        ManifestError: missing file or column, a wrong type, a value out of range, no row, or two
            rows for one scan; names row (counted from 1 without the header), column and value.
    """
    path = Path(path)
    table = validate_manifest(read_table(path, ManifestError), where=path)
    table.attrs["root"] = str(path.resolve().parent)
    return table


def validate_manifest(table: pd.DataFrame, where: object = "manifest") -> pd.DataFrame:
    """Hold a table against contract 2 and return it with the contract's types.

    It has a column `centre` in any case, empty where the centre is not known.

    Raises:
        ManifestError: see `read_manifest`.
    """
    attrs = dict(table.attrs)
    table = to_dates(validate(table, MANIFEST_SCHEMA, where, ManifestError), "acquisition_date")
    table["class_name"] = tidy_class_names(table["class_name"])
    centre = column_of(table, "centre").astype(TEXT)
    table["centre"] = centre.where(centre.str.strip() != "")
    _check_one_row_per_series(table, where)
    _check_rtpcr(table, where)
    table.attrs.update(attrs)
    return table


def write_manifest(table: pd.DataFrame, path: str | Path) -> Path:
    """Check a manifest and write it as `.csv` or `.parquet`, whole or not at all.

    Relative paths are rewritten to start from the new file's folder where the table knows the
    folder they start from now (`attrs["root"]`).
    """
    path = Path(path)
    table = validate_manifest(table, where=path)
    old, new = table.attrs.get("root"), str(path.resolve().parent)
    if old is not None and Path(old) != Path(new):
        table["path"] = [
            p if Path(p).is_absolute() else Path(os.path.relpath(Path(old, p), new)).as_posix()
            for p in table["path"]
        ]
    if path.suffix == ".csv" and "acquisition_date" in table:
        table["acquisition_date"] = table["acquisition_date"].dt.strftime("%Y-%m-%d")
    return write_table(table, path)


def resolve_path(manifest: pd.DataFrame, path: str | Path) -> Path:
    """The place of a row's `path`: itself where absolute, else below the manifest's folder.

    Raises:
        ManifestError: a relative path in a table that was not read from a file.
    """
    path = Path(path)
    if path.is_absolute():
        return path
    if "root" not in manifest.attrs:
        raise ManifestError(
            f"the relative path {str(path)!r} has no folder to start from.",
            where="manifest",
            fix='read the manifest with read_manifest, or set manifest.attrs["root"].',
        )
    return Path(manifest.attrs["root"], path)


def _check_one_row_per_series(table: pd.DataFrame, where: object) -> None:
    by = [column for column in ("path", "series_uid") if column in table]
    twice = table.duplicated(by, keep=False)
    if not twice.any():
        return
    first = table.loc[twice, by].iloc[0]
    same = np.logical_and.reduce(
        [(table[c] == first[c]) | (table[c].isna() & pd.isna(first[c])) for c in by]
    )
    raise ManifestError(
        f"rows {_listed([r for r, s in zip(row_numbers(table), same, strict=True) if s])} are the "
        f"same scan: column(s) {', '.join(by)}: value {first['path']!r} stands in each of them.",
        where=where,
        fix="keep one of the rows; where one folder holds several series, name the series in the "
        "column series_uid.",
    )


def _check_rtpcr(table: pd.DataFrame, where: object) -> None:
    if not {"rtpcr_initial", "rtpcr_round"} <= set(table.columns):
        return
    positive = table["rtpcr_initial"] == "positive"
    turn = table["rtpcr_round"]
    wrong = (
        (positive & (turn > 1)) | ((table["rtpcr_initial"] == "negative") & (turn == 1))
    ).fillna(False)
    if wrong.any():
        row = int(np.flatnonzero(wrong.to_numpy(dtype=bool))[0])
        raise ManifestError(
            f"row {row_numbers(table)[row]}, column 'rtpcr_round': value {turn.iloc[row]} does not "
            f"fit rtpcr_initial = {table['rtpcr_initial'].iloc[row]!r} "
            f"({int(wrong.sum())} such row(s)).",
            where=where,
            fix="rtpcr_round is the number of the first positive test: 1 where the initial one was "
            "positive, 2 or more where it was negative, empty where none was positive.",
        )


def _listed(values: Sequence[Hashable], limit: int = 5) -> str:
    shown = ", ".join(str(value) for value in values[:limit])
    return shown if len(values) <= limit else f"{shown} and {len(values) - limit} more"
