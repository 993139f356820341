"""Contract 3, the split: which scan is trained on, selected on and tested on, by patient."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.class_names import count_classes
from covidlit.cohort.split import PARTS, Part, Split, patient_keys
from covidlit.errors import SplitError
from covidlit.tables import row_numbers

__all__ = ["centre_held_out", "from_column", "from_file", "patient_k_fold"]


def centre_held_out(
    manifest: pd.DataFrame,
    test_centres: str | int | Sequence[str | int],
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> Split:
    """Test on whole centres that training never sees (the CSAC-Net paper's split).

    Validation patients come from the training centres, stratified by centre and class; a stratum
    of two patients or more gives at least one. A fraction of 0 is the paper's own protocol.

    Args:
        manifest: contract 2; rows with a null `target` are left out of the split.
        test_centres: the centre(s) held out.
        validation_fraction: share of each stratum's patients, in [0, 1).
        seed: chooses the validation patients; the order of the rows does not matter.

    Raises:
        SplitError: an unknown test centre, no training centre left, a patient seen both in a test
            and in a training centre, or a training part with one class only.
    """
    table = rows_with_target(manifest)
    # On the command line a centre called 4 is a number.
    named = [test_centres] if isinstance(test_centres, str | int) else test_centres
    held_out = [str(centre) for centre in named]
    known = sorted(table["centre"].unique())
    for centre in held_out:
        if centre not in known:
            near = get_close_matches(centre, known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise SplitError(
                f"there is no centre {centre!r} in the manifest.",
                where="test_centres",
                fix=f"{hint}the manifest's centres are: {', '.join(known)}.",
            )
    if not held_out or set(held_out) >= set(known):
        raise SplitError(
            f"{held_out} of the centres {known} leaves no centre to "
            f"{'train on' if held_out else 'test on'}.",
            where="test_centres",
            fix="hold out at least one centre and keep at least one; with a single centre use "
            "patient_k_fold.",
        )
    is_test = table["centre"].isin(held_out)
    shared = set(table.loc[is_test, "patient_id"]) & set(table.loc[~is_test, "patient_id"])
    if shared:
        rows = table[table["patient_id"].isin(shared)]
        raise SplitError(
            f"{len(shared)} patient(s) stand both in a test centre and in a training centre, such "
            f"as {min(shared)} in rows {row_numbers(rows[rows['patient_id'] == min(shared)])[:6]}.",
            where="manifest",
            fix="keep these patients' scans of one side only, or use patient_k_fold.",
        )
    validation = _validation_patients(table[~is_test], validation_fraction, seed)
    parts: dict[str, Part] = {
        scan: "test" if test else "validation" if patient in validation else "train"
        for scan, patient, test in zip(table["scan_id"], table["patient_id"], is_test, strict=True)
    }
    arguments = {"test_centres": held_out, "validation_fraction": validation_fraction}
    return _finish(table, "centre_held_out", parts, arguments, seed)


def patient_k_fold(
    manifest: pd.DataFrame,
    n_folds: int = 5,
    fold: int = 0,
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> Split:
    """One fold of a patient-grouped k-fold, stratified by centre and class.

    The test part is fold `fold`; validation patients come from the other folds. The same seed gives
    the same folds for every `fold`, so the test parts of all folds cover the manifest once.

    Args:
        manifest: contract 2; rows with a null `target` are left out of the split.
        n_folds: number of folds, at least 2 and at most the number of patients.
        fold: which one is the test part, 0 to n_folds - 1.
        validation_fraction: share of each stratum's remaining patients, in [0, 1).
        seed: chooses folds and validation patients; the order of the rows does not matter.

    Raises:
        SplitError: `n_folds` or `fold` out of range, or a training part with one class only.
    """
    table = rows_with_target(manifest)
    n_patients = table["patient_id"].nunique()
    if not 2 <= n_folds <= n_patients:
        raise SplitError(
            f"{n_folds} folds of {n_patients} patient(s) cannot be made.",
            where="n_folds",
            fix="choose a number from 2 to the number of patients.",
        )
    tested = patients_of_fold(table, n_folds, fold, seed)
    rest = table[~table["patient_id"].isin(tested)]
    validation = _validation_patients(rest, validation_fraction, seed)
    parts: dict[str, Part] = dict.fromkeys(table["scan_id"], "test")
    for scan, patient in zip(rest["scan_id"], rest["patient_id"], strict=True):
        parts[scan] = "validation" if patient in validation else "train"
    arguments = {"n_folds": n_folds, "validation_fraction": validation_fraction}
    return _finish(table, "patient_k_fold", parts, arguments, seed, fold)


def patients_of_fold(table: pd.DataFrame, n_folds: int, fold: int, seed: int) -> set[str]:
    """The patients of one fold.

    Dealt out like cards, one (class, centre) after another: each class and each centre of a class
    differs by at most one patient between folds, also where a stratum is smaller than `n_folds`.

    Raises:
        SplitError: there is no such fold.
    """
    if not 0 <= fold < n_folds:
        raise SplitError(
            f"there is no fold {fold}.", where="fold", fix=f"choose 0 to {n_folds - 1}."
        )
    dealt = [patient for stratum in ranked_strata(table, seed) for patient in stratum]
    return set(dealt[fold::n_folds])


def from_column(manifest: pd.DataFrame, column: str = "split") -> Split:
    """The split that a column of the manifest gives: `train`, `validation` or `test` in every row.

    Raises:
        SplitError: no such column, or another value in it (named with its row).
    """
    if column not in manifest:
        raise SplitError(
            f"the manifest has no column {column!r}.",
            where="column",
            fix=f"choose one of its columns: {', '.join(map(str, manifest.columns))}.",
        )
    table = rows_with_target(manifest)
    wrong = table[~table[column].isin(PARTS)]
    if len(wrong):
        raise SplitError(
            f"row {row_numbers(wrong)[0]}, column {column!r}: value "
            f"{wrong[column].iloc[0]!r} is no part ({len(wrong)} such row(s)).",
            where="manifest",
            fix=f"write one of {', '.join(PARTS)} into each row, or empty the row's target.",
        )
    parts: dict[str, Part] = dict(zip(table["scan_id"], table[column], strict=True))
    return _finish(table, "from_column", parts, {"column": column}, None)


def from_file(manifest: pd.DataFrame, path: str | Path) -> Split:
    """A split that was saved before, checked against the manifest.

    Raises:
        SplitError: unreadable, edited by hand, or made from another manifest.
    """
    split = Split.load(path)
    split.check_fits(manifest)
    return split


def require_two_targets(trained: pd.DataFrame, where: str, whole: pd.DataFrame) -> None:
    """Refuse a training part of one class: there is nothing to tell apart.

    Args:
        trained: the rows of the training part, with `target`.
        where: what made the part, for the message.
        whole: the rows of all parts.

    Raises:
        SplitError: names the classes of the part.
    """
    if trained["target"].nunique() > 1:
        return
    column = "class_name" if "class_name" in trained else "target"
    raise SplitError(
        f"the training part would hold only target {trained['target'].iloc[0]}, of the class(es) "
        f"{count_classes(trained[column])}.",
        where=where,
        fix="leave a centre or fold with the other class(es) in training."
        if whole["target"].nunique() > 1
        else f"all scans have this target: check class_name ({count_classes(whole[column])}) and "
        "the label rule.",
    )


def rows_with_target(manifest: pd.DataFrame) -> pd.DataFrame:
    """The rows that a split covers, in an order that does not depend on the manifest's."""
    table = manifest[manifest["target"].notna()] if "target" in manifest else manifest
    if table.empty:
        raise SplitError(
            "the manifest has no row with a target to split.",
            where="manifest",
            fix="apply a label rule first, and see its reasons for leaving rows out.",
        )
    return table.sort_values("scan_id")


def ranked_strata(table: pd.DataFrame, seed: int) -> list[list[str]]:
    """The patients of each (class, centre), sorted by it, in an order drawn with the seed.

    A patient with scans of several classes or centres counts in the first of them only.
    """
    column = "class_name" if "class_name" in table else "target"
    stratum = table[column].astype(str) + " / " + table["centre"].astype(str)
    first = stratum.groupby(table["patient_id"]).min()
    keys = dict(zip(table["patient_id"], patient_keys(table), strict=True))
    return [
        sorted(patients.index, key=lambda p: sha256(f"{seed} {keys[p]}".encode()).hexdigest())
        for _, patients in first.groupby(first, sort=True)
    ]


def _validation_patients(table: pd.DataFrame, fraction: float, seed: int) -> set[str]:
    """A share of each stratum's patients: at least one of two or more, never all of them."""
    if not 0 <= fraction < 1:
        raise SplitError(
            f"{fraction} is not a share.",
            where="validation_fraction",
            fix="choose 0 (no validation part) or a number between 0 and 1, such as 0.1.",
        )
    chosen: set[str] = set()
    if fraction == 0:
        return chosen
    for patients in ranked_strata(table, seed):
        n = int(fraction * len(patients) + 0.5)
        # One patient of each stratum stays in training, so that no class of a centre is lost there.
        n = min(max(n, 1), len(patients) - 1)
        chosen.update(patients[:n])
    return chosen


def _finish(
    table: pd.DataFrame,
    kind: str,
    parts: dict[str, Part],
    arguments: dict[str, Any],
    seed: int | None,
    fold: int | None = None,
) -> Split:
    missing = {"train", "test"} - set(parts.values())
    if missing:
        raise SplitError(
            f"the {' and the '.join(sorted(missing))} part would be empty.",
            where=kind,
            fix="use a larger manifest, fewer folds or a smaller validation_fraction.",
        )
    if "target" in table:
        trained = table[[parts[scan] == "train" for scan in table["scan_id"]]]
        require_two_targets(trained, kind, whole=table)
    return Split.of(table, kind=kind, parts=parts, arguments=arguments, seed=seed, fold=fold)
