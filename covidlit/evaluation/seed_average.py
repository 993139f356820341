"""One model's scores averaged over its seeds, with an operating point that is not from the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.evaluation.folds import model_numbers
from covidlit.evaluation.operating_point import OperatingPoint, operating_points
from covidlit.evaluation.seed_runs import SeedRun
from covidlit.evaluation.ties import tied, with_ties

MEAN_THRESHOLD = "the mean of the seeds' thresholds"


@dataclass(frozen=True)
class Scores:
    """Scores of some test scans with the thresholds that they are held against.

    Attributes:
        score: shape (n,).
        threshold: shape (n,), the threshold of each scan's fold.
        points: where the thresholds came from, one per fold.
        fold: shape (n,), the `model_number` of the model that scored each scan; None for one
            model, and where seeds with different folds were averaged.
    """

    score: NDArray[np.float64]
    threshold: NDArray[np.float64]
    points: tuple[OperatingPoint, ...]
    fold: NDArray[np.int64] | None = None

    @property
    def called(self) -> NDArray[np.bool_]:
        """Which scans are called positive, shape (n,)."""
        return self.score >= self.threshold


def run_scores(run: SeedRun, scans: Sequence[str], rule: str | float) -> Scores:
    """Scores of one run at the operating point chosen on its own validation scans.

    Args:
        run: one model and seed.
        scans: names of rows of `SeedRun.test`, all with a score.
        rule: see `covidlit.evaluation.operating_point`.

    Raises:
        PredictionsError: the rule cannot be applied.
    """
    points = operating_points(run.table, rule)
    test = run.test.loc[list(scans)]
    numbers = model_numbers(test)
    threshold = [points[_number(value)].threshold for value in numbers]
    fold = None if numbers.isna().any() else numbers.to_numpy(np.int64)
    score = test["score"].to_numpy(float)
    return Scores(score, np.array(threshold), tuple(points.values()), fold)


def seed_average(runs: Sequence[SeedRun], scans: Sequence[str], rule: str | float) -> Scores:
    """Mean score over the seeds of one model, an ensemble of them, at an operating point.

    Where all seeds have the same validation scans, the threshold is chosen on the mean scores of
    these. Where each seed has its own, there is no scan that all of them leave out of training: the
    threshold is the mean of the seeds' thresholds, each chosen on its own validation scans.

    Args:
        runs: one model's runs, at least one.
        scans: names of rows of `SeedRun.test`, all with a score in every run.
        rule: see `covidlit.evaluation.operating_point`.

    Raises:
        PredictionsError: the rule cannot be applied.
    """
    single = [run_scores(run, scans, rule) for run in runs]
    if len(runs) == 1:
        return single[0]
    if same_scans(runs):
        return run_scores(replace(runs[0], table=_mean_table(runs)), scans, rule)
    score = tied(np.mean([one.score for one in single], axis=0))
    threshold = np.mean([one.threshold for one in single], axis=0)
    fold = single[0].fold if all(same_folds(single[0], one) for one in single) else None
    return Scores(score, threshold, _mean_points(single, runs), fold)


def same_folds(first: Scores, second: Scores) -> bool:
    """Whether the same folds are known of both, scan by scan."""
    if first.fold is None or second.fold is None:
        return False
    return np.array_equal(first.fold, second.fold)


def same_scans(runs: Sequence[SeedRun]) -> bool:
    """Whether all runs have the same scans in each part of each fold."""
    return all(_layout(run).equals(_layout(runs[0])) for run in runs)


def _layout(run: SeedRun) -> pd.DataFrame:
    """Which scan stands in which fold and part, in a fixed order."""
    columns = ["repeat", "fold", "part", "scan_id"]
    return run.table[columns].sort_values(columns).reset_index(drop=True)


def _mean_table(runs: Sequence[SeedRun]) -> pd.DataFrame:
    """The rows of the first run with the mean score; refused where any of the runs refused."""
    keys = ["repeat", "fold", "part", "scan_id"]
    tables = [run.table.sort_values(keys).reset_index(drop=True) for run in runs]
    scores = np.stack([table["score"].to_numpy(float) for table in tables])
    mean = scores.mean(axis=0)  # NaN where any run has none
    status = np.where(np.isnan(mean), "refused", "ok")
    return with_ties(tables[0].assign(score=mean, status=status))


def _mean_points(scores: Sequence[Scores], runs: Sequence[SeedRun]) -> tuple[OperatingPoint, ...]:
    points = []
    numbers = {point.number for one in scores for point in one.points}
    for number in sorted(numbers, key=lambda value: (value is not None, value)):
        own = [point for one in scores for point in one.points if point.number == number]
        threshold = float(np.mean([point.threshold for point in own]))
        chosen = all(point.chosen_on for point in own)
        notes = [point.note for point in own if point.note]
        rows = pd.concat([run.table for run in runs])
        rows = rows[(rows["part"] == "validation") & (rows["status"] == "ok")]
        found = model_numbers(rows)
        rows = rows[found.isna() if number is None else (found == number).fillna(False)]
        rows = rows.drop_duplicates("scan_id")
        points.append(
            OperatingPoint(
                threshold=threshold,
                rule=MEAN_THRESHOLD if chosen else "fixed",
                chosen_on="validation" if chosen else None,
                n=len(rows) if chosen else 0,
                n_positive=int(rows["target"].sum()) if chosen else 0,
                fold=own[0].fold,
                repeat=own[0].repeat,
                note=notes[0] if notes else None,
            )
        )
    return tuple(points)


def _number(value: object) -> int | None:
    return None if pd.isna(value) else int(str(value))
