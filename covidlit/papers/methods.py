"""The methods of a page: one table of predictions each, whatever files the runs came in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from covidlit.counted import counted
from covidlit.errors import PredictionsError
from covidlit.evaluation.evaluate import as_binary
from covidlit.evaluation.operating_point import OperatingPoint, operating_points
from covidlit.evaluation.part import SamplingOf
from covidlit.evaluation.predictions import (
    accepted,
    count_scoreless,
    read_predictions,
    scoreless_as_refused,
    validate_predictions,
)
from covidlit.evaluation.runs import check_runs, split_label, table_file
from covidlit.evaluation.seed_runs import SeedRun
from covidlit.papers.seeds import mean_points, mean_table, runs_by_seed


@dataclass(frozen=True)
class Method:
    """One method's predictions, ready for the page.

    Attributes:
        name: what the page calls it.
        table: validated rows with `target` 0 or 1 (1 = the class of interest) and `threshold`.
        rule: how the threshold was asked for, see `covidlit.evaluation.evaluate`.
        points: the operating point of each fold (key None without folds).
        sampling_of: gives the sampling of some rows, with level, replicates and seed.
        remarks: sentences about rows that could not be used, and about seeds.
        seeds: the runs whose mean scores these are; empty for a single run.
    """

    name: str
    table: pd.DataFrame
    rule: str | float
    points: Mapping[int | None, OperatingPoint]
    sampling_of: SamplingOf
    remarks: tuple[str, ...] = ()
    seeds: tuple[SeedRun, ...] = ()

    def points_of(self, rows: pd.DataFrame) -> dict[int | None, OperatingPoint]:
        """The operating point of each fold, chosen on the validation scans of some rows alone.

        Raises:
            PredictionsError: the rule cannot be applied.
        """
        if self.seeds:
            return mean_points(self.seeds, rows, self.rule)
        return operating_points(rows, self.rule)

    @property
    def test(self) -> pd.DataFrame:
        """The scored rows of the test part."""
        return accepted(self.table[self.table["part"] == "test"])


def as_method(
    name: str, predictions: pd.DataFrame, rule: str | float, sampling_of: SamplingOf
) -> Method:
    """Check one method's predictions, and choose its threshold on its validation part.

    Args:
        name: what the page calls it.
        predictions: table of contract 6; rows without a usable score are taken as refused. Several
            seeds of one model are averaged; see `covidlit.papers.seeds`.
        rule: how to choose the threshold, see `covidlit.evaluation.evaluate`.
        sampling_of: gives the sampling of some rows.

    Raises:
        PredictionsError: the table breaks its contract, holds several runs that are not folds or
            several repeats, has no row of the test part, or the rule cannot be applied; or seeds
            cannot be averaged.
    """
    table = validate_predictions(scoreless_as_refused(predictions), where=name)
    scoreless = count_scoreless(table).items()
    scans = " and ".join(counted(n, f"{part} scan") for part, n in scoreless)
    remarks = (f"{scans} without a score (NaN), taken as refused.",) if scans else ()
    if table["repeat"].nunique() > 1:
        raise PredictionsError(
            "it repeats its cross-validation, and a paper's tables are of one.",
            where=name,
            fix="give a run with cross_validation.repeats=1; covidlit compare takes repeats.",
        )
    if table["seed"].nunique(dropna=False) > 1:
        seeds = tuple(runs_by_seed(table, name))
        table = mean_table(seeds)
        points = mean_points(seeds, table, rule)
        named = ", ".join("unknown" if run.seed is None else str(run.seed) for run in seeds)
        ensemble = (
            f"its scores are averaged over {len(seeds)} seeds ({named}), an ensemble of as many "
            "trainings; covidlit compare shows each seed."
        )
        remarks = (*remarks, ensemble)
        table = with_threshold(table, points)
        return Method(name, table, rule, points, sampling_of, remarks, seeds)
    check_runs(table)
    if not (table["part"] == "test").any():
        raise PredictionsError(
            "there is no test part.", where=name, fix="predict the test part as well."
        )
    table, _ = as_binary(table)
    points = operating_points(table, rule)
    return Method(name, with_threshold(table, points), rule, points, sampling_of, remarks)


def with_threshold(
    table: pd.DataFrame, points: Mapping[int | None, OperatingPoint]
) -> pd.DataFrame:
    """The table with the column `threshold`, that of each row's fold."""
    folds = (None if pd.isna(fold) else int(fold) for fold in table["fold"])
    return table.assign(threshold=[points[fold].threshold for fold in folds])


