"""What the report of a classification says beyond its predictions table."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from covidlit.cohort.describe import show_table1, table1, table2
from covidlit.cohort.sources import flow_of
from covidlit.cohort.summary import fold_titles, split_summary, split_summary_by_fold
from covidlit.datamodules.cohort_data import TO_CHECK
from covidlit.datamodules.row_lines import in_no_part, noted_lines
from covidlit.evaluation import ReportContext
from covidlit.evaluation.learnt_thresholds import learnt_thresholds
from covidlit.evaluation.run_report import published_of, training_curve
from covidlit.files import fingerprint
from covidlit.runs.outcomes.outcome import Training

PACKAGES = (
    "covidlit", "torch", "pytorch-lightning", "torchio", "monai", "scikit-learn", "pydicom",
    "SimpleITK",
)  # fmt: skip

_OF_THE_COHORT = ("source", "prepared in", TO_CHECK)


def report_context(
    run_dir: Path,
    config: dict[str, Any],
    trainings: Sequence[Training],
    summary: pd.DataFrame | None = None,
) -> ReportContext:
    """Configuration, cohort, split, training and versions of a run.

    Args:
        run_dir: the run's folder.
        config: the resolved configuration.
        trainings: one, or those of the folds of a cross-validation.
        summary: one row per part; None: scans, by class. Data without classes of scans need one,
            and have no Tables 1 and 2.
    """
    data, facts = trainings[0].data, trainings[0].facts
    table, described = data.table, data.facts()
    flow, flow_note = flow_of(Path(described["source"]))
    tables = {}
    if summary is None:
        shown = show_table1(table1(table)).rename_axis("characteristic")
        tables["Table 1. The cohort by centre"] = shown
    if summary is None and len(trainings) == 1:
        tables["Table 2. Classes, RT-PCR and aetiology by part"] = table2(table, data.split)
    hashes = [training.data.split.hash for training in trainings]
    return ReportContext(
        title=config["name"],
        run_id=run_dir.name,
        command=_command(),
        config=yaml.safe_dump(config, sort_keys=False),
        config_hash=fingerprint(config),
        split_hash=hashes[0] if len(hashes) == 1 else fingerprint(hashes),
        split_summary=_by_part(trainings) if summary is None else summary,
        centres=sorted(map(str, table["centre"].dropna().unique())) if "centre" in table else [],
        disjointness=(_disjoint(table, several=len(trainings) > 1),),
        flow=flow,
        notes=[
            *filter(
                None,
                [
                    flow_note,
                    *noted_lines(table, data.unit),
                    *_to_check(trainings),
                    in_no_part(table, data.unit),
                ],
            )
        ],
        tables=tables,
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        },
        seed=config["seed"],
        training_curve=training_curve(run_dir),
        model=facts["model"],
        training={
            **_of_folds(trainings),
            **{name: described[name] for name in described if name not in _OF_THE_COHORT},
        },
        selected_on=facts["selected_on"],
        cut_short=facts["cut_short"],
        thresholds=learnt_thresholds(run_dir),
        published=published_of(config),
        unit=data.unit,
        synthetic=bool(table["synthetic"].fillna(False).any()) if "synthetic" in table else None,
    )


def _of_folds(trainings: Sequence[Training]) -> dict[str, object]:
    """Facts of the trainings; one that differs is told fold by fold, in their order."""
    facts: list[Mapping[str, object]] = [training.facts["training"] for training in trainings]
    titles = fold_titles([training.data.split.fold for training in trainings])
    found: dict[str, object] = {}
    for name in dict.fromkeys(name for each in facts for name in each):
        said: dict[str, list[str]] = {}
        for title, each in zip(titles, facts, strict=True):
            said.setdefault(str(each.get(name, "–")), []).append(title.removeprefix("fold "))
        if len(said) == 1:
            found[name] = facts[0][name]
            continue
        found[name] = "; ".join(
            f"fold{'s' if len(folds) > 1 else ''} {', '.join(folds)}: {text}"
            for text, folds in said.items()
        )
    return found


def _disjoint(table: pd.DataFrame, *, several: bool) -> str:
    """What was compared between the parts, as far as the rows have it."""
    compared = ["patient"]
    compared += [name for name in ("study", "series") if f"{name}_uid" in table]
    compared += ["image (hash of its voxels)"] if "pixel_hash" in table else []
    named = [f"no {name}" for name in compared]
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    return (
        f"{listed[0].upper()}{listed[1:]} stands in two parts{' of a fold' if several else ''}; "
        "this was checked when the run started, which would have stopped it."
    )


def _to_check(trainings: Sequence[Training]) -> list[str]:
    """What a person should look at, once for all folds that it is true of."""
    noted = [training.data.facts().get(TO_CHECK, "") for training in trainings]
    return [f"Possible leakage: {text}" for text in dict.fromkeys(noted) if text]


def _by_part(trainings: Sequence[Training]) -> pd.DataFrame:
    if len(trainings) == 1:
        found = split_summary(trainings[0].data.table)
    else:
        data = [training.data for training in trainings]
        folds = [each.split.fold for each in data]
        found = split_summary_by_fold([each.table for each in data], folds)
    # Where a row is a patient, one of the two counts says it.
    return found.drop(columns="patients") if trainings[0].data.unit == "patient" else found


def _command() -> str:
    """The command line of this process, as a user would write it."""
    program = Path(sys.argv[0])
    own = program.parent.name == "cli"  # of `covidlit train`, see covidlit.cli.app
    start = ["covidlit", "train"] if own else ["python", program.name]
    return shlex.join([*start, *sys.argv[1:]])
