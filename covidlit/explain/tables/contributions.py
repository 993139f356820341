"""What each value of a row contributes to its score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.datamodules.tables.training_values import outside_text, place_of
from covidlit.deploy.tables.model import TableModel
from covidlit.deploy.tables.read_rows import Rows
from covidlit.deploy.tables.survival import SurvivalTableModel
from covidlit.errors import CheckpointError
from covidlit.explain.tables.shapley import shapley_values

CONTRIBUTIONS = (
    "row", "name", "feature", "value", "place", "outside", "contribution", "score",
    "reference_score", "attention",
)  # fmt: skip
EARLIER = CONTRIBUTIONS[:-1]
"""Columns by which a table of an earlier version is known, too."""


def reference_of(model: TableModel | SurvivalTableModel) -> pd.Series:
    """The medians of the training part, by feature; missing where no training row had a value.

    Raises:
        CheckpointError: the model's record does not tell how its training rows were spread.
    """
    training: Mapping[str, Any] = model.record.preprocess.model_dump().get("training") or {}
    if not training:
        raise CheckpointError(
            "its record does not say how the values of the training part are spread.",
            where=model.name,
            fix="train again: earlier versions did not keep this.",
        )
    found = {}
    for name in model.features:
        quantiles = training.get(name, {}).get("quantiles") or [np.nan]
        found[name] = float(quantiles[len(quantiles) // 2])
    return pd.Series(found, dtype="float64")


def contributions_of(
    model: TableModel | SurvivalTableModel, rows: Rows, usable: pd.Series
) -> pd.DataFrame:
    """Shapley values of the scores' log odds, beside a patient with all medians of the training.

    Of a model of times to an event they are those of the log hazard, which is its risk score.

    Args:
        model: that scored them.
        rows: as the model took them.
        usable: (n,) bool, which rows have a score.

    Returns:
        For each row and feature: `row`, from 1; `name` of the patient or scan; `feature`; `value`
        (null: missing); `place`, the share of training rows with a smaller value; `outside`, where
        it lies outside their range; `contribution` to the log odds or the log hazard, which over
        the features of a row sum to those of `score` less those of `reference_score`; `attention`,
        the weight that the network gave the value (null without attention).

    Raises:
        CheckpointError: see `reference_of`.
    """
    reference = reference_of(model)
    training = model.record.preprocess.model_dump()["training"]
    names = list(reference.index)

    if isinstance(model, SurvivalTableModel):
        additive, scores_of = model.log_hazard, model.log_hazard
    else:
        additive, scores_of = model.log_odds, model.scores

    def of_rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return additive(pd.DataFrame(values, columns=names))

    own = rows.values.loc[usable.to_numpy(), names]
    found = shapley_values(of_rows, own.to_numpy(dtype=np.float64), reference.to_numpy())
    scores = scores_of(own) if len(own) else np.zeros(0)
    attention = None
    if len(own) and not isinstance(model, SurvivalTableModel):
        attention = model.attention(own)
    of_reference = float(scores_of(reference.to_frame().T)[0])
    key = "scan_id" if "scan_id" in rows.names else "patient_id"
    lines = []
    for place, (number, values) in enumerate(own.iterrows()):
        for feature, contribution in zip(names, found[place], strict=True):
            value = float(values[feature])
            spread = training.get(feature, {"quantiles": []})
            lines.append(
                (
                    int(number) + 1, str(rows.names.loc[number, key]), feature, value,
                    place_of(value, spread), outside_text(feature, value, spread) or None,
                    float(contribution), float(scores[place]), of_reference,
                    np.nan if attention is None else float(attention[feature].iloc[place]),
                )
            )  # fmt: skip
    return pd.DataFrame(lines, columns=list(CONTRIBUTIONS)).astype({"attention": "float64"})
