"""Clinical rows and scans of one patient, found by their dates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from covidlit.cohort.clinical.elapsed import days_between
from covidlit.cohort.columns import parse_dates
from covidlit.cohort.patient_ids import same_patient, without_zeros
from covidlit.errors import ConfigError, ManifestError


@dataclass(frozen=True)
class JoinedByDate:
    """What a join by patient and date found.

    Args:
        table: the clinical rows in order, with the columns of the scan that belongs to each (NaN
            where there is none), its `scan_id` and `scan_days`, how many days after the row's date
            it was made.
        n_without: clinical rows without a scan.
        n_left: scans that belong to no row.
        lines: sentences on both.
    """

    table: pd.DataFrame
    n_without: int
    n_left: int
    lines: tuple[str, ...]


def join_by_date(
    clinical: pd.DataFrame, scans: pd.DataFrame, *, date: str = "index_date",
    scan_date: str = "acquisition_date", tolerance_days: float = 3.0, latest_days: float = 0.0,
    name: str = "scans",
) -> JoinedByDate:  # fmt: skip
    """Give each clinical row the scan of its patient that is nearest in time.

    Of two equally near ones the earlier counts: no later scan is used without need.

    Args:
        clinical: `patient_id` and `date`, one row per patient (or per patient and date).
        scans: `patient_id`, `scan_id`, a date and what is joined: factors (contract 8), or scores
            (contract 6, with a date).
        date: column of the clinical rows.
        scan_date: column of the scans.
        tolerance_days: a scan further away belongs to no row.
        latest_days: a scan more days after the row's date than this is never used.
        name: of the scans in sentences, such as "factors".

    Raises:
        ManifestError: a scan stands twice, no patient of one table is in the other, or no scan has
            a date.
        ConfigError: days below 0, or a column of both tables.
    """
    for argument, days in (("tolerance_days", tolerance_days), ("latest_days", latest_days)):
        if not days >= 0:
            raise ConfigError(f"must be 0 or more days, not {days}.", where=argument)
    for column, table, where in (
        (date, clinical, "the clinical table"), (scan_date, scans, name), ("scan_id", scans, name),
        ("patient_id", scans, name),
    ):  # fmt: skip
        if column not in table:
            raise ManifestError(f"there is no column {column!r}.", where=where)
    twice = scans[scans["scan_id"].duplicated()]
    if len(twice):
        raise ManifestError(f"scan {twice['scan_id'].iloc[0]} stands twice.", where=name,
                            fix="keep one row for each scan.")  # fmt: skip
    joined = [c for c in scans if c not in ("patient_id", "scan_id", scan_date)]
    shared = [c for c in joined if c in clinical]
    if shared:
        raise ConfigError(f"columns of one name in both tables: {', '.join(map(str, shared))}.",
                          where=name, fix="rename them in one of the tables.")  # fmt: skip
    ours = clinical["patient_id"].astype(str).map(same_patient)
    theirs = scans["patient_id"].astype(str).map(same_patient)
    if not set(ours) & set(theirs):
        alike = {*map(without_zeros, ours)} & {*map(without_zeros, theirs)}
        raise ManifestError(
            f"no patient of {name} is in the clinical table (such as "
            f"{scans['patient_id'].iloc[0]!r} there, {clinical['patient_id'].iloc[0]!r} here).",
            where=name,
            fix="leading zeros may have been lost: write the patients alike."
            if alike
            else "use the same patient ids (pseudonyms of the same key) in both.",
        )
    days = pd.DataFrame(
        {"patient": theirs, "day": parse_dates(scans[scan_date]), "scan": np.arange(len(scans))}
    )
    undated = int(days["day"].isna().sum())
    if undated == len(days):
        raise ManifestError(f"no scan of {name} has a date.", where=f"column {scan_date!r}",
                            fix="complete the dates.")  # fmt: skip
    rows = pd.DataFrame(
        {"patient": ours.to_numpy(), "own": parse_dates(clinical[date]).to_numpy(),
         "row": np.arange(len(clinical))}
    )  # fmt: skip
    pairs = rows.merge(days.dropna(subset="day"), on="patient")
    pairs["after"] = days_between(pairs["own"], pairs["day"])
    near = pairs[(pairs["after"] <= latest_days) & (pairs["after"].abs() <= tolerance_days)]
    near = near.assign(away=near["after"].abs()).sort_values(["row", "away", "after", "scan"])
    best = near.drop_duplicates("row").set_index("row")
    order = best.reindex(np.arange(len(clinical)))
    found = order["scan"].notna().to_numpy()
    values = scans[["scan_id", *joined]].reset_index(drop=True)
    picked = values.reindex(order["scan"].to_numpy()).set_axis(clinical.index)
    table = clinical.assign(scan_days=order["after"].to_numpy()).join(picked)
    n_without, n_left = int((~found).sum()), len(scans) - int(best["scan"].nunique())
    lines = []
    if n_without:
        lines.append(
            f"{n_without} of {len(clinical)} clinical rows have no {name} from {tolerance_days:g} "
            f"days before to {min(latest_days, tolerance_days):g} days after their date."
        )
    if n_left:
        later = int((pairs.groupby("scan")["after"].min() > latest_days).sum())
        lines.append(
            f"{n_left} of {len(scans)} rows of {name} belong to no clinical row"
            + (f" ({later} are too late)" if later else "")
            + (f"; {undated} have no date." if undated else ".")
        )
    return JoinedByDate(table, n_without, n_left, tuple(lines))
