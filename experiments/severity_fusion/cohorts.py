"""Synthetic patients with laboratory values and factors measured on the true lesions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from pydicom import dcmread

from covidlit.cohort.clinical import read_clinical, write_clinical
from covidlit.cohort.scan_reader import ScanReader
from covidlit.dicom import Checks
from covidlit.lesions import quantify_labels, read_labels
from covidlit.synthetic.source import synthetic_manifest
from covidlit.tables import read_table, write_table

DATA = Path(__file__).parents[2] / "data" / "severity_fusion"
PAPER = 140
SEED = 20
N_SCANS = {140: 400, 280: 800}
"""Scans to draw, so that there are as many patients of each class."""

SEVERE = ("severe", "critical")


def synthetic_cohort(n_patients: int) -> tuple[Path, Path]:
    """A clinical table of so many patients, half of them severe, and the factors of their scans.

    Returns:
        Paths of both; made once.
    """
    n_scans = N_SCANS[n_patients]
    manifest = synthetic_manifest(
        str(DATA), n_jobs=2, inclusion=None, preset="severity", n_scans=n_scans, seed=SEED,
        matrix=96, thickness_mm=10.0,
    )  # fmt: skip
    root = Path(manifest).parent
    factors = root / "factors.parquet"
    if not factors.is_file():
        _measure(Path(manifest), root / "truth", factors)
    table = root / f"clinical_{n_patients}.csv"
    if not table.is_file():
        rows = read_clinical(root / "clinical.csv")
        write_clinical(rows[rows["patient_id"].isin(_half_of_each(rows, n_patients))], table)
    return table, factors


def some_patients(table: Path, n_patients: int) -> Path:
    """The clinical table of the first so many patients, half of each class."""
    path = table.with_name(f"{table.stem}_of_{n_patients}.csv")
    if not path.is_file():
        rows = read_clinical(table)
        write_clinical(rows[rows["patient_id"].isin(_half_of_each(rows, n_patients))], path)
    return path


def permuted_table(table: Path, seed: int) -> Path:
    """The clinical table with the severity of each patient given to another."""
    path = table.with_name(f"{table.stem}_permuted_{seed}.csv")
    if not path.is_file():
        rows = read_clinical(table)
        worst = _is_severe(rows)
        other = dict(zip(worst.index, np.random.default_rng(seed).permutation(worst), strict=True))
        severe = rows["patient_id"].map(other).astype(bool)
        rows = rows.assign(severity=np.where(severe, "severe", "moderate"))
        known_later = [name for name in ("severity_at_admission", "progressed", "outcome",
                                         "event_time_days") if name in rows]  # fmt: skip
        write_clinical(rows.drop(columns=known_later), path)
    return path


def _is_severe(rows: pd.DataFrame) -> pd.Series:
    return rows["severity"].isin(SEVERE).groupby(rows["patient_id"]).any()


def _half_of_each(rows: pd.DataFrame, n_patients: int) -> list[str]:
    severe = _is_severe(rows)
    chosen = [*severe.index[severe][: n_patients // 2], *severe.index[~severe][: n_patients // 2]]
    assert len(chosen) == n_patients, "draw more scans"
    return list(chosen)


def _measure(manifest: Path, truth: Path, path: Path) -> None:
    rows = []
    for row in read_table(manifest, ValueError).to_dict("records"):
        place = manifest.parent / row["path"]
        scan = ScanReader(str(place), row.get("series_uid"), Checks())()
        labels = read_labels(truth, row["scan_id"], scan)
        # The manifest has pseudonyms, the clinical table the names of the cohort.
        first = next(path for path in sorted(place.iterdir()) if path.is_file())
        patient = str(dcmread(first, stop_before_pixels=True).PatientID)
        found = quantify_labels(scan, labels, patient_id=patient, scan_id=row["scan_id"]).scan
        rows.append({**found, "acquisition_date": row["acquisition_date"]})
    write_table(pd.DataFrame(rows), path)
