"""Subgroup analysis: the same measures within each value of a manifest column."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from covidlit.evaluation.auc import sampled_auc
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.proportions import proportion
from covidlit.evaluation.settings import check_columns

DEFAULT_SUBGROUPS = (
    "centre",
    "class_name",
    "rtpcr_initial",
    "sex",
    "age",
    "aetiology",
    "severity",
    "manufacturer",
    "kernel",
    "slice_thickness_mm",
    "quality_grade",
)
"""Columns that are analysed if they are present and have at least two values."""

ALWAYS = ("centre", "class_name")
"""Default columns that are shown even with one value."""

CASE_COLUMNS = ("rtpcr_initial", "rtpcr_round", "severity")
"""Columns that describe cases: each group of positive scans is compared with all negative scans,
as the paper does for cases by their first RT-PCR result."""

CLASS_COLUMNS = ("class_name", "aetiology")
"""Columns that are tied to the class: a group of negative scans is compared with all positive
ones and the other way round (the paper's S1 vs S2 and S1 vs S3).

In any other column a group of a single class has no AUC: borrowing the other class from another
group, such as another centre, would measure the group rather than the disease.
"""

AGE_EDGES = (40.0, 60.0, 80.0)
MAX_GROUPS = 12
MISSING = "missing"


def subgroup_labels(values: pd.Series, name: str) -> pd.Series:
    """The group of each scan, as ordered text labels; missing values are a group of their own.

    Ages are cut at 40, 60 and 80 years, other numbers with more than six values at their tertiles;
    of texts with more than twelve values the rarer ones are joined.
    """
    if pd.api.types.is_bool_dtype(values):
        return values.astype("string").fillna(MISSING)
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.astype("Float64").to_numpy(np.float64, na_value=np.nan)
        known = np.isfinite(numbers)
        if name == "age":
            return _cut(numbers, AGE_EDGES, [f"{edge:g}" for edge in AGE_EDGES], values.index)
        exact = values.astype("string").str.removesuffix(".0").where(known, MISSING)
        if exact[known].nunique() <= 6:
            return exact
        edges = np.unique(np.quantile(numbers[known], [1 / 3, 2 / 3], method="higher"))
        return _cut(numbers, edges, [exact[numbers == edge].iloc[0] for edge in edges], exact.index)
    labels_text = values.astype("string").fillna(MISSING)
    counts = labels_text.value_counts()
    if len(counts) > MAX_GROUPS:
        kept = set(counts.index[: MAX_GROUPS - 1])
        labels_text = labels_text.where(labels_text.isin(kept), "all others")
    return labels_text


def subgroups(
    table: pd.DataFrame,
    decision: NDArray[np.bool_],
    sampling: Sampling,
    columns: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Measures per subgroup.

    Args:
        table: scored rows of one part, with `target` 0 or 1.
        decision: shape (n,), true where the scan is called positive.
        sampling: how these scans were sampled.
        columns: which columns; by default those of `DEFAULT_SUBGROUPS` that are present.

    Returns:
        One record per column and value: column, group, n, n_positive, compared_with ("within the
        group", "all negatives", "all positives"), auc, sensitivity, specificity. A column
        without any value gives one record, "missing", whose measures are undefined.

    Raises:
        PredictionsError: a column that was asked for is not in the table.
    """
    if columns is None:
        columns = [name for name in DEFAULT_SUBGROUPS if _is_shown(table, name)]
    check_columns(table, columns)
    records = []
    for name in columns:
        if table[name].isna().all():
            records.append(_empty(name, table["target"], sampling))
            continue
        labels = subgroup_labels(table[name], name)
        for group in _in_order(labels, table[name]):
            member = (labels == group).to_numpy(bool)
            records += _records(table, decision, sampling, name, group, member)
    return records


def _records(
    table: pd.DataFrame,
    decision: NDArray[np.bool_],
    sampling: Sampling,
    name: str,
    group: str,
    member: NDArray[np.bool_],
) -> list[dict[str, Any]]:
    """Usually one record; a class-tied group that holds both classes gives one for each class."""
    target = table["target"].to_numpy(bool)
    if name not in CASE_COLUMNS + CLASS_COLUMNS:
        return [_record(table, decision, sampling, name, group, member, "within the group")]
    kinds = (True,) if name in CASE_COLUMNS else (True, False)
    classes = [value for value in kinds if (member & (target == value)).any()]
    records = []
    for value in classes:
        own = member & (target == value)
        suffix = "" if len(classes) == 1 else (", positive scans" if value else ", negative scans")
        other = "all negatives" if value else "all positives"
        rows = own | (target != value)
        records.append(
            _record(table, decision, sampling, name, group + suffix, rows, other, own=own)
        )
    return records


def _record(
    table: pd.DataFrame,
    decision: NDArray[np.bool_],
    sampling: Sampling,
    name: str,
    group: str,
    rows: NDArray[np.bool_],
    compared_with: str,
    own: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    target, score = table["target"].to_numpy(bool), table["score"].to_numpy(float)
    own = rows if own is None else own
    part, inside = sampling.subset(rows), own[rows]
    y, called = target[rows], decision[rows]
    if y.all() or not y.any():
        only = "positive" if y.any() else "negative"
        auc = Estimate.undefined(
            f"only {only} scans in this group", sampling.per_repeat(int(rows.sum()))
        )
    else:
        auc = sampled_auc(y, score[rows], part)
    return {
        "column": name,
        "group": group,
        "n": sampling.per_repeat(int(own.sum())),
        "n_positive": sampling.per_repeat(int((own & target).sum())),
        "compared_with": compared_with,
        "auc": auc.to_dict(),
        "sensitivity": proportion(called, y & inside, part, "no positive scan").to_dict(),
        "specificity": proportion(~called, ~y & inside, part, "no negative scan").to_dict(),
    }


def _empty(name: str, target: pd.Series, sampling: Sampling) -> dict[str, Any]:
    """The record of a column without a single value: its one group would be the whole part."""
    n, n_positive = sampling.n_scans, sampling.per_repeat(int(target.sum()))
    nothing = Estimate.undefined(f"none of the {n} scans has a value in this column").to_dict()
    record = {"column": name, "group": MISSING, "n": n, "n_positive": n_positive}
    record |= {"compared_with": "within the group", "auc": nothing}
    return record | {"sensitivity": nothing, "specificity": nothing}


def _is_shown(table: pd.DataFrame, name: str) -> bool:
    if name not in table.columns:
        return False
    return name in ALWAYS or table[name].nunique(dropna=True) >= 2


def _in_order(labels: pd.Series, values: pd.Series) -> list[str]:
    """Groups from the smallest number or letter up; joined and missing ones last."""
    found = [str(label) for label in labels.unique()]
    last = {"all others": 1, MISSING: 2}
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers = values.astype("Float64").groupby(labels).min()
        return sorted(
            found,
            key=lambda label: (
                last.get(label, 0),
                float("inf") if pd.isna(numbers[label]) else float(numbers[label]),
            ),
        )
    return sorted(found, key=lambda label: (last.get(label, 0), label))


def _cut(
    numbers: NDArray[np.floating], edges: ArrayLike, texts: Sequence[str], index: pd.Index
) -> pd.Series:
    names = [f"below {texts[0]}"]
    names += [f"{low} to below {high}" for low, high in pairwise(texts)]
    names.append(f"{texts[-1]} and above")
    position = np.searchsorted(edges, numbers, side="right")
    labels = [
        names[place] if np.isfinite(number) else MISSING
        for place, number in zip(position, numbers, strict=True)
    ]
    return pd.Series(labels, index=index, dtype="string")
