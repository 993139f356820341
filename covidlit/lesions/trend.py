"""A patient's scans in order of their dates: changes of the factors, and what became of lesions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from covidlit.dicom.tracking import tracking_uid
from covidlit.errors import CovidlitError
from covidlit.lesions.agreement import LIMITS, verdict
from covidlit.lesions.changes import Change, lesion_changes
from covidlit.scans.lesion_labels import LesionLabels

_DAY = pd.Timedelta(days=1)

TREND_COLUMNS = (
    "patient_id", "scan_id", "acquisition_date", "days", "n_lesions", "total_volume_ml",
    "volume_change_ml", "volume_change", "proportion_percent", "mean_density_hu",
    "mean_density_change", "lung_volume_ml", "lung_volume_change", "note",
)  # fmt: skip
CHANGE_COLUMNS = (
    "patient_id", "scan_before", "scan_after", "change", "lesions_before", "lesions_after",
    "volume_before_ml", "volume_after_ml", "tracking_uid", "reason", "by_limits_of_total",
)  # fmt: skip
NOT_MATCHED = "not matched"
"""In the column `change`: of two scans, whose lesions cannot be followed for the `reason` beside.
A column that other rows leave empty."""

_WITHIN = "within limits"
SAME_DAY = "another scan on this day"
UNDATED = "no date: not in the trend"


def with_changes(factors: pd.DataFrame) -> pd.DataFrame:
    """The factors with `volume_change_ml` since the patient's previous scan.

    The previous scan is of the last earlier day; where that day has several, their mean counts.
    Scans of one day are not compared with each other, and a scan without a date with none.

    Args:
        factors: as `validate_factors` returns them.
    """
    out = factors.copy()
    out["volume_change_ml"] = pd.Series(float("nan"), index=out.index, dtype="float64")
    for index, previous in _previous(out).items():
        before = out.loc[previous, "total_volume_ml"].mean()
        out.loc[index, "volume_change_ml"] = out.loc[index, "total_volume_ml"] - before
    return out


def _previous(factors: pd.DataFrame) -> dict[Any, list[Any]]:
    """Index of a scan -> those of the patient's scans on the last earlier day."""
    out: dict[Any, list[Any]] = {}
    dated = factors[factors["acquisition_date"].notna()]
    for _, own in dated.groupby("patient_id", sort=False):
        days = own["acquisition_date"].dt.normalize()
        for index, day in days.items():
            earlier = days[days < day]
            if len(earlier):
                out[index] = list(earlier[earlier == earlier.max()].index)
    return out


def trend_table(factors: pd.DataFrame) -> pd.DataFrame:
    """The scans of each patient by date, each with its change since the one before.

    Args:
        factors: as `validate_factors` returns them.

    Returns:
        `TREND_COLUMNS`. The columns that end in `_change` say "more", "less" or "within limits":
        a change is called one only beyond the limits of agreement (`LIMITS`). `days` counts from
        the patient's first scan. `note` says where a scan has no date, or shares its day.
    """
    table = with_changes(factors)
    if "lung_volume_ml" not in table:
        table["lung_volume_ml"] = float("nan")
    table = table.sort_values(
        ["patient_id", "acquisition_date", "scan_id"], kind="stable", na_position="last"
    ).reset_index(drop=True)
    previous = _previous(table)
    first = table.groupby("patient_id")["acquisition_date"].transform("min")
    table["days"] = ((table["acquisition_date"] - first) / _DAY).round().astype("Int64")
    named = (
        ("total_volume_ml", "volume_change"),
        ("mean_density_hu", "mean_density_change"),
        ("lung_volume_ml", "lung_volume_change"),
    )
    for factor, name in named:
        table[name] = [
            verdict(factor, table.loc[previous[k], factor].mean(), table.loc[k, factor])
            if k in previous
            else None
            for k in table.index
        ]
    undated = table["acquisition_date"].isna()
    days = table.assign(acquisition_date=table["acquisition_date"].dt.normalize())
    shared = days.duplicated(["patient_id", "acquisition_date"], keep=False)
    table["note"] = None
    table.loc[shared & ~undated, "note"] = SAME_DAY
    table.loc[undated, "note"] = UNDATED
    return table[list(TREND_COLUMNS)]


