"""`covidlit evaluate RUN` where the run is a segmentation of slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from covidlit.cli.recorded_command import recorded_command
from covidlit.errors import PredictionsError
from covidlit.settings.words import CONFIG

_ITS_OWN = ("score_threshold", "hit_overlap", "n_bootstrap", "confidence")


def is_segmentation(folder: Path) -> bool:
    """Whether a path is the folder of a run with tables of slices, detections and objects."""
    return (folder / CONFIG).is_file() and (folder / "objects.parquet").is_file()


def evaluate_segmentation_run(
    folder: Path, out: Path, given: Mapping[str, Any], title: str | None
) -> Path:
    """Make the report of a segmentation again, from the tables in its folder.

    Args:
        folder: of the run.
        out: where `report.html` and `metrics.json` go.
        given: settings of the evaluation that were given, by the names of `evaluate`.
        title: of the report; None: the run's.

    Raises:
        PredictionsError: a setting that a segmentation has not; the tables cannot be read.
    """
    from covidlit.evaluation import run_context
    from covidlit.evaluation.run_report import run_evaluation
    from covidlit.evaluation.segmentation import (
        evaluate_segmentation,
        read_segmentation_tables,
        write_segmentation_report,
    )

    for name in ("operating_point", "subgroups"):
        if given.get(name) is not None:
            raise PredictionsError(
                f"a segmentation has no {name.replace('_', ' ')}.", where=name, fix="leave it out."
            )
    own = run_evaluation(folder)
    settings = {name: own[name] for name in (*_ITS_OWN, "seed") if name in own}
    settings |= {name: value for name, value in given.items() if value is not None}
    context = run_context(folder)
    context = replace(context, title=title or context.title)
    evaluation = evaluate_segmentation(read_segmentation_tables(folder), **settings)
    command = recorded_command(
        "evaluate", [folder], out=out, bootstrap=settings.get("n_bootstrap"),
        confidence=settings.get("confidence"), seed=settings.get("seed"), title=context.title,
    )  # fmt: skip
    if context.command:
        context = replace(context, evaluated_by=command)
    else:
        context = replace(context, command=command)
    return write_segmentation_report(evaluation, out, context)
