"""One self-contained `report.html` and `metrics.json` from a predictions table."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.evaluation.estimate import format_level
from covidlit.evaluation.evaluate import Evaluation, evaluate
from covidlit.evaluation.predictions import accepted
from covidlit.files import write_json, write_text

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    import jinja2
    import pandas as pd


@dataclass(frozen=True)
class ReportContext:
    """What the report says beyond the predictions table; every field may be left out.

    Attributes:
        title: heading of the page.
        run_id: name of the run; by default the table's.
        command: the command line that made the run.
        config: resolved configuration as YAML text.
        config_hash: hash of the resolved configuration.
        split_hash: hash of the split.
        split_summary: one row per part: scans, patients, classes, centres.
        centres: the centres of the whole cohort, so that those without a score can be named.
        disjointness: sentences saying what was checked for leakage and the result.
        flow: inclusion flow (step, criterion, n_excluded, n_left).
        tables: further tables by title, such as Table 1 and Table 2.
        versions: package versions and hardware by name.
        seed: seed of the run; by default the table's.
        training_curve: one row per epoch: epoch, train_loss, val_auc, ...
        model: facts about the model by name, such as parameters.
        training: facts about the training by name, such as epochs, batch size, hardware.
        selected_on: what chose the checkpoint: "validation", "last epoch", "test", ...
        cut_short: sentence saying that a debugging setting cut the training short; empty where
            none did.
        synthetic: whether the images are synthetic; None leaves it to the table.
        notes: remarks of the user.
        gallery: captions with PNG pictures of heatmaps, and `gallery_note`, what they show.
    """

    title: str = "Evaluation report"
    run_id: str | None = None
    command: str | None = None
    config: str | None = None
    config_hash: str | None = None
    split_hash: str | None = None
    split_summary: pd.DataFrame | None = None
    centres: Sequence[str] = ()
    disjointness: Sequence[str] = ()
    flow: pd.DataFrame | None = None
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    training_curve: pd.DataFrame | None = None
    model: Mapping[str, object] = field(default_factory=dict)
    training: Mapping[str, object] = field(default_factory=dict)
    selected_on: str | None = None
    cut_short: str = ""
    synthetic: bool | None = None
    notes: Sequence[str] = ()
    gallery: Sequence[tuple[str, bytes]] = ()
    gallery_note: str = ""


def write_report(
    predictions: pd.DataFrame,
    out_dir: str | Path,
    *,
    context: ReportContext | None = None,
    evaluation: Evaluation | None = None,
) -> Path:
    """Write `report.html` and `metrics.json` into `out_dir`, atomically; returns the page's path.

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
    metrics = with_context(evaluation.to_dict(), context)
    page = render_report(Evaluation(metrics, evaluation.table), context)
    folder = Path(out_dir)
    write_json(folder / "metrics.json", metrics)
    return write_text(folder / "report.html", page)


def with_context(metrics: dict[str, Any], context: ReportContext) -> dict[str, Any]:
    """The metrics with what only the context knows: synthetic, selection, centres, hashes."""
    found = list(metrics["cautions"])
    synthetic = context.synthetic if metrics["synthetic"] is None else metrics["synthetic"]
    synthetic = bool(synthetic or context.synthetic) if synthetic is not None else None
    if synthetic and not metrics["synthetic"]:
        found.insert(
            0,
            {
                "code": "synthetic",
                "text": "The images are synthetic: no number here says anything about patients.",
            },
        )
    if context.selected_on == "test":
        found.insert(
            0,
            {
                "code": "selected_on_test",
                "text": "The checkpoint was selected on the test part: its results are optimistic "
                "and must not be reported as test results.",
            },
        )
    elif context.selected_on == "last epoch":
        text = "No checkpoint was selected: the last epoch's weights were used."
        found.append({"code": "last_epoch", "text": text})
    if context.cut_short:
        text = f"{context.cut_short} These are not the results of a whole training."
        found.insert(0, {"code": "cut_short", "text": text})
    record = {
        "config_hash": context.config_hash,
        "split_hash": context.split_hash,
        "command": context.command,
        "selected_on": context.selected_on,
        "model": dict(context.model),
        "training": dict(context.training),
        "versions": dict(context.versions),
    }
    check = metrics["centre_check"]
    check = check | {"left_out": [*check["left_out"], *_never_scored(check, context.centres)]}
    added = {"synthetic": synthetic, "cautions": found, "centre_check": check, "record": record}
    return metrics | added


def _never_scored(check: dict[str, Any], centres: Sequence[str]) -> list[dict[str, str]]:
    """Centres of the cohort of which the predictions table holds no scan, with the reason."""
    known = {row["centre"] for row in check["left_out"]}
    for stratum in check["strata"]:
        known |= {row["centre"] for row in [*stratum["centres"], *stratum["left_out"]]}
    reason = "no scan in the validation or test part; training scans are not scored"
    return [{"centre": name, "reason": reason} for name in centres if name not in known]


def render_report(evaluation: Evaluation, context: ReportContext) -> str:
    """The page as HTML text; everything it needs is inside."""
    import numpy as np

    from covidlit.evaluation import figures, report_text

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
        drawn["roc"] = figures.roc_figure(test, validation, confidence, synthetic)
        drawn["threshold"] = figures.threshold_figure(scored, thresholds, synthetic)
    if context.training_curve is not None:
        drawn["training"] = figures.training_figure(context.training_curve, synthetic)
    centres = [
        centre["auc"]
        for stratum in metrics["centre_check"]["strata"]
        for centre in stratum["centres"]
    ]
    return page_template("report.html.j2").render(
        context=context,
        metrics=metrics,
        test=test,
        meaning=report_text.score_meaning(table[table["part"] == "test"]),
        validation=validation,
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


@cache
def page_template(name: str, package: str = "covidlit.evaluation") -> jinja2.Template:
    """A template of a package, such as "report.html.j2"; it may include those of this folder."""
    import jinja2

    from covidlit.evaluation import report_tables, report_text

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
