"""`covidlit evaluate`: statistics and report from a predictions table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from covidlit.cli.evaluate_segmentation import evaluate_segmentation_run, is_segmentation
from covidlit.cli.evaluate_survival import evaluate_survival_run, is_survival
from covidlit.cli.recorded_command import recorded_command

if TYPE_CHECKING:
    from rich.table import Table

    from covidlit.evaluation import Evaluation, ReportContext


def evaluate(
    predictions: Annotated[
        list[Path],
        typer.Argument(
            help="Predictions table (.parquet or .csv), one row per validation and test scan, or "
            "the folder of the training run that wrote it, whose settings and records are then "
            "used: `covidlit evaluate RUN --out RUN` makes its report again. Several are taken "
            "together if they are the folds of one cross-validation."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for report.html and metrics.json.")] = Path(
        "evaluation"
    ),
    operating_point: Annotated[
        str | None,
        typer.Option(
            help="How to choose the threshold on the validation scans: youden, "
            "'sensitivity>=0.9', 'specificity>=0.9', cost:10:1@0.05 (the least cost where a missed "
            "positive costs ten false alarms, at a prevalence of 0.05, or without @ that of these "
            "scans); or a number fixed beforehand. auto: youden "
            "where the validation scans allow it, otherwise 0.5. Default: the run's, or auto."
        ),
    ] = None,
    subgroup: Annotated[
        list[str] | None,
        typer.Option(
            help="Column to analyse by group; repeat for more. Default: the run's, or the usual "
            "ones."
        ),
    ] = None,
    bootstrap: Annotated[
        int | None, typer.Option(help="Bootstrap samples. Default: the run's, or 2000.", min=100)
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(help="Level of all intervals. Default: the run's, or 0.95.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the bootstrap. Default: the run's, or 0.")
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Heading of the report. Default: the run's name, if any.")
    ] = None,
) -> None:
    """Evaluate a predictions table: every number with its interval, as a page and as JSON."""
    from covidlit.evaluation import evaluate as compute
    from covidlit.evaluation import read_runs, write_report
    from covidlit.evaluation.metrics_file import check_own_metrics, with_context
    from covidlit.evaluation.report import check_own_report
    from covidlit.evaluation.row_names import in_unit
    from covidlit.terminal import headed, plain_console

    check_own_report(out)
    check_own_metrics(out)
    given = {
        "operating_point": operating_point,
        "subgroups": subgroup,
        "n_bootstrap": bootstrap,
        "confidence": confidence,
        "seed": seed,
    }
    kinds = (is_segmentation, evaluate_segmentation_run), (is_survival, evaluate_survival_run)
    for is_of_kind, evaluate_run in kinds:
        if len(predictions) != 1 or not is_of_kind(predictions[0]):
            continue
        page = evaluate_run(predictions[0], out, given, title)
        plain_console().print(f"Report: {page}", soft_wrap=True)
        return
    table = read_runs(predictions)
    context, settings = _run_of(predictions)
    settings |= {name: value for name, value in given.items() if value is not None}
    evaluation = compute(table, **settings)
    used = evaluation.metrics["settings"]
    context = replace(context, title=title or context.title)
    command = recorded_command(
        "evaluate",
        predictions,
        out=out,
        operating_point=used["operating_point"],
        bootstrap=used["n_bootstrap"],
        confidence=used["confidence"],
        seed=used["seed"],
        title=context.title,
        subgroup=used["subgroups"],
    )
    context = (
        replace(context, evaluated_by=command)
        if context.command
        else replace(context, command=command)
    )
    page = write_report(table, out, context=context, evaluation=evaluation)
    console = plain_console()
    console.print(results_table(evaluation, context.unit))
    for caution in with_context(evaluation.to_dict(), context)["cautions"]:
        text = in_unit(caution["text"], context.unit)
        console.print(headed("•", "yellow", text))
    console.print(f"Report: {page}", soft_wrap=True)


def _run_of(predictions: list[Path]) -> tuple[ReportContext, dict[str, Any]]:
    """What the folder of a single run says for its report, and its settings of the evaluation."""
    from covidlit.evaluation import ReportContext, run_context, run_settings
    from covidlit.evaluation.run_report import is_run_folder

    if len(predictions) == 1 and is_run_folder(predictions[0]):
        return run_context(predictions[0]), run_settings(predictions[0])
    return ReportContext(), {}


def results_table(evaluation: Evaluation, unit: str = "scan") -> Table:
    """The main results with intervals as a table for the terminal; `unit` is what a row is."""
    from rich.table import Table

    from covidlit.evaluation import format_estimate
    from covidlit.evaluation.estimate import format_level
    from covidlit.evaluation.row_names import in_unit

    metrics = evaluation.to_dict()
    level = format_level(metrics["settings"]["confidence"])
    synthetic = " (SYNTHETIC DATA)" if metrics["synthetic"] else ""
    table = Table(title=f"Results{synthetic}", caption=in_unit(_caption(metrics), unit))
    table.add_column("measure")
    parts = list(metrics["parts"])
    for part in parts:
        n = metrics["parts"][part]["n_scored"]
        table.add_column(f"{part} (n = {n}), {level} CI")
    folds = any("auc_pooled" in record for record in metrics["parts"].values())
    repeats = metrics["parts"]["test"]["n_repeats"]
    of_which = f"folds of {repeats} repeats" if repeats > 1 else "folds"
    rows = {
        **({f"AUC, mean of {of_which}": "auc", "AUC, folds pooled": "auc_pooled"} if folds else {}),
        **({} if folds else {"AUC": "auc"}),
        "sensitivity": "sensitivity",
        "specificity": "specificity",
        "PPV": "ppv",
        "NPV": "npv",
        "accuracy": "accuracy",
        "balanced accuracy": "balanced_accuracy",
        "F1": "f1",
        "MCC": "mcc",
    }
    for label, name in rows.items():
        percent = name not in ("auc", "auc_pooled", "f1", "mcc")
        cells = [
            in_unit(format_estimate(evaluation.estimate(name, part), percent=percent), unit)
            if name != "auc_pooled" or name in metrics["parts"][part]
            else "–"
            for part in parts
        ]
        table.add_row(label, *cells)
    return table


def _caption(metrics: dict[str, Any]) -> str:
    """Where the threshold came from; of pooled folds, which they are."""
    points, folds = metrics["operating_points"], metrics["parts"]["test"]["folds"]
    if not folds:
        return str(points[0]["sentence"])
    if (repeats := metrics["parts"]["test"]["n_repeats"]) > 1:
        return f"{len(folds)} folds in {repeats} repeats, each at its own threshold."
    runs = (f" ({fold['run_id']})" if fold["run_id"] else "" for fold in folds)
    named = ", ".join(f"{fold['fold']}{run}" for fold, run in zip(folds, runs, strict=True))
    return f"Folds, each at its own threshold: {named}."
