"""One self-contained `report.html` and `metrics.json` from a predictions table."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import numpy as np

from covidlit.evaluation import figures, report_tables, report_text
from covidlit.evaluation.decision_curve import SHOWN
from covidlit.evaluation.decision_figure import decision_figure
from covidlit.evaluation.estimate import format_level
from covidlit.evaluation.evaluate import Evaluation, evaluate
from covidlit.evaluation.metrics_file import with_context, write_metrics
from covidlit.evaluation.predictions import accepted
from covidlit.evaluation.report_context import ReportContext
from covidlit.evaluation.row_names import page_in_unit
from covidlit.files import check_own_page, write_text

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    import pandas as pd


def write_report(
    predictions: pd.DataFrame,
    out_dir: str | Path,
    *,
    context: ReportContext | None = None,
    evaluation: Evaluation | None = None,
) -> Path:
    """Write `metrics.json` and `report.html` into `out_dir`, atomically; returns the page's path.

    The metrics are written before anything is drawn, so that they are there whatever fails then.

    Args:
        predictions: table of contract 6.
        out_dir: folder, made if needed.
        context: what to say beyond the table.
        evaluation: result of `evaluate(predictions, ...)`; by default made here with its defaults.

    Raises:
        PredictionsError: the table cannot be evaluated.
        CovidlitError: the folder cannot be written.
    """
    context = context or ReportContext()
    evaluation = evaluation or evaluate(predictions)
    write_metrics(evaluation, out_dir, context)
    metrics = with_context(evaluation.to_dict(), context)
    page = render_report(Evaluation(metrics, evaluation.table), context)
    return write_text(Path(out_dir) / "report.html", page)


def check_own_report(out_dir: str | Path) -> Path:
    """The page's path, if no other file than an earlier report of covidlit lies there.

    Raises:
        CovidlitError: another file lies there, or the folder cannot be written.
    """
    path = Path(out_dir) / "report.html"
    return check_own_page(path, "covidlit evaluate", older="<footer>Made by covidlit from the ")


def render_report(evaluation: Evaluation, context: ReportContext) -> str:
    """The page as HTML text; everything it needs is inside."""
    metrics = evaluation.to_dict()
    test, validation = metrics["parts"]["test"], metrics["parts"].get("validation")
    synthetic, confidence = bool(metrics["synthetic"]), metrics["settings"]["confidence"]
    table = evaluation.table
    scored = accepted(table[table["part"] == "test"])
    thresholds = np.unique(scored["threshold"].to_numpy(float))
    drawn: dict[str, str | None] = {
        "scores": figures.score_figure(scored, thresholds, synthetic),
        "calibration": figures.calibration_figure(test["calibration"], synthetic),
    }
    if test["roc"] is not None:
        by = "repeat" if test["n_repeats"] > 1 else "fold"
        folds = [rows for _, rows in scored.groupby(by)] if test["folds"] else []
        drawn["roc"] = figures.roc_figure(test, validation, confidence, synthetic, folds)
        drawn["threshold"] = figures.threshold_figure(scored, thresholds, synthetic)
    if test["decision_curve"]["points"]:
        points = test["decision_curve"]["points"]
        drawn["decision"] = decision_figure(points, thresholds, confidence, synthetic)
    if context.training_curve is not None:
        drawn["training"] = figures.training_figure(context.training_curve, synthetic)
    centres = [
        centre["auc"]
        for stratum in metrics["centre_check"]["strata"]
        for centre in stratum["centres"]
    ]
    page = page_template("report.html.j2").render(
        context=context,
        metrics=metrics,
        test=test,
        meaning=report_text.score_meaning(table[table["part"] == "test"]),
        validation=validation,
        shown_decisions=SHOWN,
        figures=drawn,
        synthetic=synthetic,
        level=format_level(confidence),
        subgroup_scale=report_text.Scale.of(
            [row["auc"] for row in test["subgroups"]],
            0.5 if test["auc"]["value"] is None else test["auc"]["value"],
        ),
        centre_scale=report_text.Scale(0.0, 1.0, 0.5),
        has_centres=bool(centres),
    )
    return page_in_unit(page, context.unit)


@cache
def page_template(name: str, package: str = "covidlit.evaluation") -> jinja2.Template:
    """A template of a package, such as "report.html.j2"; it may include those of this folder."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    folders = [resources.files(place) for place in (package, "covidlit.evaluation")]
    environment.loader = jinja2.FunctionLoader(lambda name: _source(name, folders))
    environment.filters["estimate"] = report_text.interval_html
    environment.filters["cell"] = report_text.cell_html
    environment.filters["centres"] = report_text.centres_text
    environment.filters["table"] = report_tables.table_html
    environment.filters["stacked"] = report_tables.label_cells
    environment.filters["title_of"] = report_tables.column_title
    environment.filters["difference"] = report_text.difference_html
    environment.filters["p"] = report_text.p_html
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    return environment.get_template(name)


def _source(name: str, folders: Sequence[Traversable]) -> str | None:
    files = (folder.joinpath(name) for folder in folders)
    return next((file.read_text(encoding="utf-8") for file in files if file.is_file()), None)
