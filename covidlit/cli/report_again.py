"""The report of a run that is no classification, made again from the tables in its folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from covidlit.cli.recorded_command import recorded_command
from covidlit.errors import PredictionsError


def report_again(
    folder: Path,
    out: Path,
    given: Mapping[str, Any],
    title: str | None,
    *,
    what: str,
    own: Sequence[str],
    evaluate: Callable[..., Any],
    write: Callable[[Any, Path, Any], Path],
) -> Path:
    """Evaluate a run's tables with its own settings, but for those that are given.

    Args:
        folder: of the run.
        out: where `report.html` and `metrics.json` go.
        given: settings of the evaluation that were given, by the names of `evaluate`.
        title: of the report; None: the run's.
        what: the run in sentences, such as "a segmentation".
        own: names of its settings.
        evaluate: of the folder, with settings by name.
        write: of what it returned, `out` and the context; returns the page.

    Raises:
        PredictionsError: a setting that such a run has not; the tables cannot be read.
    """
    from covidlit.evaluation import run_context
    from covidlit.evaluation.run_report import run_evaluation

    for name in ("operating_point", "subgroups"):
        if given.get(name) is not None:
            raise PredictionsError(
                f"{what} has no {name.replace('_', ' ')}.", where=name, fix="leave it out."
            )
    kept = run_evaluation(folder)
    settings = {name: kept[name] for name in own if name in kept}
    settings |= {name: value for name, value in given.items() if value is not None}
    context = run_context(folder)
    context = replace(context, title=title or context.title)
    evaluation = evaluate(folder, **settings)
    command = recorded_command(
        "evaluate", [folder], out=out, bootstrap=settings.get("n_bootstrap"),
        confidence=settings.get("confidence"), seed=settings.get("seed"), title=context.title,
    )  # fmt: skip
    if context.command:
        context = replace(context, evaluated_by=command)
    else:
        context = replace(context, command=command)
    return write(evaluation, out, context)
