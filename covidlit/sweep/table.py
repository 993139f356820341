"""The table of a sweep's best trials, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from covidlit.sweep.summary import Summary, epochs_of, metric_of, short_names, shown, summarise
from covidlit.terminal import plain_console

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial
    from rich.console import Console

SHOWN = 5
"""How many of the best trials the table lists."""


def print_table(study: Study, *, console: Console | None = None) -> None:
    """Print the best trials and what became of all.

    Args:
        study: of a sweep.
        console: where to print; None: the terminal.
    """
    console = console or plain_console()
    summary = summarise(study)
    if summary.best is None:
        console.print(f"Sweep {study.study_name}: no trial has finished.")
    else:
        console.print(best_table(study, summary))
        left = len(summary.finished) - SHOWN
        if left > 0:
            console.print(f"{left} more finished; sweep.html lists them.")
    console.print(f"Trials: {summary.sentence()}.")
    if len(summary.finished) > 1:
        console.print(
            "The best of several trials is optimistic: judge it by the test part of its own run.",
            style="yellow",
        )


def best_table(study: Study, summary: Summary) -> Table:
    """The best trials: number, value, epochs, folder, drawn parameters."""
    names = short_names(summary.parameters())
    table = Table(title=f"Sweep {study.study_name}: best trials")
    table.add_column("trial", justify="right")
    table.add_column(metric_of(study), justify="right")
    table.add_column("epochs", justify="right")
    table.add_column("folder", overflow="fold")
    table.add_column("parameters", overflow="fold")
    for trial in summary.ranked()[:SHOWN]:
        epochs = epochs_of(trial)
        table.add_row(
            str(trial.number),
            f"{trial.value:.4g}",
            "–" if epochs is None else str(epochs),
            str(trial.user_attrs.get("folder", "–")),
            _drawn(trial, names) or "–",
        )
    return table


def _drawn(trial: FrozenTrial, names: dict[str, str]) -> str:
    return "\n".join(f"{names[name]}={shown(value)}" for name, value in trial.params.items())
