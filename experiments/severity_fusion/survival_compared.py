"""Concordance and AUC at horizons of cross-validated prognoses, with intervals by patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from compared import Compared, draws_of, interval_of
from numpy.typing import NDArray
from studies import finished

from covidlit.cohort.endpoint import COMPETING
from covidlit.evaluation.survival.concordance import concordance
from covidlit.evaluation.survival.horizons import cumulative_dynamic_auc

NEVER = 1e6
"""Days."""

Floats = NDArray[np.float64]
Statistic = Callable[[Floats, Floats, Floats, Floats], Floats]
"""Of time, event and risk (n,) and weights (b, n): (b,)."""


def of_prognosis(
    folders: Sequence[Path], horizons: Sequence[float]
) -> tuple[dict[str, Compared], int, int] | None:
    """What a model's risks are worth: the mean over repeats of the mean over folds.

    Risks are ranked within their fold alone: each fold's model has a baseline of its own.

    Args:
        folders: of the repeats, on the same patients.
        horizons: days.

    Returns:
        Each measure with its interval by drawing patients, and the numbers of patients and events;
        None where a repeat is not finished.
    """
    if not all(finished(folder) for folder in folders):
        return None
    repeats = [_risks(folder) for folder in folders]
    first = repeats[0]
    assert first["patient_id"].is_unique
    assert all((own["patient_id"] == first["patient_id"]).all() for own in repeats)
    weights = np.stack([np.bincount(draw, minlength=len(first)) for draw in draws_of(len(first))])
    measures: dict[str, Statistic] = {"concordance": concordance}
    for days in horizons:
        measures[f"AUC at {days:g} days"] = _auc_at(days)
    survived = {
        f"{name}, a discharge alive as survival": statistic
        for name, statistic in measures.items()
        if name != "concordance"
    }
    for_ever = [_surviving(own) for own in repeats]
    found = {}
    for tables, some in ((repeats, measures), (for_ever, survived)):
        for name, statistic in some.items():
            each = [_by_fold(own, statistic, weights.astype(float)) for own in tables]
            found[name] = interval_of(np.mean(each, axis=0))
    return found, len(first), int(first["event"].sum())


def _risks(folder: Path) -> pd.DataFrame:
    table = pd.read_parquet(folder / "survival.parquet")
    table = table[(table["part"] == "test") & table["risk_score"].notna()]
    return table.sort_values("patient_id").reset_index(drop=True)


def _surviving(table: pd.DataFrame) -> pd.DataFrame:
    """Those whom another event kept from it are known never to have it."""
    other = table[COMPETING].astype(bool)
    return table.assign(time_days=table["time_days"].where(~other, NEVER))


def _auc_at(days: float) -> Statistic:
    return lambda time, event, risk, weights: cumulative_dynamic_auc(
        time, event, risk, days, weights
    )


def _by_fold(table: pd.DataFrame, statistic: Statistic, weights: Floats) -> Floats:
    """(b,) mean over the folds in which a draw has what the statistic needs."""
    time, event, risk = (
        table[name].to_numpy(dtype=float) for name in ("time_days", "event", "risk_score")
    )
    each = []
    for rows in table.groupby("fold").indices.values():
        each.append(statistic(time[rows], event[rows], risk[rows], weights[:, rows]))
    return np.asarray(np.nanmean(np.array(each), axis=0), dtype=np.float64)
