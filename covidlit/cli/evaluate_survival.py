"""`covidlit evaluate RUN` where the run is of times to an event."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from covidlit.cli.report_again import report_again
from covidlit.settings.words import CONFIG

_ITS_OWN = ("n_bootstrap", "confidence", "seed")


def is_survival(folder: Path) -> bool:
    """Whether a path is the folder of a run with a table of risks and times."""
    return (folder / CONFIG).is_file() and (folder / "survival.parquet").is_file()


def evaluate_survival_run(
    folder: Path, out: Path, given: Mapping[str, Any], title: str | None
) -> Path:
    """Make the report of a survival run again, from the tables in its folder.

    Args:
        folder: of the run.
        out: where `report.html` and `metrics.json` go.
        given: settings of the evaluation that were given, by the names of `evaluate`.
        title: of the report; None: the run's.

    Raises:
        PredictionsError: a setting that a survival run has not; the table cannot be read.
    """
    from covidlit.evaluation.survival.evaluate import evaluate_survival
    from covidlit.evaluation.survival.report import write_survival_report
    from covidlit.evaluation.survival.tables import coefficients_in, read_survival

    return report_again(
        folder, out, given, title, what="a survival run", own=_ITS_OWN,
        evaluate=lambda path, **settings: evaluate_survival(read_survival(path), **settings),
        write=lambda found, place, context: write_survival_report(
            found, place, context, coefficients_in(folder)
        ),
    )  # fmt: skip
