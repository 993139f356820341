"""Contract 3, the split: which scan is trained on, selected on and tested on, by patient."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.class_names import count_classes
from covidlit.cohort.columns import column_of
from covidlit.cohort.endpoint import TIME
from covidlit.cohort.spellings import require_one_spelling
from covidlit.cohort.split import PARTS, Part, Split, patient_keys, unit_key
from covidlit.counted import counted
from covidlit.errors import SplitError
from covidlit.tables import row_texts, rows_text

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
        test_centres: the centres held out.
        validation_fraction: share of each stratum's patients, in [0, 1).
        seed: chooses the validation patients; the order of the rows does not matter.

    Raises:
        SplitError: an unknown test centre, no training centre left, a row without a centre, a
            patient seen both in a test and in a training centre, or a training part with one class
            only.
    """
    table = rows_with_target(manifest)
    # On the command line a centre called 4 is a number.
    named = [test_centres] if isinstance(test_centres, str | int) else test_centres
    held_out = [str(centre) for centre in named]
    _require_centres(table)
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
            fix="hold out at least one centre and keep at least one, as split.test_centres="
            f"[{known[0]}] does."
            if len(known) > 1
            else "split by patient: split=k_fold (patient_k_fold).",
        )
    is_test = table["centre"].isin(held_out)
    require_one_spelling(table, is_test)
    shared = set(table.loc[is_test, "patient_id"]) & set(table.loc[~is_test, "patient_id"])
    if shared:
        rows = table[table["patient_id"].isin(shared)]
        raise SplitError(
            f"{counted(len(shared), 'patient')} both in a test centre and in a training centre, "
            f"such as {min(shared)} in rows {rows_text(rows[rows['patient_id'] == min(shared)])}.",
            where="manifest",
            fix="keep these patients' scans of one side only, or split by patient: split=k_fold "
            "(patient_k_fold).",
        )
    validation = _validation_patients(table[~is_test], validation_fraction, seed)
    parts: dict[str, Part] = {
        scan: "test" if test else "validation" if patient in validation else "train"
        for scan, patient, test in zip(
            table[unit_key(table)], table["patient_id"], is_test, strict=True
        )
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

    The test part is fold `fold`. Its validation patients are those that the folds after it test,
    in turn, so the folds select on different patients. The same seed gives the same folds for every
    `fold`: each patient is tested once and, with three folds or more, trained on in some fold. (Of
    two folds, what one does not test it trains or selects on.)

    Args:
        manifest: contract 2; rows with a null `target` are left out of the split.
        n_folds: number of folds, at least 2 and at most the number of patients.
        fold: which one is the test part, 0 to n_folds - 1.
        validation_fraction: share of each stratum's remaining patients, in [0, 1); less where
            some patient would be trained on in no fold.
        seed: chooses folds and validation patients; the order of the rows does not matter.

    Raises:
        SplitError: `n_folds` or `fold` out of range, or a training part with one class only.
    """
    table = rows_with_target(manifest)
    n_patients = table["patient_id"].nunique()
    if not 2 <= n_folds <= n_patients:
        raise SplitError(
            f"{n_folds} folds of {counted(n_patients, 'patient')} cannot be made.",
            where="n_folds",
            fix=f"set split.n_folds to 2 up to {n_patients}."
            if n_patients > 1
            else "a split needs patients: add some, or check that patient_id tells them apart.",
        )
    tested = patients_of_fold(table, n_folds, fold, seed)
    rest = table[~table["patient_id"].isin(tested)]
    validation = _validation_of_fold(table, validation_fraction, n_folds, fold, seed)
    parts: dict[str, Part] = dict.fromkeys(table[unit_key(table)], "test")
    for scan, patient in zip(rest[unit_key(rest)], rest["patient_id"], strict=True):
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
    if not isinstance(fold, int) or not 0 <= fold < n_folds:
        raise SplitError(
            f"there is no fold {fold}.",
            where="fold",
            fix=f"choose 0 to {n_folds - 1}; in a run, split.fold=all is all of them.",
        )
    strata = _dealt_strata(table, n_folds, seed)
    return {patient for own in strata for patient, tested_in in own.items() if tested_in == fold}


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
            f"row {row_texts(wrong)[0]}, column {column!r}: value "
            f"{wrong[column].iloc[0]!r} is no part ({counted(len(wrong), 'such row')}).",
            where="manifest",
            fix=f"write one of {', '.join(PARTS)} into each row, or empty the row's target.",
        )
    parts: dict[str, Part] = dict(zip(table[unit_key(table)], table[column], strict=True))
    return _finish(table, "from_column", parts, {"column": column}, None)


def from_file(manifest: pd.DataFrame, path: str | Path) -> Split:
    """A split that was saved before, checked against the manifest.

    Raises:
        SplitError: unreadable, edited by hand, or made from another manifest.
    """
    split = Split.load(path)
    split.check_fits(manifest)
    return split


def require_two_targets(
    trained: pd.DataFrame,
    where: str,
    whole: pd.DataFrame,
    mend: str = "leave a centre or fold with another class in training.",
) -> None:
    """Refuse a training part of one class: there is nothing to tell apart.

    Args:
        trained: the rows of the training part, with `target`.
        where: what made the part, for the message.
        whole: the rows of all parts.
        mend: what to do where the other classes are in other parts.

    Raises:
        SplitError: names the classes of the part.
    """
    if trained["target"].nunique() > 1:
        return
    column = "class_name" if "class_name" in trained else "target"
    classes = "class" if trained[column].nunique() == 1 else "classes"
    raise SplitError(
        f"the training part would hold only target {trained['target'].iloc[0]}, of the "
        f"{classes} {count_classes(trained[column])}.",
        where=where,
        fix=mend
        if whole["target"].nunique() > 1
        else f"all {_unit(whole)}s have this target: check class_name "
        f"({count_classes(whole[column])}) and the label rule.",
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
    return table.sort_values(unit_key(table))


def _require_centres(table: pd.DataFrame) -> None:
    """Refuse rows whose centre is not known: they may be of the centre that is held out."""
    unknown = table[column_of(table, "centre").isna()]
    if unknown.empty:
        return
    every = len(unknown) == len(table)
    rows = unknown.sort_index() if unknown.index.is_unique else unknown
    raise SplitError(
        f"the centre of no {_unit(table)} is known."
        if every
        else f"the centre of {counted(len(rows), _unit(table))} is not known (rows "
        f"{rows_text(rows)}); they may be of a test centre.",
        where="manifest, column 'centre'",
        fix="fill the column, or split by patient: split=k_fold (patient_k_fold).",
    )


def _unit(table: pd.DataFrame) -> str:
    """What a row is, in words."""
    return unit_key(table).removesuffix("_id")


def ranked_strata(table: pd.DataFrame, seed: int) -> list[list[str]]:
    """The patients of each (class, centre), sorted by it, in an order drawn with the seed.

    A patient with scans of several classes or centres counts in the first of them only. Without a
    column `centre` all scans are of one centre.
    """
    strata = pd.DataFrame(
        {
            "class": _classes(table),
            "centre": _as_text(table, "centre"),
            "patient": table["patient_id"],
            "key": patient_keys(table),
        }
    )
    strata = strata.sort_values(["class", "centre"]).drop_duplicates("patient")
    strata["rank"] = [sha256(f"{seed} {key}".encode()).hexdigest() for key in strata["key"]]
    groups = strata.sort_values("rank").groupby(["class", "centre"], sort=True)["patient"]
    return [list(patients) for _, patients in groups]


def _classes(table: pd.DataFrame) -> list[str]:
    """The class of each row; the same for all where the target is no class, but a quantity."""
    if "class_name" in table or "target" not in table:
        return _as_text(table, "class_name")
    whole = pd.to_numeric(table["target"]).mod(1).eq(0).all()
    return _as_text(table, "target") if whole else [""] * len(table)


def _as_text(table: pd.DataFrame, column: str) -> list[str]:
    return ["" if pd.isna(value) else str(value) for value in column_of(table, column)]


def _dealt_strata(table: pd.DataFrame, n_folds: int, seed: int) -> list[dict[str, int]]:
    """The patients of each stratum, in their order, and the fold that each is dealt to."""
    fold_of = cycle(range(n_folds))
    return [dict(zip(stratum, fold_of, strict=False)) for stratum in ranked_strata(table, seed)]


def _validation_of_fold(
    table: pd.DataFrame, fraction: float, n_folds: int, fold: int, seed: int
) -> set[str]:
    """The validation patients of one fold, taken in turn from the folds after it.

    The patients of a stratum stand in a circle, by the fold that tests them. Behind those of `fold`
    come its validation patients, then its training patients, at least all of the fold before it:
    so each patient is trained on where the next fold is tested.
    """
    _check_fraction(fraction)
    chosen: set[str] = set()
    for tested_in in _dealt_strata(table, n_folds, seed):
        circle = sorted(tested_in, key=lambda p: (tested_in[p] - fold - 1) % n_folds)
        rest = [patient for patient in circle if tested_in[patient] != fold]
        if len(rest) == len(circle):
            # Fewer patients than folds, and none of them tested here: these folds take turns.
            first = fold % len(rest)
            rest = [*rest[first:], *rest[:first]]
        if fraction == 0 or not rest:
            continue
        before = sum(tested_in[patient] == tested_in[rest[-1]] for patient in rest)
        kept = 1 if n_folds == 2 else before
        chosen.update(rest[: min(_share(fraction, len(rest)), len(rest) - kept)])
    return chosen


def _validation_patients(table: pd.DataFrame, fraction: float, seed: int) -> set[str]:
    """A share of each stratum's patients: at least one of two or more, never all of them."""
    _check_fraction(fraction)
    chosen: set[str] = set()
    for patients in ranked_strata(table, seed) if fraction else ():
        # One patient of each stratum stays in training, so that no class of a centre is lost there.
        chosen.update(patients[: min(_share(fraction, len(patients)), len(patients) - 1)])
    return chosen


def _share(fraction: float, n: int) -> int:
    """How many of `n` patients a share is, at least one."""
    return max(int(fraction * n + 0.5), 1)


def _check_fraction(fraction: float) -> None:
    if not 0 <= fraction < 1:
        raise SplitError(
            f"{fraction} is not a share.",
            where="validation_fraction",
            fix="choose 0 (no validation part) or a number between 0 and 1, such as 0.1.",
        )


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
            fix=f"write {' and '.join(sorted(missing))} into the column "
            f"{arguments['column']} for some patients of every class."
            if kind == "from_column"
            else "use a larger manifest, fewer folds or a smaller validation_fraction.",
        )
    if "target" in table and TIME not in table:  # times tell where all have the event
        trained = table[[parts[scan] == "train" for scan in table[unit_key(table)]]]
        mend = _other_split(table, kind, arguments, seed, fold)
        require_two_targets(trained, kind, whole=table, mend=mend)
    return Split.of(table, kind=kind, parts=parts, arguments=arguments, seed=seed, fold=fold)


