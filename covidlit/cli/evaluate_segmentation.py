"""`covidlit evaluate RUN` where the run is a segmentation of slices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from covidlit.cli.report_again import report_again
from covidlit.settings.words import CONFIG

_ITS_OWN = ("score_threshold", "hit_overlap", "n_bootstrap", "confidence", "seed")


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
    from covidlit.evaluation.segmentation import (
        evaluate_segmentation,
        read_segmentation_tables,
        write_segmentation_report,
    )

    return report_again(
        folder, out, given, title, what="a segmentation", own=_ITS_OWN,
        evaluate=lambda path, **settings: evaluate_segmentation(
            read_segmentation_tables(path), **settings
        ),
        write=write_segmentation_report,
    )  # fmt: skip
