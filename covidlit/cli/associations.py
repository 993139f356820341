"""`covidlit associations`: how the features of a table or run go together with an outcome."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from covidlit.cli.recorded_command import recorded_command

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from covidlit.evaluation.associations import Associations

_SHOWN = 40


def associations(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE_OR_RUN",
            help="A table (.csv, .parquet, .xlsx) of patients or scans: clinical values, factors "
            "or any other; the folder that `covidlit quantify` wrote; or the folder of a run, of "
            "which the features and targets of all parts are taken.",
        ),
    ],
    outcome: Annotated[
        str | None,
        typer.Option(
            help="Column of the outcome: classes, or severities in an order. Default: severity, "
            "outcome or target, whichever comes first and has two values."
        ),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(help="The outcome's values from mild to severe: mild,moderate,severe."),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(help="Value of the outcome that is held against all others."),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(
            help="Columns, with commas or repeated; or all28, paper15, imaging, clinical, of which "
            "those are taken that are there. Default: all numbers, flags and few categories."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="A table with the outcome and further columns, joined by scan_id, or by "
            "patient_id where one of the two has no scan_id."
        ),
    ] = None,
    rows: Annotated[
        str,
        typer.Option(
            help="Rows of a patient who has several: first or last by date; all, as if they were "
            "independent, which they are not."
        ),
    ] = "first",
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for associations.html, associations.csv, table1.csv, heatmap.png."
        ),
    ] = Path("associations"),
    confidence: Annotated[float, typer.Option(help="Level of all intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of permutations.")] = 0,
) -> None:
    """Show how features go together with an outcome: correlations, effect sizes, tests, heatmap.

    Pearson and Spearman with intervals; Hedges' g, Cliff's delta and AUC, risk difference and odds
    ratio between two groups; the test that each feature's kind asks for; all p-values corrected by
    Holm's method over the features that could be tested. One row per patient.
    """
    from covidlit.errors import PredictionsError
    from covidlit.evaluation.associations import associations as compute
    from covidlit.evaluation.associations.page import check_own_associations, write_associations
    from covidlit.evaluation.run_report import is_run_folder
    from covidlit.evaluation.settings import check_settings
    from covidlit.terminal import headed, plain_console

    check_settings(confidence=confidence)
    check_own_associations(out, tuple(path for path in (source, labels) if path is not None))
    run = is_run_folder(source)
    if run and labels is not None:
        raise PredictionsError(
            "a run has its labels already.", where="--labels", fix="leave it out, or give a table."
        )
    table, own = _of_run(source) if run else (_read(source), None)
    notes = []
    if labels is not None:
        table, note = _with_labels(table, labels)
        notes.append(note)
    asked = _asked(features, table) if features else own
    found = compute(
        table,
        outcome=outcome or ("target" if run else None),
        order=_words([order]) if order else None,
        positive=positive,
        features=asked,
        rows=rows,  # type: ignore[arg-type]  # checked there
        confidence=confidence,
        seed=seed,
    )
    if run:
        notes.append(
            "Rows of all parts of the run are used, test rows among them: this describes the data, "
            "and is nothing to choose features by."
        )
    found = _noted(found, notes)
    command = recorded_command(
        "associations", [source], outcome=outcome, order=order, positive=positive,
        features=features, labels=labels, rows=rows, out=out, confidence=confidence, seed=seed,
    )  # fmt: skip
    page = write_associations(found, out, source=source.name, command=command)
    console = plain_console()
    console.print(_shown(found))
    for note in found.notes:
        console.print(headed("•", "yellow", note))
    console.print(f"Page: {page}", soft_wrap=True)


def _read(source: Path) -> pd.DataFrame:
    from covidlit.errors import PredictionsError
    from covidlit.tables import read_table

    if not source.is_dir():
        return read_table(source, PredictionsError)
    for name in ("factors.parquet", "factors.csv"):
        if (source / name).is_file():
            return read_table(source / name, PredictionsError)
    raise PredictionsError(
        "this folder is neither a run nor one with factors.",
        where=source,
        fix="name a table, the folder of a run, or the one that `covidlit quantify` wrote.",
    )


def _of_run(run: Path) -> tuple[pd.DataFrame, list[str]]:
    """Features and targets of all parts of a run, and the names of the features."""
    import pandas as pd

    from covidlit.datamodules.build import build_datamodule
    from covidlit.explain.run_sources import config_within
    from covidlit.settings.run_config import read_run_config

    config = read_run_config(run)
    if config["split"].get("fold") == "all":  # every fold has all rows
        config["split"] = {**config["split"], "fold": 0}
    if "cache_dir" in config["data"]:
        config = config_within(config, run)
    data = build_datamodule(config)
    data.prepare_data()
    data.setup()
    model = config["model"]  # of a network the features are a setting of its task
    groups = model.get("features") or (model.get("task") or {}).get("features")
    names = list(data.feature_table(groups)["name"])
    parts = []
    for part in ("train", "validation", "test"):
        rows = data.rows_of(part)
        if len(rows):
            numbers = data.features_of(part, groups)[names].set_axis(rows.index)
            kept = [name for name in rows if name not in names]
            parts.append(pd.concat([rows[kept], numbers], axis=1))
    return pd.concat(parts, ignore_index=True), names


def _with_labels(table: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, str]:
    """The table with the columns of another one, and how many rows found one there."""
    from covidlit.errors import PredictionsError

    labels = _read(path)
    key = next((k for k in ("scan_id", "patient_id") if k in table and k in labels), None)
    if key is None:
        raise PredictionsError(
            "it shares neither scan_id nor patient_id with the table.",
            where=path,
            fix="give one of these columns to both.",
        )
    ids = labels[key].astype("string")
    if len(twice := ids[ids.duplicated() & ids.notna()]):
        raise PredictionsError(
            f"{key} {twice.iloc[0]!r} stands in several rows.",
            where=path,
            fix=f"give one row for each {key}.",
        )
    new = [name for name in labels if name not in table]
    # What the labels say of an outcome is no less true where the table has an empty column for it.
    right = labels.assign(**{key: ids})[[key, *new]]
    joined = table.assign(**{key: table[key].astype("string")}).merge(right, on=key, how="left")
    found = int(joined[key].isin(set(ids.dropna())).sum())
    if not found:
        raise PredictionsError(
            f"none of the {len(table)} rows has its {key} there, such as {table[key].iloc[0]!r}.",
            where=path,
            fix="give the labels of these patients.",
        )
    return joined, f"{found} of {len(table)} rows have labels in {path.name}, by {key}."


def _asked(features: list[str], table: pd.DataFrame) -> list[str]:
    """Columns by name, and presets as far as their columns are there."""
    from covidlit.cohort.feature_presets import PRESETS
    from covidlit.errors import PredictionsError

    names: list[str] = []
    for word in _words(features):
        if word in table or word not in PRESETS:
            names.append(word)
            continue
        there = [name for name in PRESETS[word] if name in table]
        if not there:
            raise PredictionsError(
                f"the table has none of the {len(PRESETS[word])} features of {word!r}.",
                where="--features",
                fix="name its columns.",
            )
        names += there
    return list(dict.fromkeys(names))


def _words(values: list[str]) -> list[str]:
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def _noted(found: Associations, notes: list[str]) -> Associations:
    from dataclasses import replace

    return replace(found, notes=(*notes, *found.notes))


def _shown(found: Associations) -> Table:
    """The features with the smallest corrected p-values, as a table for the terminal."""
    from rich.table import Table

    from covidlit.evaluation.difference import format_p
    from covidlit.evaluation.estimate import format_estimate, format_level

    synthetic = " (SYNTHETIC DATA)" if found.synthetic else ""
    ranked = sorted(
        found.results, key=lambda r: 2.0 if r.group.p_value is None else r.group.p_value
    )
    more = len(ranked) - _SHOWN
    shown = Table(
        title=f"Features and {found.outcome.name}{synthetic}",
        caption=f"{more} more in associations.csv" if more > 0 else None,
    )
    shown.add_column("feature")
    shown.add_column("n", justify="right")
    correlated = any("spearman" in result.measures for result in ranked)
    if correlated:
        shown.add_column(f"Spearman, {format_level(found.confidence)} CI")
    shown.add_column("test")
    shown.add_column("p (Holm)", justify="right")
    for result in ranked[:_SHOWN]:
        cells = [result.feature.name, str(result.n)]
        if correlated:
            one = result.measures.get("spearman")
            cells.append(format_estimate(one.estimate) if one else "–")
        p = format_p(result.group.p_holm).removeprefix("p ").removeprefix("= ")
        cells += [result.group.test or "none", p]
        shown.add_row(*cells)
    return shown
