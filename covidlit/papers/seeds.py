"""Several seeds of one model as one method: mean scores, thresholds that are not from the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from covidlit.errors import PredictionsError
from covidlit.evaluation.comparability import check_comparable
from covidlit.evaluation.operating_point import OperatingPoint
from covidlit.evaluation.predictions import class_score_columns
from covidlit.evaluation.seed_average import same_scans, seed_average
from covidlit.evaluation.seed_runs import SeedRun, seed_runs
from covidlit.evaluation.ties import with_ties

_KEYS = ["fold", "part", "scan_id"]


def runs_by_seed(table: pd.DataFrame, name: str) -> list[SeedRun]:
    """The runs of one model's table, one for each seed, that can be averaged.

    Raises:
        PredictionsError: a seed breaks the contract or has no scored test scan, the seeds have
            other test scans, or folds of their own.
    """
    runs = seed_runs({name: table})
    check_comparable(runs)
    if table["fold"].notna().any() and not same_scans(runs):
        raise PredictionsError(
            "its seeds have different folds, so that their scores cannot be averaged.",
            where=name,
            fix="give each seed a name of its own (LABEL=RUN).",
        )
    return runs


def mean_table(runs: Sequence[SeedRun]) -> pd.DataFrame:
    """One row per fold, part and scan, with the mean score of the seeds that have it there.

    A scan that any of these refused is refused, with the reason that was given first. Validation
    scans may be other ones in each seed; a score is then the mean of those seeds that did not train
    on the scan.
    """
    rows = pd.concat([run.table for run in runs], ignore_index=True)
    groups = rows.groupby(_KEYS, dropna=False)
    refused = groups["score"].transform("count") < groups["score"].transform("size")
    scores = ["score", *class_score_columns(rows)]
    means = groups[scores].transform("mean")
    rows = rows.assign(
        **{name: means[name].mask(refused) for name in scores},
        status=np.where(refused, "refused", "ok"),
        reason=groups["reason"].transform("first").where(refused),
        seed=pd.Series(pd.NA, index=rows.index, dtype="Int64"),
        run_id=" + ".join(run_id for run in runs for run_id in run.run_ids),
    )
    return with_ties(rows.drop_duplicates(_KEYS).reset_index(drop=True))


def mean_points(
    runs: Sequence[SeedRun], rows: pd.DataFrame, rule: str | float
) -> dict[int | None, OperatingPoint]:
    """The operating point of the mean score in each fold, by `seed_average`.

    Args:
        runs: the seeds of one model.
        rows: of their `mean_table`; only these scans are looked at.
        rule: see `covidlit.evaluation.operating_point`.

    Raises:
        PredictionsError: the rule cannot be applied.
    """
    test = rows[(rows["part"] == "test") & (rows["status"] == "ok")]
    chosen = [
        replace(run, table=run.table[run.table["scan_id"].isin(rows["scan_id"])]) for run in runs
    ]
    return {point.fold: point for point in seed_average(chosen, list(test["scan_id"]), rule).points}
