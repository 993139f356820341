"""What a run keeps of its cohort, in `cohort.json`: counts by part, scanners, missing values."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from covidlit.cohort import PARTS, Split
from covidlit.cohort.describe import show_table1, table1, table2
from covidlit.cohort.manifest import MANIFEST_SCHEMA
from covidlit.cohort.provenance import rules_of
from covidlit.cohort.scan_dates import scan_days
from covidlit.cohort.scan_notes import count_notes
from covidlit.cohort.sources import flow_of
from covidlit.cohort.summary import split_summary, split_summary_by_fold
from covidlit.datamodules.tables.table_datamodule import TableDataModule
from covidlit.preprocess import FORMAT

if TYPE_CHECKING:
    from covidlit.cohort.leakage import Suspicion
    from covidlit.datamodules import VolumeDataModule

COHORT_FORMAT = 1
"""Number of the layout of `cohort.json`; raised when a key changes its meaning."""

SCANNER = ("centre", "manufacturer", "scanner_model", "kernel")
"""Columns whose combinations are the rows of the scanner table."""

ACQUISITION = ("slice_thickness_mm", "kvp", "exposure_mas", "n_slices")
"""Columns whose lowest and highest value stand in the scanner table."""

_BOOKKEEPING = {
    "patient_id", "scan_id", "path", "study_uid", "series_uid", "target", "status", "reason",
    "split", "synthetic", "part", "key", "pixel_hash", "acquisition_date_moved", "notes",
    "lungs_in_view_percent", "label_rule", "checks_changed",
}  # fmt: skip
"""Columns that describe no patient and no image."""

_SAME = {
    "patients": "patient_id",
    "studies": "study_uid",
    "series": "series_uid",
    "images": "pixel_hash",
}


def cohort_record_of(datamodules: Sequence[VolumeDataModule | TableDataModule]) -> dict[str, Any]:
    """The record of a datamodule that is set up, or of the folds of a cross-validation.

    Of folds the parts are those of each; what is told by part for one split alone is left out.
    """
    first, tables = datamodules[0], [datamodule.table for datamodule in datamodules]
    record = cohort_record(tables[0], first.split, first.manifest_path, first.suspicions)
    if not isinstance(first, TableDataModule):
        checks, given = first.checks, first.given_checks
        record["checks"] = {
            "override": sorted(checks.override),
            "of_manifest": sorted(checks.override - given.override),
            "min_slices": checks.min_slices,
        }
    if len(datamodules) == 1:
        return record
    everyone = [{k: row[k] for k in ("characteristic", "all")} for row in record["table1"]]
    folds = [datamodule.split.fold for datamodule in datamodules]
    parts = _records(split_summary_by_fold(tables, folds))
    suspicions = Counter(s.kind for datamodule in datamodules for s in datamodule.suspicions)
    return {
        **record, "parts": parts, "table1": everyone, "table2": [], "suspicions": dict(suspicions),
    }  # fmt: skip


def cohort_record(
    table: pd.DataFrame, split: Split, manifest: Path, suspicions: Sequence[Suspicion] = ()
) -> dict[str, Any]:
    """What the files of a run do not say about its cohort, JSON-able; no row of any patient.

    Args:
        table: the datamodule's rows, with `part`, `status`, `reason`, and `pixel_hash` where there
            are images.
        split: of these rows.
        manifest: the file they come from, with its flow of inclusion beside it where there is one.
        suspicions: what may be a leak, of which each kind is counted.
    """
    rows = table[table["part"].notna()]
    flow, note = flow_of(manifest)
    described = show_table1(table1(rows, by="part"))
    order = [name for name in (*PARTS, "all") if name in described]
    return {
        "format": COHORT_FORMAT,
        "manifest": {
            "file": manifest.name,
            "sha256": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        },
        "n_scans": len(rows),
        "n_patients": int(rows["patient_id"].nunique()),
        "n_synthetic": _n_synthetic(rows),
        "n_without_part": int(table["part"].isna().sum()),
        "months": _months(rows),
        "preprocess_format": FORMAT,
        "parts": _records(split_summary(rows)),
        "centres": _records(_by_part(rows, "centre")),
        "in_two_parts": {name: _shared(rows, column) for name, column in _SAME.items()},
        "suspicions": dict(Counter(suspicion.kind for suspicion in suspicions)),
        "table1": _records(described[order].rename_axis("characteristic").reset_index()),
        "table2": _records(table2(table, split).reset_index()),
        "scanners": _records(scanner_table(rows)),
        "flow": None if flow is None else _records(flow),
        "flow_note": note or None,
        "missing": missing_values(rows),
        "columns_absent": sorted({*MANIFEST_SCHEMA.columns} - {*rows.columns} - _BOOKKEEPING),
        "refused": _refused(rows),
        "notes": count_notes(rows["notes"]) if "notes" in rows else {},
        "label_rules": rules_of(rows),
    }


def scanner_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Scans by centre, manufacturer, scanner and kernel, with the range of the acquisition.

    Returns:
        Columns: those of `SCANNER` that there are, `scans`, and those of `ACQUISITION` that there
        are as text, such as "1 to 5"; null where no scan of the row has a value.
    """
    by = [name for name in SCANNER if name in rows]
    measured = [name for name in ACQUISITION if name in rows and rows[name].notna().any()]
    lines = []
    for values, group in rows.groupby(by, dropna=False, sort=True):
        named = dict(zip(by, values, strict=True))
        ranges = {name: _range(group[name]) for name in measured}
        lines.append({**named, "scans": len(group), **ranges})
    return pd.DataFrame(lines, columns=[*by, "scans", *measured])


def missing_values(rows: pd.DataFrame) -> dict[str, int]:
    """For each column that describes patients or images: how many scans have no value."""
    names = [str(name) for name in rows.columns if name not in _BOOKKEEPING]
    return {name: int(rows[name].isna().sum()) for name in names}


def _range(values: pd.Series) -> str | None:
    known = values.dropna().astype(float)
    if known.empty:
        return None
    low, high = known.min(), known.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _shared(rows: pd.DataFrame, column: str) -> dict[str, int] | None:
    """How many values were compared, and how many of them stand in more than one part."""
    if column not in rows or rows[column].isna().all():
        return None
    parts = rows.groupby(column)["part"].nunique()
    return {"compared": len(parts), "shared": int((parts > 1).sum())}


def _by_part(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    counts = rows.groupby([column, "part"], dropna=False).size().unstack(fill_value=0)
    return counts.reindex(columns=list(PARTS), fill_value=0).reset_index()


def _refused(rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    out = rows[rows["status"] != "ok"]
    counts = {part: out.loc[out["part"] == part, "reason"].value_counts() for part in PARTS}
    return {part: {str(why): int(n) for why, n in found.items()} for part, found in counts.items()}


def _n_synthetic(rows: pd.DataFrame) -> int | None:
    """How many scans are marked synthetic; None where the manifest says nothing about it."""
    if "synthetic" not in rows or rows["synthetic"].isna().all():
        return None
    return int(rows["synthetic"].fillna(False).astype(bool).sum())


def _months(rows: pd.DataFrame) -> dict[str, str] | None:
    """First and last month of the acquisition, as YYYY-MM; days could identify a patient.

    Dates that cannot be believed do not count.
    """
    dates, _ = scan_days(rows)
    if dates.isna().all():
        return None
    return {"first": dates.min().strftime("%Y-%m"), "last": dates.max().strftime("%Y-%m")}


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(table.to_json(orient="records"))
    return records