def read_methods(runs: Sequence[str | Path]) -> dict[str, pd.DataFrame]:
    """The predictions of several runs, one table per method, in the order given.

    A method is a model; runs of one model and seed are pooled if they are the folds of one
    cross-validation, and several seeds become one method, whose scores `as_method` averages. Seeds
    that cannot be averaged, as they have other test scans, are methods of their own.

    Args:
        runs: run folders or predictions tables, each perhaps with a name for its method in front:
            "LABEL=RUN". What exists as it stands is taken as a path.

    Returns:
        Validated tables by the model's name, with the number of its seeds, or the seed, where a
        model has several.

    Raises:
        PredictionsError: a table is missing or breaks its contract, or runs of one model and seed
            are not the folds of one cross-validation.
    """
    pieces: dict[str, dict[str, list[pd.DataFrame]]] = {}
    for run in runs:
        label, file = _labelled(run)
        table = read_predictions(file)
        folder = file.parent.name if file.stem == "predictions" else file.stem
        table["run_id"] = table["run_id"].fillna(folder)
        table["model"] = label or table["model"].fillna(folder)
        for (model, seed), rows in table.groupby(["model", "seed"], dropna=False, sort=False):
            own = "unknown" if pd.isna(seed) else str(seed)
            pieces.setdefault(str(model), {}).setdefault(own, []).append(rows)
    methods: dict[str, pd.DataFrame] = {}
    for model, seeds in pieces.items():
        names = {seed: f"{model}, seed {seed}" if len(seeds) > 1 else model for seed in seeds}
        pooled = {names[seed]: _pooled(tables, names[seed]) for seed, tables in seeds.items()}
        every = pd.concat(pooled.values(), ignore_index=True)
        if len(seeds) > 1 and _can_be_averaged(every, model):
            methods[f"{model}, mean of {len(seeds)} seeds"] = every
        else:
            methods |= pooled
    return methods


def run_rule(run: str | Path) -> str | float | None:
    """How the evaluation of a run chose its threshold, from the `metrics.json` in its folder.

    Args:
        run: as in `read_methods`.

    Returns:
        The rule, or None where there is no such file.

    Raises:
        PredictionsError: the file is no record of an evaluation.
    """
    _, file = _labelled(run)
    metrics = file.with_name("metrics.json")
    if file.stem != "predictions" or not metrics.is_file():
        return None
    try:
        return json.loads(metrics.read_text(encoding="utf-8"))["settings"]["operating_point"]
    except (ValueError, KeyError, TypeError) as problem:
        raise PredictionsError(
            "the file does not say how the threshold was chosen.",
            where=metrics,
            fix="run covidlit evaluate on the run again, or name the operating point.",
        ) from problem


def _labelled(run: str | Path) -> tuple[str, Path]:
    """The label in front of a run, empty without one, and its predictions table."""
    label, path = split_label(run)
    return label, table_file(path)


def _can_be_averaged(table: pd.DataFrame, name: str) -> bool:
    try:
        runs_by_seed(table, name)
    except PredictionsError:  # each seed is shown by itself then, and is checked as that
        return False
    return True


def _pooled(tables: Sequence[pd.DataFrame], name: str) -> pd.DataFrame:
    """The runs of one model and seed as one table."""
    if len(tables) == 1:
        return tables[0]
    table = pd.concat(tables, ignore_index=True)
    try:
        check_runs(validate_predictions(table, where=name))
    except PredictionsError as problem:
        raise PredictionsError(
            problem.what,
            where=name,
            fix="give each run once, and other runs of this model a name of their own (LABEL=RUN).",
        ) from problem
    return table
