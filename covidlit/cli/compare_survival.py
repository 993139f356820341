"""`covidlit compare` where the runs are of times to an event."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.cli.recorded_command import recorded_command
from covidlit.counted import counted
from covidlit.errors import PredictionsError

if TYPE_CHECKING:
    from rich.table import Table


def of_survival(runs: Sequence[str]) -> bool:
    """Whether the runs are of times to an event.

    Raises:
        PredictionsError: some are and some have classes.
    """
    from covidlit.evaluation.runs import TABLE, split_label
    from covidlit.evaluation.survival.runs import is_survival_table

    of_times = [run for run in runs if is_survival_table(run)]
    paths = {run: split_label(run)[1] for run in runs}
    of_classes = [
        run
        for run, path in paths.items()
        if run not in of_times and (path.is_file() or (path / TABLE).is_file())
    ]
    if of_times and of_classes:
        raise PredictionsError(
            f"{of_times[0]} is a run of times to an event, {of_classes[0]} has scores of classes.",
            where="runs",
            fix="compare runs of one label rule.",
        )
    return bool(of_times)


def compare_survival_runs(
    runs: Sequence[str], out: Path, given: dict[str, Any], *, title: str
) -> None:
    """Compare, write the page and print a summary; see `covidlit.cli.compare`.

    Args:
        runs: as they were given.
        out: folder.
        given: options of the command by name.
        title: heading of the page.

    Raises:
        PredictionsError: an option that is of classes; see `compare_survival`.
    """
    from covidlit.evaluation.survival.compare import compare_survival
    from covidlit.evaluation.survival.comparison_report import write_survival_comparison
    from covidlit.evaluation.survival.runs import is_survival_table, read_labelled_survival
    from covidlit.terminal import plain_console

    for name, plain in (("operating_point", "auto"), ("mcnemar", "exact")):
        if given[name] != plain:
            raise PredictionsError(
                "risks of times to an event are called neither positive nor negative.",
                where=f"--{name.replace('_', '-')}",
                fix="leave it out.",
            )
    used = [run for run in runs if is_survival_table(run)]
    settings = {
        "n_bootstrap": given["bootstrap"],
        "confidence": given["confidence"],
        "seed": given["seed"],
    }
    skipped = [run for run in runs if run not in used]
    results = compare_survival(read_labelled_survival(used), skipped=skipped, **settings)
    named = {name: given[name] for name in ("bootstrap", "confidence", "seed")}
    command = recorded_command("compare", used, out=out, **named, title=title)
    page = write_survival_comparison(results, out, title=title, command=command)
    console = plain_console()
    console.print(_models(results))
    console.print(_differences(results))
    for test, text in zip(results["tests"], results["conclusions"], strict=True):
        if test["measure"] == "concordance":
            console.print(f"• {text}")
    for note in results["notes"]:
        console.print(f"• {note['text']}", style="yellow")
    console.print(f"Report: {page}", soft_wrap=True)


def _models(results: dict[str, Any]) -> Table:
    from rich.table import Table

    from covidlit.evaluation.estimate import Estimate, format_estimate, format_level

    level = format_level(results["settings"]["confidence"])
    synthetic = " (SYNTHETIC DATA)" if results["synthetic"] else ""
    number = counted(results["test"]["n_compared"], f"test {results['unit']}")
    table = Table(title=f"Models on {number}, {level} CI{synthetic}")
    for name in ("model", "measure", "value"):
        table.add_column(name)
    for model in results["models"]:
        for place, (code, name) in enumerate(results["measures"].items()):
            value = format_estimate(Estimate.from_dict(model["measures"][code]))
            table.add_row("" if place else model["model"], name, value)
    return table


def _differences(results: dict[str, Any]) -> Table:
    from rich.table import Table

    from covidlit.evaluation.difference import format_p
    from covidlit.evaluation.estimate import Estimate, format_estimate, format_level

    level = format_level(results["settings"]["confidence"])
    table = Table(title=f"Differences, {level} CI, patient bootstrap")
    for name in ("first minus second", "measure", "difference", "p", "Holm"):
        table.add_column(name)
    for test in results["tests"]:
        texts = (format_p(test[name]).removeprefix("p ").removeprefix("= ")
                 for name in ("p_value", "p_holm"))  # fmt: skip
        table.add_row(
            f"{test['first']} − {test['second']}", test["name"],
            format_estimate(Estimate.from_dict(test["difference"])), *texts,
        )  # fmt: skip
    return table
