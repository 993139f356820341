"""Scores of the rows of a table, with what is missing and what lies outside the training range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from covidlit.deploy.tables.all_folds import AllFolds
from covidlit.deploy.tables.model import TableModel
from covidlit.deploy.tables.read_rows import Rows, read_rows
from covidlit.deploy.tables.row_facts import notes_of_rows, row_facts, seen_rows

COLUMNS = (
    "score", "score_low", "score_high", "predicted_class", "operating_point", "n_missing",
    "missing", "n_outside", "outside", "status", "reason", "notes", "trained_on_synthetic",
)  # fmt: skip

NO_POINT = "called neither positive nor negative: the model has no operating point"
OF_ALL_FOLDS = (
    "mean of the models of all folds, of which the cross-validation has tested each alone: its "
    "results are not exactly those of the mean, which has no operating point and is not called"
)
SEEN = {
    "train": "in the training part of this model's run: the score says nothing of new patients",
    "validation": "in the validation part of this model's run, which its operating point was "
    "chosen on: the score is optimistic",
}


@dataclass(frozen=True)
class ScoredRows:
    """A table of scores and what it came from.

    Args:
        table: `patient_id` or `scan_id`, a date where known, then `COLUMNS`.
        rows: as the model took them.
    """

    table: pd.DataFrame
    rows: Rows


def predict_rows(
    model: TableModel,
    path: str | Path,
    mapping: str | None = None,
    checkpoint: str | Path | None = None,
) -> ScoredRows:
    """Score the rows of a table.

    Args:
        model: see `covidlit.deploy.tables.model.load_table_model`.
        path: of the table; see `covidlit.deploy.tables.read_rows.read_rows`.
        mapping: of a hospital's own table.
        checkpoint: whose run's folder, if it lies in one, tells who the model was trained on.

    Returns:
        One row each: `score`; `score_low` and `score_high`, the lowest and the highest that a
        member of the ensemble says (null without one); `predicted_class` from `operating_point`
        on; features that are `missing`; and those `outside` the training range. A row of which no
        feature is known is refused and has no score.

    Raises:
        ManifestError: see `read_rows`.
    """
    rows = read_rows(path, model.record, list(model.features), mapping)
    return score_rows(model, rows, seen_by(model, checkpoint))


def score_rows(model: TableModel, rows: Rows, seen: Mapping[str, str] | None = None) -> ScoredRows:
    """Score rows as `predict_rows` does.

    Args:
        model: see `covidlit.deploy.tables.model.load_table_model`.
        rows: of its features.
        seen: what is to be said of a patient (of a scan, where the model takes factors) by name;
            see `seen_by`.
    """
    usable = rows.values.notna().any(axis=1)
    scores = pd.Series(np.nan, rows.values.index)
    low, high = scores.copy(), scores.copy()
    if usable.any():
        own = rows.values[usable]
        scores[usable] = model.scores(own)
        members = model.member_scores(own)
        if members is not None:
            low[usable], high[usable] = members.min(axis=0), members.max(axis=0)
    if isinstance(model, AllFolds):
        always = [OF_ALL_FOLDS]
    else:
        always = [NO_POINT] if model.record.operating_point is None else []
    table = rows.names.assign(
        score=scores,
        score_low=low,
        score_high=high,
        predicted_class=_called(model, scores),
        operating_point=pd.Series(model.record.operating_point, scores.index, dtype="float64"),
        **row_facts(rows, model.record, np.isfinite(scores.to_numpy())),
        notes=notes_of_rows(rows, model.record, seen or {}, always),
        trained_on_synthetic=model.record.synthetic,
    )
    return ScoredRows(table, rows)


def _called(model: TableModel, scores: pd.Series) -> pd.Series:
    """The class of each score, by the operating point of the run; null without either."""
    point = model.record.operating_point
    if point is None:
        return pd.Series(pd.NA, scores.index, dtype="string")
    negative, positive = model.record.classes or ("negative", "positive")
    called = pd.Series(np.where(scores >= point, positive, negative), scores.index, dtype="string")
    return called.where(scores.notna())


def seen_by(model: TableModel, checkpoint: str | Path | None) -> dict[str, str]:
    """What the score of each row that the model has learnt from is worth, by the row's name.

    Args:
        model: whose rows' split is looked for.
        checkpoint: the folder of its run, or a path in it; None, or without the split: nobody is
            known.
    """
    if isinstance(model, AllFolds):
        return model.seen
    return seen_rows(model.record, checkpoint, SEEN)