def _other_split(
    table: pd.DataFrame, kind: str, arguments: dict[str, Any], seed: int | None, fold: int | None
) -> str:
    """How to split these rows otherwise, so that more than one class is trained on."""
    if kind == "from_column":
        return (
            f"write train into the column {arguments['column']} for some patients of another class."
        )
    if kind == "patient_k_fold":
        numbers = range(arguments["n_folds"])
        tested = [patients_of_fold(table, arguments["n_folds"], n, seed or 0) for n in numbers]
        rest = [table[~table["patient_id"].isin(patients)] for patients in tested]
        found = [n for n in numbers if n != fold and rest[n]["target"].nunique() > 1]
        other = f"test another fold (split.fold={found[0]}), or " if found else ""
        return f"{other}add patients of other classes: each class needs two at least."
    centres = table.groupby("centre")["target"].nunique()
    both = [str(name) for name in centres.index[centres > 1]]  # tested on, they give an AUC
    for name in [*both, *map(str, centres.index)]:
        if table.loc[table["centre"] != name, "target"].nunique() > 1:
            return f"hold out another centre, as split.test_centres=[{name}] does, or {_BY_PATIENT}"
    return f"no centre can be held out without losing a class: {_BY_PATIENT}"


_BY_PATIENT = "split by patient (split=k_fold): then see the centre check before the result."
