"""The importance of features as a report shows it, and as a run's folder keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from covidlit.errors import PredictionsError
from covidlit.tables import read_table

TABLE, PICTURE = "importance.csv", "importance.png"
_COLUMNS = (
    "feature", "group", "description", "unit", "n_models", "auc_drop", "low", "high",
)  # fmt: skip


class ShownImportance(NamedTuple):
    """What a report says of the importance of features.

    Args:
        table: by their description.
        note: a sentence on attention; empty without it.
        picture: PNG; empty where there is none.
    """

    table: pd.DataFrame
    note: str
    picture: bytes


def shown_importance(table: pd.DataFrame, picture: bytes) -> ShownImportance:
    """A table of importance for a report.

    Args:
        table: `feature`, `group`, `description`, `unit`, `n_models`, `auc_drop`, `low`, `high` and
            `attention`, null without it.
        picture: PNG of it.
    """
    note = agreement_text(table)
    shown = table.drop(columns=["feature", "group"]).set_index("description")
    attended = table["attention"].notna().any()
    shown = shown if attended else shown.drop(columns="attention")
    return ShownImportance(shown.round(4), note, picture)


def read_importance(folder: Path) -> ShownImportance | None:
    """The importance that a run has left in its folder; None where it has left none.

    Raises:
        PredictionsError: the table cannot be read, or is not one of a run.
    """
    if not (folder / TABLE).is_file():
        return None
    table = read_table(folder / TABLE, PredictionsError)
    if absent := [name for name in _COLUMNS if name not in table]:
        raise PredictionsError(
            f"there is no column {absent[0]!r}.",
            where=folder / TABLE,
            fix="delete it, or train again: the report does without.",
        )
    if "attention" not in table:
        table = table.assign(attention=np.nan)
    table = table.assign(unit=table["unit"].astype("string").fillna(""))
    picture = folder / PICTURE
    return shown_importance(table, picture.read_bytes() if picture.is_file() else b"")


def attention_correlation(table: pd.DataFrame) -> float | None:
    """Rank correlation of `attention` and `auc_drop` (Spearman); None where it is undefined."""
    known = table.dropna(subset=["auc_drop", "attention"])
    one, other = known["auc_drop"].rank(), known["attention"].rank()
    if len(known) < 3 or one.nunique() < 2 or other.nunique() < 2:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def agreement_text(table: pd.DataFrame) -> str:
    """How attention and importance agree, in a sentence; empty where that is undefined."""
    correlation = attention_correlation(table)
    if correlation is None:
        return ""
    return (
        f"Attention and permutation importance rank the {len(table)} features with a Spearman "
        f"correlation of {correlation:.2f}."
    )
