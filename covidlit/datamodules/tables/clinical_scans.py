"""Imaging factors and scores of image models, joined to clinical rows by patient and date."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from covidlit.cohort.clinical.join import JoinedByDate, join_by_date
from covidlit.cohort.clinical.source import FEATURE_COLUMNS
from covidlit.cohort.columns import column_of, parse_dates
from covidlit.cohort.factor_tables import read_factors
from covidlit.counted import counted
from covidlit.datamodules.tables.factors import factors_file, read_factor_numbers
from covidlit.errors import ManifestError
from covidlit.tables import read_table

SCORE = "score"


def with_factors(
    patients: pd.DataFrame, path: Path, tolerance_days: float, latest_days: float
) -> tuple[JoinedByDate, pd.DataFrame]:
    """Clinical rows with the factors (contract 8) of the nearest scan, and what these are.

    Args:
        patients: `patient_id` and `index_date`.
        path: `factors.parquet`, or its folder.
        tolerance_days, latest_days: see `covidlit.cohort.clinical.join_by_date`.
    """
    numbers = read_factor_numbers(path)
    days = read_factors(factors_file(path))[["scan_id", "acquisition_date"]]
    scans = numbers.table.merge(days, on="scan_id", validate="1:1")
    joined = join_by_date(
        patients, scans, tolerance_days=tolerance_days, latest_days=latest_days, name="factors"
    )
    return joined, numbers.features[list(FEATURE_COLUMNS)]


def with_scores(
    patients: pd.DataFrame,
    path: Path,
    dates: Path | None,
    tolerance_days: float,
    latest_days: float,
) -> tuple[JoinedByDate, pd.DataFrame]:
    """Clinical rows with the score (contract 6) of the nearest scan.

    Scores of the validation part, on which an epoch or a threshold was chosen, do not count.

    Args:
        patients: `patient_id` and `index_date`.
        path: `predictions.parquet`.
        dates: a manifest, or another table with `scan_id` and `acquisition_date`; None: the
            predictions have the dates themselves.
        tolerance_days, latest_days: see `covidlit.cohort.clinical.join_by_date`.

    Raises:
        ManifestError: scans without a date, or with several scores (of several runs).
    """
    table = read_table(path, ManifestError)
    missing = [name for name in ("patient_id", "scan_id", "part", "score") if name not in table]
    if missing:
        raise ManifestError(
            f"{counted(len(missing), 'column')} missing: {', '.join(missing)}.",
            where=path,
            fix="give the predictions.parquet of a run.",
        )
    table = table[(table["part"] == "test") & table["score"].notna()]
    if dates is not None:
        known = read_table(dates, ManifestError).drop_duplicates("scan_id").set_index("scan_id")
        days = table["scan_id"].map(parse_dates(column_of(known, "acquisition_date")))
        table = table.assign(acquisition_date=days)
    elif "acquisition_date" not in table:
        raise ManifestError(
            "predictions have no dates, by which they are joined.",
            where=path,
            fix="give the manifest of their scans: data.scan_dates=manifest.csv.",
        )
    name = f"score_of_{_model(table)}"
    scans = table[["patient_id", "scan_id", "acquisition_date"]].assign(**{name: table["score"]})
    joined = join_by_date(
        patients, scans, tolerance_days=tolerance_days, latest_days=latest_days, name="scores"
    )
    features = [(name, SCORE, f"score of {_model(table)}", "", Path(path).name, "high")]
    return joined, pd.DataFrame(features, columns=list(FEATURE_COLUMNS))


def _model(table: pd.DataFrame) -> str:
    names = column_of(table, "model").dropna().astype(str).unique()
    return names[0] if len(names) == 1 else "image"
