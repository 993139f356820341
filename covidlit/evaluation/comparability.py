"""Whether runs may be compared: the same test scans, patients, targets and splits."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from covidlit.errors import PredictionsError
from covidlit.evaluation.seed_runs import SPLIT_HASH, SeedRun

_LISTED = 5


def check_comparable(runs: Sequence[SeedRun]) -> None:
    """Refuse runs whose test scans, or their patients or targets, are not the same.

    Raises:
        PredictionsError: names the runs and up to five of the scans.
    """
    tests = {run.name: run.test for run in runs}
    union = sorted(set().union(*(test.index for test in tests.values())))
    lacking = {name: sorted(set(union) - set(test.index)) for name, test in tests.items()}
    if any(lacking.values()):
        named = [f"{name} lacks {listed(scans)}" for name, scans in lacking.items() if scans]
        raise PredictionsError(
            f"the test scans differ: {'; '.join(named)} (of {len(union)} scans in all).",
            where="runs",
            fix="compare runs of one split; models that saw other scans cannot be compared.",
        )
    first, reference = next(iter(tests.items()))
    for name, test in tests.items():
        for column in ("target", "patient_id"):
            differs = list(test.index[(test[column] != reference[column]).to_numpy(bool)])
            if differs:
                raise PredictionsError(
                    f"the column {column!r} of {name} is not that of {first} for "
                    f"{listed(differs)}.",
                    where="runs",
                    fix="compare runs of one manifest and one label rule.",
                )


def check_splits(runs: Sequence[SeedRun]) -> str | None:
    """Refuse runs of one seed and fold that were made on different splits.

    Args:
        runs: the runs that are to be compared; the column `split_hash` of their tables, where there
            is one, names the split.

    Returns:
        What a reader must know about the splits, or None if all is known to be the same.

    Raises:
        PredictionsError: names the runs and their splits.
    """
    known: dict[tuple[int | None, int | None], dict[str, str]] = {}
    unknown: list[str] = []
    for run in runs:
        if SPLIT_HASH not in run.table or run.table[SPLIT_HASH].isna().any():
            unknown.append(run.name)
            continue
        columns = ["run_id", "fold", SPLIT_HASH]
        for row in run.table[columns].drop_duplicates().itertuples(index=False):
            place = (run.seed, None if pd.isna(row.fold) else int(row.fold))
            known.setdefault(place, {})[f"{run.name} ({row.run_id})"] = str(row.split_hash)
    for found in known.values():
        if len(set(found.values())) > 1:
            named = "; ".join(f"{name}: {value[:12]}" for name, value in found.items())
            raise PredictionsError(
                f"the splits differ: {named}.",
                where="runs",
                fix="train the models with the same manifest, split settings and seed.",
            )
    if unknown:
        whose = "the runs" if len(unknown) == len(runs) else listed(unknown)
        return (
            f"The split of {whose} is not known (there is no split.json beside the table), so "
            "only the test scans were checked to be the same."
        )
    by_fold: dict[int | None, set[str]] = {}
    for (_, fold), found in known.items():
        by_fold.setdefault(fold, set()).update(found.values())
    if any(len(values) > 1 for values in by_fold.values()):
        return (
            "The runs of different seeds have different validation scans, and so different "
            "training scans; the test scans are the same throughout."
        )
    return None


def listed(names: Sequence[str]) -> str:
    """Up to five names and how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{', '.join(map(str, names[:_LISTED]))}{more}"
