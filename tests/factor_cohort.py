"""Patients with a manifest and a table of factors, some of them without a lesion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from covidlit.cohort.factor_tables import validate_factors
from covidlit.tables import write_table

N_PATIENTS = 60


def manifest(n: int = N_PATIENTS, seed: int = 0) -> pd.DataFrame:
    """A third COVID-19, a third CAP, a third without pneumonia; every sixth has two scans."""
    rows = []
    for number in range(n):
        name = ("covid", "cap", "np")[number % 3]
        for scan in range(2 if number % 6 == 0 else 1):
            rows.append(
                {
                    "patient_id": f"P{number:02d}",
                    "scan_id": f"S{number:02d}-{scan}",
                    "path": f"S{number:02d}-{scan}.nii.gz",
                    "class_name": name,
                    "centre": ("centre_1", "centre_4", "centre_4")[number // 3 % 3],
                    "acquisition_date": f"2020-02-{1 + 3 * scan:02d}",
                    "target": int(name == "covid"),
                    "synthetic": True,
                }
            )
    return pd.DataFrame(rows)


def factors(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Contract 8 of these scans: COVID-19 has more and larger lesions, np none."""
    rng = np.random.default_rng(seed)
    rows = []
    for row in table.itertuples(index=False):
        sick = {"covid": 2.0, "cap": 1.0, "np": 0.0}[row.class_name]
        n = int(rng.poisson(2 * sick) + sick)
        volume = n * 20 * rng.lognormal(0.0, 0.3)
        found = {
            "n_lesions": n,
            "total_volume_ml": volume,
            "mean_volume_ml": volume / n if n else None,
            "proportion_percent": volume / 40,
            "max_diameter_3d_mm": 20 * sick * rng.lognormal(0, 0.2) if n else None,
            "max_diameter_2d_mm": 15 * sick * rng.lognormal(0, 0.2) if n else None,
            "mean_density_hu": -500 + 60 * rng.normal() if n else None,
            "edge_clarity_hu_per_mm": 60 + 10 * rng.normal() if n and rng.random() > 0.2 else None,
            "pleural_distance_mm": 4 * rng.random() if n else None,
            "form": 0.8 - 0.05 * sick + 0.03 * rng.normal() if n else None,
            "volume_change_ml": None,
            "density_sd_hu": 80 + 10 * rng.normal() if n else None,
        }
        date = pd.Timestamp(row.acquisition_date)
        rows.append({"patient_id": row.patient_id, "scan_id": row.scan_id,
                     "acquisition_date": date, **found})  # fmt: skip
    return validate_factors(pd.DataFrame(rows))


def write_cohort(
    folder: Path, scans: pd.DataFrame | None = None, measured: pd.DataFrame | None = None
) -> tuple[Path, Path]:
    """Write manifest and factors; paths of the manifest and of the folder of factors."""
    table = manifest() if scans is None else scans
    path, quantified = folder / "manifest.csv", folder / "quantified"
    write_table(table, path)
    quantified.mkdir(exist_ok=True)
    write_table(factors(table) if measured is None else measured, quantified / "factors.parquet")
    return path, quantified
