"""`covidlit evaluate`: statistics and report from a predictions table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from covidlit.cli.recorded_command import recorded_command

if TYPE_CHECKING:
    from rich.table import Table

    from covidlit.evaluation import Evaluation


def evaluate(
    predictions: Annotated[
        list[Path],
        typer.Argument(
            help="Predictions table (.parquet or .csv), one row per validation and test scan, or "
            "the folder of the training run that wrote it. Several are pooled if they are the "
            "folds of one cross-validation."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for report.html and metrics.json.")] = Path(
        "evaluation"
    ),
    operating_point: Annotated[
        str,
        typer.Option(
            help="How to choose the threshold on the validation scans: youden, "
            "'sensitivity>=0.9', 'specificity>=0.9'; or a number fixed beforehand. auto: youden "
            "where the validation scans allow it, otherwise 0.5."
        ),
    ] = "auto",
    subgroup: Annotated[
        list[str] | None,
        typer.Option(help="Column to analyse by group; repeat for more. Default: the usual ones."),
    ] = None,
    bootstrap: Annotated[int, typer.Option(help="Bootstrap samples.", min=100)] = 2000,
    confidence: Annotated[float, typer.Option(help="Level of all intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    title: Annotated[str, typer.Option(help="Heading of the report.")] = "Evaluation report",
) -> None:
    """Evaluate a predictions table: every number with its interval, as a page and as JSON."""
    from rich.console import Console

    from covidlit.evaluation import ReportContext, read_runs, write_report
    from covidlit.evaluation import evaluate as compute
    from covidlit.files import check_writable

    for name in ("report.html", "metrics.json"):
        check_writable(out / name)
    table = read_runs(predictions)
    evaluation = compute(
        table,
        operating_point=operating_point,
        subgroups=subgroup,
        n_bootstrap=bootstrap,
        seed=seed,
        confidence=confidence,
    )
    command = recorded_command(
        "evaluate",
        predictions,
        out=out,
        operating_point=operating_point,
        bootstrap=bootstrap,
        confidence=confidence,
        seed=seed,
        title=title,
        subgroup=subgroup,
    )
    context = ReportContext(title=title, command=command)
    page = write_report(table, out, context=context, evaluation=evaluation)
    console = Console()
    console.print(results_table(evaluation))
    for caution in evaluation.to_dict()["cautions"]:
        console.print(f"[yellow]•[/yellow] {caution['text']}", highlight=False)
    console.print(f"Report: {page}", highlight=False, soft_wrap=True)


def results_table(evaluation: Evaluation) -> Table:
    """The main results with intervals as a table for the terminal."""
    from rich.table import Table

    from covidlit.evaluation import format_estimate
    from covidlit.evaluation.estimate import format_level

    metrics = evaluation.to_dict()
    level = format_level(metrics["settings"]["confidence"])
    synthetic = " (SYNTHETIC DATA)" if metrics["synthetic"] else ""
    table = Table(title=f"Results{synthetic}", caption=_caption(metrics))
    table.add_column("measure")
    parts = list(metrics["parts"])
    for part in parts:
        n = metrics["parts"][part]["n_scored"]
        table.add_column(f"{part} (n = {n}), {level} CI")
    rows = {
        "AUC": "auc",
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
        percent = name not in ("auc", "f1", "mcc")
        cells = [format_estimate(evaluation.estimate(name, p), percent=percent) for p in parts]
        table.add_row(label, *cells)
    return table


def _caption(metrics: dict[str, Any]) -> str:
    """Where the threshold came from; of pooled folds, which they are."""
    points, folds = metrics["operating_points"], metrics["parts"]["test"]["folds"]
    if not folds:
        return str(points[0]["sentence"])
    runs = (f" ({fold['run_id']})" if fold["run_id"] else "" for fold in folds)
    named = ", ".join(f"{fold['fold']}{run}" for fold, run in zip(folds, runs, strict=True))
    return f"Pooled folds, each at its own threshold: {named}."
