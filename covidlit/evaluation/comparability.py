"""Whether runs may be compared: the same test scans, patients, targets and splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from covidlit.errors import PredictionsError
from covidlit.evaluation.folds import model_numbers
from covidlit.evaluation.run_splits import (
    SPLIT_HASH,
    SPLIT_PARTS,
    SPLIT_SETTINGS,
    differing_settings,
)
from covidlit.evaluation.seed_runs import SeedRun

_LISTED = 5


def check_comparable(runs: Sequence[SeedRun]) -> None:
    """Refuse runs whose test scans, or their patients or targets, are not the same.

    Raises:
        PredictionsError: names the runs and up to five of the scans.
    """
    repeats = {run.name: run.repeats for run in runs}
    if len(set(repeats.values())) > 1:
        counted = "; ".join(f"{name} {n}" for name, n in repeats.items())
        raise PredictionsError(
            f"the repeats differ: {counted}.",
            where="runs",
            fix="compare cross-validations with the same cross_validation.repeats.",
        )
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
    known: dict[tuple[int | None, int | None], list[_RunSplit]] = {}
    unknown: list[str] = []
    for run in runs:
        if SPLIT_HASH not in run.table or run.table[SPLIT_HASH].isna().any():
            unknown.append(run.name)
            continue
        columns = ["run_id", "fold", SPLIT_HASH, SPLIT_PARTS, SPLIT_SETTINGS]
        table = run.table.assign(fold=model_numbers(run.table))
        for row in table.reindex(columns=columns).drop_duplicates().itertuples(index=False):
            place = (run.seed, None if pd.isna(row.fold) else int(row.fold))
            texts = (None if pd.isna(value) else str(value) for value in row[2:])
            known.setdefault(place, []).append(_RunSplit(f"{run.name} ({row.run_id})", *texts))
    for found in known.values():
        _check_one_split(found)
    if unknown:
        whose = "the runs" if len(unknown) == len(runs) else listed(unknown)
        return (
            f"The split of {whose} is not known (there is no split.json beside the table), so "
            "only the test scans were checked to be the same."
        )
    by_fold: dict[int | None, list[_RunSplit]] = {}
    for (_, fold), found in known.items():
        by_fold.setdefault(fold, []).extend(found)
    if any(len(_by_key(found)) > 1 for found in by_fold.values()):
        return (
            "The runs of different seeds have different validation scans, and so different "
            "training scans; the test scans are the same throughout."
        )
    return None


@dataclass(frozen=True)
class _RunSplit:
    """The split of one run, as far as it is known."""

    name: str
    hash: str | None
    parts: str | None
    settings: str | None


def _by_key(found: Sequence[_RunSplit]) -> dict[str | None, list[_RunSplit]]:
    """The runs by their split: by its parts where all are known, else by its hash."""
    by_parts = all(one.parts is not None for one in found)
    keys: dict[str | None, list[_RunSplit]] = {}
    for one in found:
        keys.setdefault(one.parts if by_parts else one.hash, []).append(one)
    return keys


def _check_one_split(found: Sequence[_RunSplit]) -> None:
    keys = _by_key(found)
    if len(keys) < 2:
        return
    first, second, *_ = (group[0] for group in keys.values())
    told, mend = differing_settings(first.settings, second.settings, (first.name, second.name))
    named = "; ".join(f"{one.name}: {str(one.hash)[:12]}" for one in found)
    raise PredictionsError(
        f"the splits differ: {named}." + (f" {told}" if told else ""),
        where="runs",
        fix=mend or "train the models with the same manifest, split settings and seed.",
    )


def listed(names: Sequence[str]) -> str:
    """Up to five names and how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{', '.join(map(str, names[:_LISTED]))}{more}"
