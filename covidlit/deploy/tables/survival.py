"""Risks of the rows of a table from a kept model of times to an event."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.baselines.cox.model import CoxModel
from covidlit.baselines.survival.kept import SurvivalModel, risk_column
from covidlit.baselines.survival.load import load_survival_model
from covidlit.checkpoints.of_run import model_of_run
from covidlit.checkpoints.record import RunRecord
from covidlit.cohort.risk_groups import risk_group_names
from covidlit.deploy.tables.predict_rows import ScoredRows
from covidlit.deploy.tables.read_rows import read_rows
from covidlit.deploy.tables.row_facts import notes_of_rows, row_facts, seen_rows
from covidlit.errors import CheckpointError

SEEN = {"train": "in the training part of this model's run: the risk says nothing of new patients"}

_KINDS = ("clinical", "factors")


class SurvivalTableModel:
    """A kept model of times to an event.

    Args:
        model: Cox's, or boosted trees.
    """

    def __init__(self, model: SurvivalModel) -> None:
        self._model = model

    @property
    def record(self) -> RunRecord:
        """Of the run that it was trained in."""
        return self._model.record

    @property
    def features(self) -> Sequence[str]:
        """Those that change its risks, where it tells; else all that it was given in training."""
        if isinstance(self._model, CoxModel) and self._model.preparation is not None:
            return [str(name) for name in self._model.preparation["names"]]
        return list(self._model.columns)

    @property
    def name(self) -> str:
        """Who computes the risks."""
        return str(self.record.model)

    @property
    def horizons(self) -> tuple[float, ...]:
        """Days until which risks are given."""
        return self._model.horizons

    @property
    def group_names(self) -> list[str]:
        """Of the risk groups, lowest first."""
        return risk_group_names(len(self._model.cuts) + 1)

    def risks(self, values: pd.DataFrame) -> pd.DataFrame:
        """`risk_score`, `risk_group` and `risk_<days>_days`; columns by name, NaN: missing."""
        return self._model.scores(values.reindex(columns=list(self._model.columns)))

    def log_hazard(self, values: pd.DataFrame) -> NDArray[np.float64]:
        """(n,) log hazard relative to the mean of the training rows: the risk score."""
        return self._model.log_hazard(values.reindex(columns=list(self._model.columns)))


def load_survival_table_model(path: str | Path) -> SurvivalTableModel:
    """Load a model of times to an event.

    Args:
        path: its JSON, or the folder of a run.

    Raises:
        CheckpointError: missing, damaged, or of another input than tables.
    """
    path = model_of_run(path) if Path(path).is_dir() else Path(path)
    found = SurvivalTableModel(load_survival_model(path))
    if found.record.preprocess.kind not in _KINDS:
        raise CheckpointError(
            f"the model takes input of the kind {found.record.preprocess.kind!r}, not tables.",
            where=path,
            fix="give a model of data=clinical or data=factors.",
        )
    return found


def predict_risks(
    model: SurvivalTableModel,
    path: str | Path,
    mapping: str | None = None,
    checkpoint: str | Path | None = None,
) -> ScoredRows:
    """Risks of the rows of a table.

    Args:
        model: see `load_survival_table_model`.
        path: of the table; see `covidlit.deploy.tables.read_rows.read_rows`.
        mapping: of a hospital's own table.
        checkpoint: whose run's folder, if it lies in one, tells who the model was trained on.

    Returns:
        One row each: `risk_score` (log hazard relative to the mean of the training patients),
        `risk_group` (0: lowest) and its name, `risk_<days>_days` (probability of the event until
        then); features that are `missing`, and those `outside` the training range. A row of which
        no feature is known is refused and has no risk.

    Raises:
        ManifestError: see `read_rows`.
    """
    rows = read_rows(path, model.record, list(model.features), mapping)
    usable = rows.values.notna().any(axis=1)
    named = ["risk_score", "risk_group", *(risk_column(days) for days in model.horizons)]
    risks = pd.DataFrame(np.nan, index=rows.values.index, columns=named)
    if usable.any():
        risks.loc[usable, named] = model.risks(rows.values[usable])[named].astype(float)
    finite = np.isfinite(risks.to_numpy()).all(axis=1)
    risks[~finite] = np.nan
    names = dict(enumerate(model.group_names))
    group = risks["risk_group"].astype("Int64")
    risks["risk_group"] = group
    risks.insert(2, "risk_group_name", group.map(names).astype("string"))
    table = pd.concat([rows.names, risks, row_facts(rows, model.record, finite)], axis=1)
    notes = notes_of_rows(rows, model.record, seen_rows(model.record, checkpoint, SEEN))
    return ScoredRows(table.assign(notes=notes, trained_on_synthetic=model.record.synthetic), rows)
