"""The scans that a model may be developed on: a split without its test part, or folds of it.

Whoever chooses settings by the scores of test scans has no test part any more. So a sweep gets
splits that do not name them.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from covidlit.cohort.leakage import check_leakage
from covidlit.cohort.split import Part, Split, unit_key
from covidlit.cohort.splits import patients_of_fold, require_two_targets, rows_with_target
from covidlit.errors import SplitError


def development_split(split: Split, manifest: pd.DataFrame) -> Split:
    """The training and the validation part of a split, as a split of its own.

    Args:
        split: the whole one.
        manifest: that it was made from, contract 2 with `target`.

    Raises:
        LeakageError: a patient or a series of the test part is in another part, too.
    """
    check_leakage(manifest, split)
    parts: dict[str, Part] = {scan: part for scan, part in split.parts.items() if part != "test"}
    return _derived(split, manifest, parts, {"without": "test"})


def development_fold(split: Split, manifest: pd.DataFrame, n_folds: int, fold: int) -> Split:
    """One fold of a cross-validation inside the training and validation parts of a split.

    The patients of both parts are dealt out to the folds anew, one (class, centre) after another,
    so that each fold has its share; every one of them is in the validation part of one fold. Beside
    `patient_k_fold` this is a nested cross-validation: the fold that it tests stays out of all.
    The folds depend on the split's own seed alone, so they are the same in every trial of a sweep.

    Args:
        split: the whole one.
        manifest: that it was made from, contract 2 with `target`.
        n_folds: number of folds, at least 2.
        fold: which one validates, 0 to n_folds - 1.

    Raises:
        LeakageError: a patient or a series of the test part is in another part, too.
        SplitError: there is no such fold, or some class has fewer patients than there are folds.
    """
    check_leakage(manifest, split)
    if isinstance(n_folds, bool) or not isinstance(n_folds, int) or n_folds < 2:
        raise SplitError(
            f"{n_folds!r} folds cannot be made.",
            where="folds",
            fix="give a whole number of at least 2, or null for no cross-validation.",
        )
    scans = [scan for scan, part in split.parts.items() if part != "test"]
    table = rows_with_target(manifest)
    table = table[table[unit_key(table)].isin(scans)]
    patients = table.groupby("target")["patient_id"].nunique()
    if int(patients.min()) < n_folds:
        raise SplitError(
            f"{n_folds} folds need as many patients of each class; target {patients.idxmin()} has "
            f"{patients.min()} outside the test part.",
            where="folds",
            fix=f"use {patients.min()} folds." if patients.min() > 1 else "choose another split.",
        )
    validated = patients_of_fold(table, n_folds, fold, split.seed or 0)
    parts: dict[str, Part] = {
        scan: "validation" if patient in validated else "train"
        for scan, patient in zip(table[unit_key(table)], table["patient_id"], strict=True)
    }
    require_two_targets(table[~table["patient_id"].isin(validated)], "folds", whole=table)
    arguments = {"without": "test", "folds": n_folds, "validated_fold": fold}
    return _derived(split, manifest, parts, arguments)


def _derived(
    split: Split, manifest: pd.DataFrame, parts: dict[str, Part], arguments: dict[str, Any]
) -> Split:
    table = rows_with_target(manifest)
    return Split.of(
        table[table[unit_key(table)].isin(parts.keys())],
        kind=split.kind,
        seed=split.seed,
        arguments={**split.arguments, **arguments},
        parts=parts,
        fold=split.fold,
    )
