"""The survival runs of a comparison: read, labelled, seeds averaged, held to the same patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.cohort.endpoint import TIME
from covidlit.counted import counted
from covidlit.errors import PredictionsError
from covidlit.evaluation.comparability import check_comparable, check_splits
from covidlit.evaluation.predictions import is_synthetic
from covidlit.evaluation.row_names import in_unit
from covidlit.evaluation.run_splits import with_splits
from covidlit.evaluation.runs import check_runs, split_label
from covidlit.evaluation.seed_runs import SeedRun
from covidlit.evaluation.survival.evaluate import scored_rows
from covidlit.evaluation.survival.tables import FILE, horizons_in, read_survival

Floats = NDArray[np.float64]

_UNKNOWN = -1


@dataclass(frozen=True)
class ComparedModel:
    """A model's risks of the compared patients, averaged over its seeds.

    Attributes:
        name: of the model, or the user's label.
        seeds: of its runs.
        run_ids: of its runs.
        n_refused: test rows without a risk in any of its runs.
        risk: (n,) mean risk score.
        risks: days to (n,) mean probability of the event until then.
        fold: (n,) whose model gave them; None for one model.
    """

    name: str
    seeds: tuple[int | None, ...]
    run_ids: tuple[str, ...]
    n_refused: int
    risk: Floats
    risks: dict[float, Floats]
    fold: NDArray[np.int64] | None


@dataclass(frozen=True)
class ComparedRuns:
    """Survival runs on the same patients.

    Attributes:
        models: in the order given.
        rows: `patient_id`, `event`, `time_days` and what else the first run says of the compared
            patients.
        n_rows: of the test part, those left out among them.
        horizons: days at which all models give risks.
        synthetic: whether any run is of synthetic patients.
        unit: what a row is.
        split_note: what a reader must know about the splits.
    """

    models: list[ComparedModel]
    rows: pd.DataFrame
    n_rows: int
    horizons: tuple[float, ...]
    synthetic: bool
    unit: str
    split_note: str | None


def is_survival_table(run: str | Path) -> bool:
    """Whether "RUN" or "LABEL=RUN" names the folder of a survival run, or its table."""
    path = split_label(run)[1]
    return (path / FILE).is_file() or (path.is_file() and path.name == FILE)


def read_labelled_survival(runs: Sequence[str | Path]) -> list[pd.DataFrame]:
    """The tables of runs, each with its label, where it has one, as `model`.

    Args:
        runs: "RUN" or "LABEL=RUN"; folders of survival runs, or their tables.

    Raises:
        PredictionsError: a table is missing, breaks its schema or is given twice.
        SplitError: the split of a run was changed by hand.
    """
    tables, seen = [], set[Path]()
    for run in runs:
        label, path = split_label(run)
        file = path / FILE if path.is_dir() else path
        if file.resolve() in seen:
            raise PredictionsError(
                f"the same run is given twice: {run}.", where="runs", fix="give each run once."
            )
        seen.add(file.resolve())
        table = with_splits(read_survival(file), file)
        tables.append(table.assign(model=label) if label else table)
    return tables


def compared_runs(tables: Sequence[pd.DataFrame]) -> ComparedRuns:
    """Bring tables of survival runs onto the patients that all of them gave a risk.

    Args:
        tables: of runs, models told apart by the column `model`; folds of one cross-validation and
            seeds of one model belong together.

    Raises:
        PredictionsError: there are fewer than two models, or test patients, events, times or splits
            differ (which ones is said).
    """
    runs = _seed_runs(tables)
    whole = pd.concat([run.table for run in runs], ignore_index=True)
    unit = "patient" if whole["scan_id"].eq(whole["patient_id"]).all() else "scan"
    if len({run.model for run in runs}) < 2:
        raise PredictionsError(
            f"there is only one model ({runs[0].model}).",
            where="runs",
            fix="give runs of two models, or tell them apart by LABEL=RUN.",
        )
    try:
        check_comparable(runs)
        split_note = check_splits(runs)
    except PredictionsError as error:
        told = {
            "where": error.where,
            "fix": None if error.fix is None else in_unit(error.fix, unit),
        }
        raise PredictionsError(in_unit(error.what, unit), **told) from error
    _check_times(runs, unit)
    usable = [set(scored_rows(_as_survival(run.test.reset_index()))["row_id"]) for run in runs]
    compared = sorted(set.intersection(*usable))
    if not compared:
        raise PredictionsError(
            f"no test {unit} has a risk in every run.", where="runs",
            fix="leave out the run that refused them.",
        )  # fmt: skip
    models: dict[str, list[SeedRun]] = {}
    for run in runs:
        models.setdefault(run.model, []).append(run)
    days = [set(horizons_in(run.table)) for run in runs]
    horizons = tuple(sorted(set.intersection(*days)))
    return ComparedRuns(
        [_averaged(name, own, compared, horizons) for name, own in models.items()],
        _as_survival(runs[0].test.loc[compared].reset_index()),
        len(runs[0].test), horizons, any(bool(run.synthetic) for run in runs), unit,
        None if split_note is None else in_unit(split_note, unit),
    )  # fmt: skip


def _seed_runs(tables: Sequence[pd.DataFrame]) -> list[SeedRun]:
    """One for each model and seed, its folds pooled; rows by `scan_id`, events as `target`."""
    pieces: dict[tuple[str, int], list[pd.DataFrame]] = {}
    for table in tables:
        named = table.rename(columns={"row_id": "scan_id", "event": "target"})
        named["target"] = named["target"].fillna(_UNKNOWN)  # so that runs can be compared by it
        named["repeat"] = pd.array([pd.NA] * len(named), dtype="Int64")  # such runs have none
        for (model, seed), own in named.groupby(["model", "seed"], sort=False):
            pieces.setdefault((str(model), int(seed)), []).append(own)
    found = []
    for (model, seed), parts in pieces.items():
        table = pd.concat(parts, ignore_index=True)
        name = f"{model}, seed {seed}"
        try:
            check_runs(table)
        except PredictionsError as error:
            raise PredictionsError(
                error.what, where=name, fix="give other runs of this model a label (LABEL=RUN)."
            ) from error
        run_ids = tuple(map(str, table["run_id"].unique()))
        found.append(SeedRun(model, seed, run_ids, table, is_synthetic(table), None))
    return found


def _as_survival(rows: pd.DataFrame) -> pd.DataFrame:
    known = rows.assign(target=rows["target"].where(rows["target"] != _UNKNOWN))
    return known.drop(columns="repeat").rename(columns={"scan_id": "row_id", "target": "event"})


def _check_times(runs: Sequence[SeedRun], unit: str) -> None:
    first = runs[0]
    for run in runs[1:]:
        one, other = first.test[TIME], run.test[TIME]
        differs = list(one.index[~((one == other) | (one.isna() & other.isna()))])
        if differs:
            raise PredictionsError(
                f"the times of {run.name} are not those of {first.name} for "
                f"{counted(len(differs), unit)}, such as {differs[0]}.",
                where="runs",
                fix="compare runs of one manifest and one label rule, with one horizon.",
            )


def _averaged(
    name: str, runs: Sequence[SeedRun], compared: list[str], horizons: Sequence[float]
) -> ComparedModel:
    each = [run.test.loc[compared] for run in runs]
    folds = [own["fold"].astype("Int64").fillna(-1).to_numpy(np.int64) for own in each]
    if any((fold != folds[0]).any() for fold in folds[1:]):
        raise PredictionsError(
            f"the seeds of {name} have other folds, so that their risks cannot be averaged.",
            where="runs",
            fix="compare seeds of one split (split.seed), or give them labels (LABEL=RUN).",
        )

    def mean(column: str) -> Floats:
        found: Floats = np.mean([own[column].to_numpy(float) for own in each], axis=0)
        return found

    columns: dict[float, Any] = horizons_in(runs[0].table)
    return ComparedModel(
        name=name,
        seeds=tuple(run.seed for run in runs),
        run_ids=tuple(run_id for run in runs for run_id in run.run_ids),
        n_refused=max(int(run.test["risk_score"].isna().sum()) for run in runs),
        risk=mean("risk_score"),
        risks={days: mean(columns[days]) for days in horizons},
        fold=None if (folds[0] < 0).all() else folds[0],
    )
