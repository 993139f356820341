"""`covidlit evaluate RUN` where the run is of times to an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from covidlit.cli.recorded_command import recorded_command
from covidlit.errors import PredictionsError
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
    from covidlit.evaluation import run_context
    from covidlit.evaluation.run_report import run_evaluation
    from covidlit.evaluation.survival.evaluate import evaluate_survival
    from covidlit.evaluation.survival.report import write_survival_report
    from covidlit.evaluation.survival.tables import coefficients_in, read_survival

    for name in ("operating_point", "subgroups"):
        if given.get(name) is not None:
            raise PredictionsError(
                f"a survival run has no {name.replace('_', ' ')}.", where=name, fix="leave it out."
            )
    own = run_evaluation(folder)
    settings = {name: own[name] for name in _ITS_OWN if name in own}
    settings |= {name: value for name, value in given.items() if value is not None}
    context = run_context(folder)
    context = replace(context, title=title or context.title)
    evaluation = evaluate_survival(read_survival(folder), **settings)
    command = recorded_command(
        "evaluate", [folder], out=out, bootstrap=settings.get("n_bootstrap"),
        confidence=settings.get("confidence"), seed=settings.get("seed"), title=context.title,
    )  # fmt: skip
    if context.command:
        context = replace(context, evaluated_by=command)
    else:
        context = replace(context, command=command)
    return write_survival_report(evaluation, out, context, coefficients_in(folder))
