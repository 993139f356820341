"""What the parts of a split hold, counted."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from covidlit.cohort.columns import column_of
from covidlit.cohort.describe import NOT_KNOWN
from covidlit.cohort.split import PARTS


def split_summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per part, in the order of `PARTS`: scans, patients, scans of each class, centres.

    Args:
        table: the datamodule's rows; those of no part are not counted.
    """
    rows = []
    for part in PARTS:
        group = table[table["part"] == part]
        if len(group) == 0:
            continue
        classes = group["class_name"].value_counts().sort_index()
        rows.append(
            {
                "part": part,
                "scans": len(group),
                "patients": group["patient_id"].nunique(),
                **{str(name): int(count) for name, count in classes.items()},
                "refused": int((group["status"] != "ok").sum()),
                "centres": _centres(column_of(group, "centre")),
            }
        )
    return pd.DataFrame(rows)


def _centres(centres: pd.Series) -> str:
    known = sorted(map(str, centres.dropna().unique()))
    return ", ".join([*known, NOT_KNOWN] if centres.isna().any() else known)


def split_summary_by_fold(
    tables: Sequence[pd.DataFrame], folds: Sequence[int | None]
) -> pd.DataFrame:
    """The rows of `split_summary` for each fold of a cross-validation, such as "fold 0, train".

    Args:
        tables: of the folds' datamodules.
        folds: number of each; one that comes again is of a further repeat, which is named.
    """
    named = [
        summary.assign(part=[f"{fold}, {part}" for part in summary["part"]])
        for fold, summary in zip(fold_titles(folds), map(split_summary, tables), strict=True)
    ]
    return pd.concat(named, ignore_index=True)


def fold_titles(folds: Sequence[int | None]) -> list[str]:
    """Such as "fold 3"; where numbers come again, "fold 3 of repeat 1"."""
    known = [fold or 0 for fold in folds]
    several = len(set(known)) < len(known)
    return [
        f"fold {fold}" + (f" of repeat {known[:place].count(fold)}" if several else "")
        for place, fold in enumerate(known)
    ]
