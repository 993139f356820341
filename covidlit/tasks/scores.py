"""Scores of scans as columns of the predictions table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from covidlit.cohort.class_names import class_of_interest


def score_table(
    ids: Iterable[str], scores: Sequence[Any], classes: Sequence[str] = (), *, key: str = "scan_id"
) -> pd.DataFrame:
    """Scores as columns of the predictions table.

    Args:
        ids: of the rows.
        scores: for each row the probability of the positive class, or one per class.
        classes: names for the latter, more than two; `score` is then that of
            `class_of_interest`.
        key: name of the column of ids.
    """
    table = pd.DataFrame({key: pd.Series(list(ids), dtype="string")})
    if len(classes) <= 2:
        return table.assign(score=pd.Series(list(scores), dtype=float))
    for index, name in enumerate(classes):
        table[f"score_{name}"] = pd.Series([row[index] for row in scores], dtype=float)
    return table.assign(score=table[f"score_{class_of_interest(classes)}"])
