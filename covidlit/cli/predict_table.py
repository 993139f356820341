"""`covidlit predict` of a model of tables: the command's other half."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from covidlit.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.deploy.tables.predict_rows import ScoredRows

OWN = ("score", "score_low", "score_high", "n_missing", "outside", "status", "reason")
"""Columns that every table of scores of rows has."""

TABLES = (".csv", ".xlsx", ".parquet")
_SHOWN = 20


def predict_table(
    checkpoint: Path,
    path: Path,
    out: Path,
    mapping: str | None,
    explain: bool,
    strict: bool,
    all_folds: bool = False,
) -> None:
    """Score the rows of a table and print a summary; see `covidlit.cli.predict`."""
    from covidlit.deploy.tables.all_folds import load_all_folds
    from covidlit.deploy.tables.model import load_table_model
    from covidlit.deploy.tables.predict_rows import predict_rows
    from covidlit.process import let_waiting_threads_sleep
    from covidlit.tables import check_own_table, write_table

    let_waiting_threads_sleep()
    if path.is_dir() or path.suffix.lower() not in TABLES:
        raise ConfigError(
            "the model takes a table of numbers.", where=path,
            fix=f"give one that ends in {', '.join(TABLES)}.",
        )  # fmt: skip
    check_own_table(out, OWN, "covidlit predict", [path, checkpoint])
    model = load_all_folds(checkpoint) if all_folds else load_table_model(checkpoint)
    scored = predict_rows(model, path, mapping, checkpoint)
    write_table(scored.table, out)
    _print(scored, out, model.name)
    if explain:
        from covidlit.explain.tables.contributions import EARLIER, contributions_of

        beside = out.with_suffix(".contributions.csv")
        check_own_table(beside, EARLIER, "covidlit predict --explain", [path, checkpoint])
        found = contributions_of(model, scored.rows, scored.table["status"].eq("ok"))
        write_table(found, beside)
        _print_contributions(found, beside)
    refused = int(scored.table["status"].eq("refused").sum())
    if refused == len(scored.table) or (strict and refused):
        raise typer.Exit(1)


def _print(scored: ScoredRows, out: Path, name: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from covidlit.deploy.score_text import point_text, score_texts
    from covidlit.deploy.tables.predict_rows import OF_ALL_FOLDS

    table = scored.table
    key = "scan_id" if "scan_id" in table else "patient_id"
    point = table["operating_point"].iloc[0]
    known = None if point != point else float(point)
    shown = Table(title="Scores")
    shown.add_column(key.removesuffix("_id").capitalize(), overflow="fold")
    for title in ("Score", "Members", "Class", "Missing"):
        shown.add_column(title, no_wrap=True)
    shown.add_column("Reason, note or outside", overflow="fold")
    first = table.head(_SHOWN)
    for row, score in zip(
        first.itertuples(), score_texts(first["score"].tolist(), known), strict=True
    ):
        members = (
            "" if row.score_low != row.score_low else f"{row.score_low:.3f}–{row.score_high:.3f}"
        )
        remarks = [text for text in (row.reason, row.outside, row.notes) if isinstance(text, str)]
        remarks = [text.removeprefix(OF_ALL_FOLDS).removeprefix("; ") for text in remarks]
        called = row.predicted_class if isinstance(row.predicted_class, str) else ""
        shown.add_row(
            escape(str(getattr(row, key))), score, members, escape(called), str(row.n_missing),
            escape("; ".join(filter(None, remarks))),
        )  # fmt: skip
    console = Console()
    console.print(shown)

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    if len(table) > _SHOWN:
        say(f"The first {_SHOWN} of {len(table)} rows.")
    if scored.rows.absent:
        say(
            "The table has no column of these features, which count as missing: "
            f"{', '.join(scored.rows.absent)}."
        )
    for line in scored.rows.lines:
        say(line)
    if known is not None:
        said = point_text(known, table["score"])
        say(f"Class: positive from a score of {said} on, the operating point of the model's run.")
    if table["notes"].str.startswith(OF_ALL_FOLDS).fillna(False).any():
        say(f"Of every row: {OF_ALL_FOLDS}.")
    if table["trained_on_synthetic"].any():
        say("The model was trained on synthetic data: its scores mean nothing for patients.")
    refused = int(table["status"].eq("refused").sum())
    outside = int(table["n_outside"].gt(0).sum())
    say(
        f"{len(table) - refused} rows scored, {refused} refused; {outside} with numbers outside "
        f"the training range; by {name}. For research, not for clinical use. Table: {out}"
    )


def _print_contributions(found: pd.DataFrame, beside: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    names = found["row"].drop_duplicates().head(3)
    for number in names:
        own = found[found["row"] == number]
        largest = own.reindex(own["contribution"].abs().sort_values(ascending=False).index).head(8)
        shown = Table(
            "Feature", "Value", "Place in training", "Contribution (log odds)",
            title=f"{escape(str(own['name'].iloc[0]))}: score {own['score'].iloc[0]:.3f}, of the "
            f"reference {own['reference_score'].iloc[0]:.3f}",
        )  # fmt: skip
        for row in largest.itertuples():
            value = "missing" if row.value != row.value else f"{row.value:.5g}"
            place = "" if row.place != row.place else f"{100 * row.place:.0f}%"
            shown.add_row(escape(row.feature), value, place, f"{row.contribution:+.3f}")
        console.print(shown)
    console.print(
        f"Contributions of every value of {found['row'].nunique()} rows: {beside}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
