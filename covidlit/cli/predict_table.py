"""`covidlit predict` of a model of tables: the command's other half."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from covidlit.counted import counted
from covidlit.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from covidlit.deploy.tables.model import TableModel
    from covidlit.deploy.tables.predict_rows import ScoredRows
    from covidlit.deploy.tables.survival import SurvivalTableModel

OWN = ("n_missing", "outside", "status", "reason", "trained_on_synthetic")
"""Columns that every table of scores or risks of rows has."""

TABLES = (".csv", ".xlsx", ".parquet")
_SHOWN = 20
_REMARK = 18
"""Characters: the column of remarks keeps so many on a narrow terminal."""


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
    from covidlit.deploy.tables.kind import is_survival_model
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
    model: TableModel | SurvivalTableModel
    if risks := not all_folds and is_survival_model(checkpoint):
        from covidlit.deploy.tables.survival import load_survival_table_model, predict_risks

        model = load_survival_table_model(checkpoint)
        scored = predict_risks(model, path, mapping, checkpoint)
        write_table(scored.table, out)
        _print_risks(scored, out, model)
    else:
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
        _print_contributions(found, beside, "log hazard" if risks else "log odds")
    refused = int(scored.table["status"].eq("refused").sum())
    if refused == len(scored.table) or (strict and refused):
        raise typer.Exit(1)


def _print(scored: ScoredRows, out: Path, name: str) -> None:
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
            str(getattr(row, key)), score, members, called, str(row.n_missing),
            "; ".join(filter(None, remarks)),
        )  # fmt: skip
    said = [] if known is None else [
        f"Class: positive from a score of {point_text(known, table['score'])} on, the operating "
        "point of the model's run."
    ]  # fmt: skip
    if table["notes"].str.startswith(OF_ALL_FOLDS).fillna(False).any():
        said.append(f"Of every row: {OF_ALL_FOLDS}.")
    _print_with_notes(shown, scored, said, name, out)


def _print_risks(scored: ScoredRows, out: Path, model: SurvivalTableModel) -> None:
    from rich.table import Table

    from covidlit.baselines.survival.kept import risk_column

    table = scored.table
    key = "scan_id" if "scan_id" in table else "patient_id"
    shown = Table(title="Risk of the event until a day")
    shown.add_column(key.removesuffix("_id").capitalize(), overflow="fold")
    titles = [f"{days:g} days" for days in model.horizons]
    for title in ("Score", "Group", *titles, "Missing"):
        shown.add_column(title, no_wrap=True)
    shown.add_column("Reason, note or outside", overflow="fold", min_width=_REMARK)
    for row in table.head(_SHOWN).to_dict("records"):
        remarks = [row[name] for name in ("reason", "outside", "notes")]
        refused = row["status"] == "refused"
        risks = [row[risk_column(days)] for days in model.horizons]
        shown.add_row(
            str(row[key]),
            "" if refused else f"{row['risk_score']:+.2f}",
            "" if refused else str(row["risk_group_name"]).removesuffix(" risk"),
            *("" if refused else f"{100 * risk:.1f}%" for risk in risks),
            str(row["n_missing"]),
            "; ".join(text for text in remarks if isinstance(text, str) and text),
        )
    said = [
        "Score: log hazard relative to the mean of the training patients; groups are by quantiles "
        "of their risks. A risk is the probability of the event until then."
    ]
    _print_with_notes(shown, scored, said, model.name, out)


def _print_with_notes(
    shown: Table, scored: ScoredRows, said: list[str], name: str, out: Path
) -> None:
    """Print a table of rows and what there is to say of all of them."""
    from covidlit.terminal import plain_console

    console = plain_console()
    console.print(shown)
    table = scored.table
    lines = [f"The first {_SHOWN} of {len(table)} rows."] if len(table) > _SHOWN else []
    if scored.rows.absent:
        lines.append(
            "The table has no column of these features, which count as missing: "
            f"{', '.join(scored.rows.absent)}."
        )
    lines += [*scored.rows.lines, *said]
    if table["trained_on_synthetic"].any():
        lines.append(
            "The model was trained on synthetic data: what it says means nothing for patients."
        )
    refused = int(table["status"].eq("refused").sum())
    outside = int(table["n_outside"].gt(0).sum())
    lines.append(
        f"{counted(len(table) - refused, 'row')} scored, {refused} refused; {outside} with numbers "
        f"outside the training range; by {name}. For research, not for clinical use. Table: {out}"
    )
    for line in lines:
        console.print(line, soft_wrap=True)


def _print_contributions(found: pd.DataFrame, beside: Path, of_what: str) -> None:
    from rich.table import Table

    from covidlit.terminal import plain_console

    console = plain_console()
    names = found["row"].drop_duplicates().head(3)
    for number in names:
        own = found[found["row"] == number]
        largest = own.reindex(own["contribution"].abs().sort_values(ascending=False).index).head(8)
        shown = Table(
            "Feature", "Value", "Place in training", f"Contribution ({of_what})",
            title=f"{own['name'].iloc[0]}: score {own['score'].iloc[0]:.3f}, of the "
            f"reference {own['reference_score'].iloc[0]:.3f}",
        )  # fmt: skip
        for row in largest.itertuples():
            value = "missing" if row.value != row.value else f"{row.value:.5g}"
            place = "" if row.place != row.place else f"{100 * row.place:.0f}%"
            shown.add_row(row.feature, value, place, f"{row.contribution:+.3f}")
        console.print(shown)
    console.print(
        f"Contributions of every value of {counted(found['row'].nunique(), 'row')}: {beside}",
        soft_wrap=True,
    )
