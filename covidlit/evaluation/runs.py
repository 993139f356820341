"""Which runs a predictions table holds: one, or the folds of one cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.counted import counted
from covidlit.errors import PredictionsError
from covidlit.evaluation.folds import fold_name, model_numbers
from covidlit.evaluation.predictions import class_score_columns, read_predictions

TABLE = "predictions.parquet"
"""Name of the predictions table in the folder of a run."""

_POOLED = "only the folds of one cross-validation are pooled: runs of one model, seed and split"


def read_runs(paths: Sequence[str | Path]) -> pd.DataFrame:
    """The predictions of one or more runs as one table.

    Args:
        paths: predictions tables, or run folders with a `predictions.parquet`.

    Raises:
        PredictionsError: a table is missing, given twice or breaks its contract, or their classes
            differ.
    """
    check_given_once(paths)
    files = [table_file(path) for path in paths]
    tables = [read_predictions(path) for path in files]
    for path, table in zip(files, tables, strict=True):
        if class_score_columns(table) != class_score_columns(tables[0]):
            raise PredictionsError(
                f"its classes are not those of {files[0]}.", where=path, fix=f"{_POOLED}."
            )
    return tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)


def check_runs(table: pd.DataFrame) -> None:
    """Refuse several runs in one table, unless each is another fold of one cross-validation.

    Raises:
        PredictionsError: several models or seeds; several runs, or rows of one run, of which some
            have no fold; a fold in two runs; a patient or scan in the test parts of two folds (of
            one repeat); rows of which some have a repeat and others none; repeats that do not test
            the same scans.
    """
    runs = table[["run_id", "model", "seed"]].drop_duplicates()
    folds = table[["run_id"]].assign(fold=model_numbers(table)).drop_duplicates()
    _check_repeats(table)
    if len(folds) == 1 and len(runs) == 1:
        return
    if len(runs) == 1 and folds["fold"].isna().any():
        raise PredictionsError(
            "some rows have a fold and others have none.",
            where="predictions",
            fix="fill the column 'fold' in every row, or leave it out.",
        )
    if len(runs[["model", "seed"]].drop_duplicates()) > 1 or folds["fold"].isna().any():
        named = "; ".join(
            f"run_id={row.run_id}, model={row.model}, seed={row.seed}"
            for row in runs.head(3).itertuples()
        )
        raise PredictionsError(
            f"the table holds {len(runs)} runs ({named}{', ...' if len(runs) > 3 else ''}).",
            where="predictions",
            fix=f"evaluate one run at a time: filter by run_id, model and seed. {_POOLED}.",
        )
    twice = folds[folds["fold"].duplicated(keep=False)]
    if len(twice):
        fold = twice["fold"].iloc[0]
        names = twice.loc[twice["fold"] == fold, "run_id"]
        raise PredictionsError(
            f"fold {fold_name(fold)} stands in the runs {' and '.join(map(str, names))}.",
            where="predictions",
            fix="give one run for each fold.",
        )
    test = table[table["part"] == "test"]
    for column in ("scan_id", "patient_id"):
        shared = test.groupby(["repeat", column], dropna=False)["fold"].nunique()
        shared = shared[shared > 1]
        if len(shared):
            raise PredictionsError(
                f"{counted(len(shared), column.removesuffix('_id'))} in the test parts of several "
                f"folds, such as {shared.index[0][1]}.",
                where="predictions",
                fix="pool runs of one split: the same split.n_folds and split.seed.",
            )


def _check_repeats(table: pd.DataFrame) -> None:
    """Refuse repeats that are not of the same test scans, or not known of every row."""
    if table["repeat"].isna().all():
        return
    if table["repeat"].isna().any() or table["fold"].isna().any():
        raise PredictionsError(
            "some rows have a repeat and a fold and others have not.",
            where="predictions",
            fix="fill the columns 'repeat' and 'fold' in every row, or leave 'repeat' out.",
        )
    test = table[table["part"] == "test"]
    tested = {int(repeat): set(rows["scan_id"]) for repeat, rows in test.groupby("repeat")}
    every = set().union(*tested.values())
    for repeat in sorted(table["repeat"].unique()):
        if lacking := sorted(every - tested.get(int(repeat), set())):
            raise PredictionsError(
                f"repeat {repeat} does not test {counted(len(lacking), 'scan')} that others test, "
                f"such as {lacking[0]}.",
                where="predictions",
                fix="give all folds of each repeat.",
            )


def describe_runs(table: pd.DataFrame) -> dict[str, Any]:
    """The runs of a table that passed `check_runs`, JSON-able.

    `run_id` is None where folds of several runs are pooled; `run_ids` names all, by fold.
    """
    first = table.iloc[0]
    ordered = table.sort_values("fold", kind="stable")["run_id"].dropna().unique()
    run_ids = [str(run_id) for run_id in ordered]
    return {
        "run_id": run_ids[0] if len(run_ids) == 1 else None,
        "run_ids": run_ids,
        "model": None if pd.isna(first["model"]) else str(first["model"]),
        "seed": None if pd.isna(first["seed"]) else int(first["seed"]),
        "folds": sorted(int(fold) for fold in table["fold"].dropna().unique()),
        "repeats": sorted(int(repeat) for repeat in table["repeat"].dropna().unique()),
    }


def split_label(run: str | Path) -> tuple[str, Path]:
    """The label of "LABEL=RUN", empty without one, and the path of the run.

    What exists as it stands is taken as a path: sweeps make folders with a "=" in their names.
    """
    label, equals, path = str(run).partition("=")
    if not equals or Path(run).exists():
        return "", Path(run)
    return label.strip(), Path(path)


def finished_runs(runs: Sequence[str | Path], at_least: int) -> tuple[list[str], list[str]]:
    """Tell finished runs from folders that a failed or interrupted start has left behind.

    Args:
        runs: run folders or predictions tables, each perhaps with "LABEL=" in front, as a shell
            lists them for a pattern such as `runs/NAME/*/`.
        at_least: how many finished runs are needed.

    Returns:
        The finished runs as they were given, and the folders that hold no predictions table.

    Raises:
        PredictionsError: a folder holds no predictions table and fewer than `at_least` others are
            left, or one run is given twice.
    """
    finished: list[str] = []
    skipped: list[str] = []
    for run in map(str, runs):
        path = split_label(run)[1]
        empty = path.is_dir() and not (path / TABLE).is_file()
        (skipped if empty else finished).append(run)
    if skipped and len(finished) < at_least:
        raise PredictionsError(
            f"no predictions.parquet lies in {', '.join(skipped)}: not the folder of a finished "
            f"run ({counted(len(finished), 'other run')} given, {at_least} needed).",
            where="runs",
            fix="give folders of finished runs, or predictions tables; the train.log in a run "
            "folder says why it did not finish.",
        )
    check_given_once(finished)
    return finished, [str(split_label(run)[1]) for run in skipped]


def check_given_once(runs: Sequence[str | Path]) -> None:
    """Refuse one predictions table given twice, be it by its folder, another path or label.

    Raises:
        PredictionsError: names the two.
    """
    seen: dict[Path, str] = {}
    for run in map(str, runs):
        file = table_file(split_label(run)[1]).resolve()
        if file in seen:
            raise PredictionsError(
                f"the same run is given twice: {seen[file]} and {run}."
                if seen[file] != run
                else f"the same run is given twice: {run}.",
                where="runs",
                fix="give each run once.",
            )
        seen[file] = run


def skipped_note(skipped: Sequence[str]) -> dict[str, str] | None:
    """What a reader must know about folders that `finished_runs` skipped, or None without any."""
    if not skipped:
        return None
    folders = f"{len(skipped)} folder{'s' if len(skipped) > 1 else ''}"
    text = (
        f"Skipped, for no predictions.parquet lies there: {folders} ({', '.join(skipped)}). "
        "If a training failed or was interrupted there, its results are missing here."
    )
    return {"code": "skipped", "text": text}


def table_file(path: str | Path) -> Path:
    """The predictions table of a run folder; any other path is taken as the table itself.

    Raises:
        PredictionsError: the folder holds no predictions table.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    file = path / TABLE
    if not file.is_file():
        raise PredictionsError(
            "the folder holds no predictions.parquet.",
            where=path,
            fix="give the folder of a finished run, or a predictions table.",
        )
    return file
