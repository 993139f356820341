"""The methods of a page: one table of predictions each, whatever files the runs came in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

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
from covidlit.evaluation.runs import check_runs, table_file


@dataclass(frozen=True)
class Method:
    """One method's predictions, ready for the page.

    Attributes:
        name: what the page calls it.
        table: validated rows with `target` 0 or 1 (1 = the class of interest) and `threshold`.
        rule: how the threshold was asked for, see `covidlit.evaluation.evaluate`.
        points: the operating point of each fold (key None without folds).
        sampling_of: gives the sampling of some rows, with level, replicates and seed.
        remarks: sentences about rows that could not be used.
    """

    name: str
    table: pd.DataFrame
    rule: str | float
    points: Mapping[int | None, OperatingPoint]
    sampling_of: SamplingOf
    remarks: tuple[str, ...] = ()

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
        predictions: table of contract 6; rows without a usable score are taken as refused.
        rule: how to choose the threshold, see `covidlit.evaluation.evaluate`.
        sampling_of: gives the sampling of some rows.

    Raises:
        PredictionsError: the table breaks its contract, holds several runs that are not folds, has
            no row of the test part, or the rule cannot be applied.
    """
    table = validate_predictions(scoreless_as_refused(predictions), where=name)
    check_runs(table)
    if not (table["part"] == "test").any():
        raise PredictionsError(
            "there is no test part.", where=name, fix="predict the test part as well."
        )
    table, _ = as_binary(table)
    points = operating_points(table, rule)
    counted = " and ".join(f"{n} {part}" for part, n in count_scoreless(table).items())
    remarks = (f"{counted} scan(s) have no score (NaN) and count as refused.",) if counted else ()
    return Method(name, with_threshold(table, points), rule, points, sampling_of, remarks)


def with_threshold(
    table: pd.DataFrame, points: Mapping[int | None, OperatingPoint]
) -> pd.DataFrame:
    """The table with the column `threshold`, that of each row's fold."""
    folds = (None if pd.isna(fold) else int(fold) for fold in table["fold"])
    return table.assign(threshold=[points[fold].threshold for fold in folds])


def read_methods(runs: Sequence[str | Path]) -> dict[str, pd.DataFrame]:
    """The predictions of several runs, one table per method, in the order given.

    A method is a model trained with one seed; runs of the same are pooled if they are the folds of
    one cross-validation.

    Args:
        runs: run folders or predictions tables, each perhaps with a name for its method in front:
            "LABEL=RUN". What exists as it stands is taken as a path.

    Returns:
        Validated tables by the model's name, with the seed where a model has several.

    Raises:
        PredictionsError: a table is missing or breaks its contract, or runs of one model and seed
            are not the folds of one cross-validation.
    """
    pieces: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for run in runs:
        label, file = _labelled(run)
        table = read_predictions(file)
        folder = file.parent.name if file.stem == "predictions" else file.stem
        table["run_id"] = table["run_id"].fillna(folder)
        table["model"] = label or table["model"].fillna(folder)
        for (model, seed), rows in table.groupby(["model", "seed"], dropna=False, sort=False):
            key = (str(model), "" if pd.isna(seed) else str(seed))
            pieces.setdefault(key, []).append(rows)
    models = [model for model, _ in pieces]
    methods = {}
    for (model, seed), tables in pieces.items():
        name = f"{model}, seed {seed or 'unknown'}" if models.count(model) > 1 else model
        methods[name] = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
        if len(tables) > 1:
            _check_pooled(methods[name], name)
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
    label, equals, path = str(run).partition("=")
    if not equals or Path(run).exists():
        label, path = "", str(run)
    return label.strip(), table_file(path)


def _check_pooled(table: pd.DataFrame, name: str) -> None:
    try:
        check_runs(validate_predictions(table, where=name))
    except PredictionsError as problem:
        raise PredictionsError(
            problem.what,
            where=name,
            fix="give each run once, and other runs of this model a name of their own (LABEL=RUN).",
        ) from problem
