"""Rows that were left out or noted of, in lines for the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from covidlit.cohort.scan_notes import count_notes
from covidlit.cohort.split_mends import centres_with_every_class, validation_fraction_for

if TYPE_CHECKING:
    from covidlit.cohort.split import Split

_REASONS = 3
_IN_REPORT = " A run's report lists those of the test part"
_IN_CACHE = ", prepared.csv in the cache's folder all"


def refused_line(table: pd.DataFrame, unit: str = "scan") -> str:
    """How many scans were refused, with the most frequent reasons; empty where none was.

    Args:
        table: the data's rows: status, reason.
        unit: what a row is.
    """
    refused = table[table["status"] != "ok"]
    if refused.empty:
        return ""
    return (
        f"{len(refused)} of {len(table)} {unit}s were refused and train nothing: "
        f"{_reasons(refused)}." + _listed(table, unit)
    )


def in_no_part(table: pd.DataFrame, unit: str = "scan") -> str:
    """How many rows have no target, hence are in no part, with the most frequent reasons.

    Args:
        table: the data's rows: part, status, reason.
        unit: what a row is.
    """
    rows = table[table["part"].isna() & table["status"].ne("ok")]
    if rows.empty:
        return ""
    return f"{len(rows)} of {len(table)} {unit}s are in no part: {_reasons(rows)}."


def _reasons(refused: pd.DataFrame) -> str:
    counts = refused["reason"].fillna("no reason given").value_counts()
    reasons = [f"{count} x {str(name).rstrip('.')}" for name, count in counts.items()]
    more = f"; {len(reasons) - _REASONS} more reasons" if len(reasons) > _REASONS else ""
    return f"{'; '.join(reasons[:_REASONS])}{more}"


def _listed(table: pd.DataFrame, unit: str) -> str:
    """Where rows that were refused are listed."""
    if unit != "scan":
        return ""
    return f"{_IN_REPORT}{_IN_CACHE if 'pixel_hash' in table else ''}."


def lacking_lines(
    parts: Mapping[str, pd.DataFrame], manifest: pd.DataFrame, split: Split, unit: str = "scan"
) -> list[str]:
    """One line for each part that has no row of some class, with how to split otherwise.

    Args:
        parts: the rows that can be used of the validation and the test part; one that the split
            does not have is left out.
        manifest: all rows, with `target`, and class_name where there is one.
        split: of these rows.
        unit: what a row is.
    """
    targets = sorted(manifest["target"].dropna().unique())
    lines = []
    for part, rows in parts.items():
        lacking = [target for target in targets if not (rows["target"] == target).any()]
        if not lacking or part not in split.parts.values():
            continue
        named = " and ".join(_named(manifest, target) for target in lacking)
        what = (
            "its AUC will be undefined"
            if part == "test"
            else ("no operating point can be chosen on it, and no weights by its AUC")
        )
        lines.append(
            f"The {part} part has no {unit} of {named}: {what}. To mend it: "
            f"{_other_parts(part, manifest, split)}."
        )
    return lines


def _named(manifest: pd.DataFrame, target: object) -> str:
    if "class_name" not in manifest:
        return f"target {target}"
    names = manifest.loc[manifest["target"] == target, "class_name"].dropna().unique()
    return f"target {target} ({', '.join(sorted(map(str, names)))})"


def _other_parts(part: str, manifest: pd.DataFrame, split: Split) -> str:
    if split.kind == "from_column":
        column = split.arguments.get("column", "split")
        return f"write {part} into the column {column} for some patients of every class"
    usable = manifest[manifest["status"] == "ok"] if "status" in manifest else manifest
    if part == "validation":
        fraction = validation_fraction_for(usable, split)
        return (
            "more patients are needed, or set callbacks=last_epoch and a fixed threshold "
            "(evaluation.operating_point=0.5)"
            if fraction is None
            else f"split.validation_fraction={fraction:g}"
        )
    if split.kind == "centre_held_out" and (centres := centres_with_every_class(usable)):
        return f"hold out a centre that has every class (split.test_centres=[{centres[0]}])"
    return "split by patient (split=k_fold split.fold=all)"


def noted_lines(table: pd.DataFrame, unit: str = "scan") -> list[str]:
    """One line for each kind of note on scans that are used, such as a check that was overridden.

    Args:
        table: the data's rows: status, and notes where there are any.
        unit: what a row is.
    """
    if "notes" not in table:
        return []
    used = table[table["status"] == "ok"]
    counts = count_notes(used["notes"])
    return [f"Noted of {n} of {len(used)} {unit}s: {text}" for text, n in counts.items()]
