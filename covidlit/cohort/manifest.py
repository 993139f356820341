"""Contract 2, the manifest: one row per scan, read, checked and written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from covidlit.cohort.class_names import tidy_class_names
from covidlit.cohort.columns import (
    TEXT,
    between,
    column_of,
    file_name,
    flag,
    iso_date,
    no_share,
    number,
    one_of,
    text,
    to_dates,
    whole_number,
)
from covidlit.counted import counted
from covidlit.errors import ManifestError
from covidlit.tables import read_table, row_texts, rows_text, validate, write_table

REQUIRED = ("patient_id", "scan_id", "path", "class_name")
"""The columns that no manifest can do without; all others may be absent."""

RTPCR_RESULTS = ("positive", "negative")

MANIFEST_SCHEMA = pa.DataFrameSchema(
    {
        "patient_id": text(required=True, nullable=False),
        "scan_id": file_name(
            required=True,
            nullable=False,
            fix="give the scan such a name, and keep the other one in a column original_id",
        ),
        "path": text(required=True, nullable=False),
        # Null where nobody has labelled the scan yet: it can be predicted, not trained on.
        "class_name": file_name(
            required=True, blanks=True, fix="write the class so, ground_glass for example"
        ),
        "centre": text(),  # needed by splits by centre only
        "study_uid": text(),
        "series_uid": text(),
        "acquisition_date": iso_date(),
        # By de-identification, or since it contradicts itself: not the day that a scan was made.
        "acquisition_date_moved": flag(),
        "target": whole_number(0),
        "age": number(between(0, 120, "years")),
        "sex": one_of("F", "M"),
        "rtpcr_initial": one_of(*RTPCR_RESULTS),
        "rtpcr_round": whole_number(1),
        "aetiology": text(),
        "severity": text(),
        "quality_grade": text(),
        "spo2_percent": number(between(0, 100, "percent"), no_share()),
        "manufacturer": text(),
        "scanner_model": text(),
        "kernel": text(),
        "kvp": number(between(0, 1000, "kV")),
        "exposure_mas": number(between(0, 1e6, "mAs")),
        "slice_thickness_mm": number(between(0, 100, "mm")),
        "n_slices": whole_number(1),
        "lungs_in_view_percent": number(between(0, 100, "percent")),
        "status": one_of("ok", "refused"),
        "reason": text(),
        "notes": text(),  # what was done to the scan on the way in
        # How the row came about: see `covidlit.cohort.provenance`.
        "label_rule": text(),
        "checks_changed": text(),
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
        The table with typed columns (`acquisition_date` as datetime64). `path` is absolute, so that
        it holds wherever the table goes; in the file a relative one starts from the file's folder.

    Raises:
        ManifestError: missing file or column, a wrong type, a value out of range, no row, or two
            rows for one scan; names row (counted from 1 without the header), column and value.
    """
    path = Path(path)
    table = validate_manifest(read_table(path, ManifestError), where=path)
    folder = path.resolve().parent
    places = [os.path.normpath(folder / place) for place in table["path"]]
    return table.assign(path=pd.Series(places, table.index, TEXT))


def validate_manifest(table: pd.DataFrame, where: object = "manifest") -> pd.DataFrame:
    """Hold a table against contract 2 and return it with the contract's types.

    It has a column `centre` in any case, empty where the centre is not known.

    Raises:
        ManifestError: see `read_manifest`.
    """
    table = to_dates(validate(table, MANIFEST_SCHEMA, where, ManifestError), "acquisition_date")
    table["class_name"] = tidy_class_names(table["class_name"])
    centre = column_of(table, "centre").astype(TEXT)
    centre = centre.str.strip()  # nobody sees blanks around a name
    table["centre"] = centre.where(centre != "")
    _check_one_row_per_series(table, where)
    _check_rtpcr(table, where)
    return table


def write_manifest(table: pd.DataFrame, path: str | Path) -> Path:
    """Check a manifest and write it as `.csv` or `.parquet`, whole or not at all.

    Absolute paths are written relative to the file's folder, so that both can be moved together,
    unless the two have nothing but the root of the file system in common. Relative ones are kept.
    """
    path = Path(path)
    table = validate_manifest(table, where=path)
    folder = path.resolve().parent
    table["path"] = [_from_folder(Path(place), folder) for place in table["path"]]
    if path.suffix == ".csv" and "acquisition_date" in table:
        table["acquisition_date"] = table["acquisition_date"].dt.strftime("%Y-%m-%d")
    return write_table(table, path)


def _from_folder(path: Path, folder: Path) -> str:
    if not path.is_absolute() or path.parts[:2] != folder.parts[:2]:
        return path.as_posix()
    return Path(os.path.relpath(path, folder)).as_posix()


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
        f"rows {rows_text(table[same])} are the same scan: {' and '.join(by)}: value "
        f"{first['path']!r} stands in each of them.",
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
            f"row {row_texts(table)[row]}, column 'rtpcr_round': value {turn.iloc[row]} does not "
            f"fit rtpcr_initial = {table['rtpcr_initial'].iloc[row]!r} "
            f"({counted(int(wrong.sum()), 'such row')}).",
            where=where,
            fix="rtpcr_round is the number of the first positive test: 1 where the initial one was "
            "positive, 2 or more where it was negative, empty where none was positive.",
        )
