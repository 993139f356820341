"""The runs of a comparison: one for each model and seed, the folds of each pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pandas as pd

from covidlit.errors import PredictionsError
from covidlit.evaluation.evaluate import as_binary
from covidlit.evaluation.predictions import (
    is_synthetic,
    read_predictions,
    scoreless_as_refused,
    validate_predictions,
)
from covidlit.evaluation.run_splits import with_splits
from covidlit.evaluation.runs import check_runs, split_label, table_file
from covidlit.evaluation.settings import check_test_part


@dataclass(frozen=True)
class SeedRun:
    """One model trained with one seed; the folds of a cross-validation are one such run.

    Attributes:
        model: name of the model, or the user's label.
        seed: its seed, None where the table does not say.
        run_ids: names of the runs that were pooled, by fold.
        table: validated rows of the validation and test parts, `target` 0 or 1.
        synthetic: whether the images are synthetic, None where the table does not say.
        positive_class: the class of interest of a table with more than two classes, else None.
    """

    model: str
    seed: int | None
    run_ids: tuple[str, ...]
    table: pd.DataFrame
    synthetic: bool | None
    positive_class: str | None

    @property
    def name(self) -> str:
        """For messages, such as "csacnet, seed 1"."""
        return self.model if self.seed is None else f"{self.model}, seed {self.seed}"

    @property
    def test(self) -> pd.DataFrame:
        """The rows of the test part, refused scans included, by scan_id.

        Where a cross-validation is repeated, by scan_id and repeat: "S1, repeat 0".
        """
        rows = self.table[self.table["part"] == "test"]
        if rows["repeat"].isna().all():
            return rows.set_index("scan_id").sort_index()
        named = rows["scan_id"] + ", repeat " + rows["repeat"].astype("string")
        return rows.set_index(named.rename("scan_id")).sort_index()

    @property
    def repeats(self) -> int:
        """How often the cross-validation was repeated; 1 without."""
        return max(1, self.table["repeat"].nunique())


def seed_runs(tables: Mapping[str, pd.DataFrame] | Sequence[pd.DataFrame]) -> list[SeedRun]:
    """The runs in some predictions tables, by model in the order of the tables, then by seed.

    Args:
        tables: predictions tables; the column `model` tells models apart. With a mapping its keys
            are the models' names instead.

    Raises:
        PredictionsError: a table breaks its contract or names no model, two runs of one model and
            seed are not folds of one cross-validation, or there is no scored test scan.
    """
    named: Sequence[tuple[str | None, pd.DataFrame]] = (
        list(tables.items()) if isinstance(tables, Mapping) else [(None, one) for one in tables]
    )
    pieces: dict[str, dict[int | None, list[pd.DataFrame]]] = {}
    numbers = count(1)
    for label, raw in named:
        where = "predictions" if label is None else label
        table = validate_predictions(scoreless_as_refused(raw), where=where)
        number = next(numbers)
        table["run_id"] = table["run_id"].fillna(f"table {number}")
        table["model"] = table["model"] if label is None else label
        if table["model"].isna().any():
            raise PredictionsError(
                "the column 'model' is empty.",
                where=f"table {number}",
                fix="fill it, or give the run a label.",
            )
        for (model, seed), rows in table.groupby(["model", "seed"], dropna=False, sort=False):
            key = None if pd.isna(seed) else int(seed)
            pieces.setdefault(str(model), {}).setdefault(key, []).append(rows)
    return [
        _seed_run(model, seed, parts)
        for model, seeds in pieces.items()
        for seed, parts in sorted(seeds.items(), key=lambda item: (item[0] is None, item[0] or 0))
    ]


def read_labelled(runs: Sequence[str | Path]) -> list[pd.DataFrame]:
    """Read the tables of some runs, for `seed_runs`.

    Args:
        runs: run folders or predictions tables, each perhaps with a name for its model in front:
            "LABEL=RUN". What exists as it stands is taken as a path.

    Returns:
        One table per run. `model` is the label where there is one, `run_id` the name of the folder
        or file where the table has none; and what the run folder says of its split, see
        `covidlit.evaluation.run_splits`.

    Raises:
        PredictionsError: a table is missing or breaks its contract.
        SplitError: the split of a run was changed by hand.
    """
    tables = []
    for run in runs:
        label, path = split_label(run)
        file = table_file(path)
        table = read_predictions(file)
        in_run_folder = file.stem == "predictions"
        table["run_id"] = table["run_id"].fillna(file.parent.name if in_run_folder else file.stem)
        if label:
            table["model"] = label
        tables.append(with_splits(table, file) if in_run_folder else table)
    return tables


def _seed_run(model: str, seed: int | None, parts: Sequence[pd.DataFrame]) -> SeedRun:
    name = model if seed is None else f"{model}, seed {seed}"
    table = pd.concat(parts, ignore_index=True)
    try:
        check_runs(table)
        if len(parts) > 1:
            table = validate_predictions(table, where=name)
        check_test_part(table)
    except PredictionsError as problem:
        raise PredictionsError(
            problem.what,
            where=name,
            fix="give other runs of this model a label of their own (LABEL=RUN). Of one model and "
            "seed only the folds of one cross-validation belong together."
            if len(parts) > 1
            else problem.fix,
        ) from problem
    table, positive = as_binary(table)
    run_ids = table.sort_values("fold", kind="stable")["run_id"].unique()
    return SeedRun(model, seed, tuple(map(str, run_ids)), table, is_synthetic(table), positive)