def changes_table(
    trend: pd.DataFrame,
    lesions: pd.DataFrame,
    labels_of: Callable[[str], LesionLabels],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What became of each lesion from scan to scan, and the lesions under lasting identifiers.

    Each scan is compared with the patient's scan of the last earlier day, with the first one by
    scan_id where that day has several. Two scans that cannot be compared, as where one has no
    labels or no lung, are a row `NOT_MATCHED` with the reason.

    Args:
        trend: of `trend_table`.
        lesions: as `validate_lesions` returns them; a `tracking_uid` that is not there, as in
            tables of others, is made of scan_id and number.
        labels_of: gives the labels of a scan_id.

    Returns:
        `CHANGE_COLUMNS`, a row per change, in which `by_limits_of_total` says "more", "less" or
        "within limits" by the limits of agreement of the total volume, since none were measured of
        single lesions (`SINGLE_LESIONS`); and the lesions, in which a lesion that was there before
        has the `tracking_uid` it had then (of merged ones that of the largest; of split ones the
        largest part keeps it).
    """
    rows: list[dict[str, Any]] = []
    lesions = _with_identifiers(lesions)
    for patient, before, after in compared(trend):
        scans = {"patient_id": patient, "scan_before": before, "scan_after": after}
        try:
            found = lesion_changes(labels_of(before), labels_of(after))
        except CovidlitError as problem:
            rows.append({**scans, "change": NOT_MATCHED, "reason": _in_one_line(problem)})
            continue
        for change in found:
            uid = _carried(lesions, before, after, change)
            rows.append(
                {
                    **scans,
                    "change": change.kind,
                    "lesions_before": " ".join(map(str, change.before)),
                    "lesions_after": " ".join(map(str, change.after)),
                    "volume_before_ml": change.volume_before_ml,
                    "volume_after_ml": change.volume_after_ml,
                    "tracking_uid": uid,
                    "by_limits_of_total": verdict(
                        "total_volume_ml", change.volume_before_ml, change.volume_after_ml
                    ),
                }
            )
    return pd.DataFrame(rows, columns=list(CHANGE_COLUMNS)), lesions


def compared(trend: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Patient, scan before and scan after of each two whose lesions are matched, by date.

    Args:
        trend: of `trend_table`, or a table of factors.
    """
    table = trend.sort_values(["patient_id", "acquisition_date", "scan_id"], kind="stable")
    previous = _previous(table)
    for index, row in table.iterrows():
        if index in previous:
            before = min(map(str, table.loc[previous[index], "scan_id"]))
            yield str(row["patient_id"]), before, str(row["scan_id"])


def _in_one_line(problem: CovidlitError) -> str:
    where = f"{problem.where}: " if problem.where is not None else ""
    return f"{where}{problem.what}"


def change_text(row: Mapping[str, Any], factor: str = "total_volume_ml") -> str:
    """What became of a factor since the scan before, as "+7.8 (more)"; empty where there is none.

    Args:
        row: of `trend_table`.
        factor: "total_volume_ml", or "lung_volume_ml": its value, with the verdict where it is one.
    """
    if factor == "lung_volume_ml":
        value, said = row["lung_volume_ml"], row["lung_volume_change"]
        text = "" if pd.isna(value) else f"{value:.0f}"
        return f"{text} ({said})" if said in ("more", "less") else text
    if pd.isna(row["volume_change_ml"]):
        return ""
    return f"{row['volume_change_ml']:+.1f} ({row['volume_change']})"


def changes_text(changes: pd.DataFrame) -> str:
    """How many lesions became what, as "2 grown, 1 new (within limits)".

    How many stand within the limits of the total volume is said of those that are new or gone.
    Empty where nothing was matched.
    """
    matched = changes[changes["change"] != NOT_MATCHED]
    parts = []
    for kind, n in matched["change"].value_counts().items():
        small = matched[matched["change"].eq(kind) & matched["by_limits_of_total"].eq(_WITHIN)]
        within = len(small) if kind in ("new", "gone") else 0
        said = f" ({'' if within == n else f'{within} of them '}within limits)" if within else ""
        parts.append(f"{n} {kind}{said}")
    return ", ".join(parts)


def _with_identifiers(lesions: pd.DataFrame) -> pd.DataFrame:
    own = lesions.get("tracking_uid", pd.Series(None, lesions.index, dtype=object)).astype(object)
    made = [
        tracking_uid(str(scan_id), int(number))
        for scan_id, number in zip(lesions["scan_id"], lesions["lesion_id"], strict=True)
    ]
    there = own.notna() & (own != "")
    return lesions.assign(
        tracking_uid=own.where(there, pd.Series(made, lesions.index, dtype=object))
    )


def _carried(lesions: pd.DataFrame, before: str, after: str, change: Change) -> str | None:
    """The identifier of a change's lesion, handed on to the later scan's row."""
    old = _largest(lesions, before, change.before)
    new = _largest(lesions, after, change.after)
    if old is None:
        return None if new is None else str(lesions.loc[new, "tracking_uid"])
    uid = str(lesions.loc[old, "tracking_uid"])
    if new is not None:
        lesions.loc[new, "tracking_uid"] = uid
    return uid


def _largest(lesions: pd.DataFrame, scan_id: str, numbers: tuple[int, ...]) -> Any:
    own = lesions[(lesions["scan_id"] == scan_id) & lesions["lesion_id"].isin(numbers)]
    if not len(own):
        return None
    return own.sort_values(["volume_ml", "lesion_id"], ascending=[False, True]).index[0]


def limits_text() -> list[str]:
    """The limits of agreement in words, one line per factor."""
    lines = []
    for factor, limits in LIMITS.items():
        parts = [f"{limits.absolute:g}"] if limits.absolute else []
        parts += [f"{100 * limits.relative:g}% of the mean of both"] if limits.relative else []
        lines.append(f"{factor}: {' or '.join(parts)}{', what is more' * (len(parts) > 1)}")
    return lines
