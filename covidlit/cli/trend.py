"""`covidlit trend`: a patient's scans over time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table


def trend(
    factors: Annotated[
        Path,
        typer.Argument(metavar="FACTORS", help="factors.parquet or .csv, or the folder with it."),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the tables and a figure per patient.")
    ] = Path("trend"),
    lesions: Annotated[
        Path | None,
        typer.Option(help="Table of lesions; default: lesions.parquet or .csv beside FACTORS."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Folder of lesion labels (<scan_id>.classes.nii.gz, ...), by which lesions are "
            "matched between dates; default: labels/ beside FACTORS, or its own folder."
        ),
    ] = None,
) -> None:
    """Show how factors and lesions of each patient change from scan to scan.

    OUT/trend.csv has a row per scan by date with the change since the scan before, which is called
    one only beyond the limits of agreement that another kernel, slice thickness or breath leaves;
    the lung volume stands beside it. OUT/factors.parquet is FACTORS with volume_change_ml. With
    labels, OUT/lesion_changes.csv says which lesions are new, gone, grown, shrunk, merged or split
    (scans are aligned rigidly on the lungs), or why two scans could not be matched, and
    OUT/lesions.parquet gives each lesion the tracking_uid it had before. OUT/<patient>.png is the
    trend as a figure.
    """
    from covidlit.cohort.factor_limits import FACTORS
    from covidlit.cohort.factor_tables import read_factors, read_lesions
    from covidlit.lesions.agreement import SINGLE_LESIONS
    from covidlit.lesions.trend import (
        CHANGE_COLUMNS,
        NOT_MATCHED,
        TREND_COLUMNS,
        changes_table,
        changes_text,
        compared,
        limits_text,
        trend_table,
        with_changes,
    )
    from covidlit.lesions.trend_figure import write_trend_figure
    from covidlit.names import tidy_name
    from covidlit.progress import progress_bar
    from covidlit.scans.lesion_labels import LesionLabels, read_labels
    from covidlit.tables import check_own_table, write_table
    from covidlit.terminal import plain_console

    source = _table_in(factors, "factors")
    check_own_table(out / "trend.csv", TREND_COLUMNS, "covidlit trend")
    check_own_table(out / "lesion_changes.csv", CHANGE_COLUMNS[:-1], "covidlit trend")
    read = (source, lesions or source.with_name(f"lesions{source.suffix}"))
    for name, columns in (("factors", FACTORS), ("lesions", ("lesion_id", "class_name"))):
        check_own_table(out / f"{name}.parquet", columns, "covidlit trend", inputs=read)
    table = read_factors(source)
    result = trend_table(table)
    folder = _labels_in(labels, source, result)
    console = plain_console()
    changes = None
    if folder is not None:
        own = read_lesions(lesions or _table_in(source.parent, "lesions"))

        def labels_of(scan_id: str) -> LesionLabels:
            bar.advance()
            return read_labels(folder, scan_id)

        with progress_bar("matching lesions", 2 * len(list(compared(result)))) as bar:
            changes, tracked = changes_table(result, own, labels_of)
        write_table(changes, out / "lesion_changes.csv")
        write_table(tracked, out / "lesions.parquet")
    write_table(with_changes(table), out / "factors.parquet")
    write_table(result, out / "trend.csv")
    taken: set[str] = set()
    for patient, rows in result.groupby("patient_id", sort=True):
        name = tidy_name(str(patient))
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        if rows["acquisition_date"].notna().any():
            write_trend_figure(rows, out / f"{name}.png")
    console.print(_shown(result))
    if changes is not None:
        if said := changes_text(changes):
            console.print(f"Lesions: {said}")
            console.print(SINGLE_LESIONS)
        for row in changes[changes["change"] == NOT_MATCHED].itertuples():
            console.print(
                f"Lesions of {row.scan_after} not matched with {row.scan_before}: {row.reason}",
                style="yellow",
                soft_wrap=True,
            )
    if folder is None:
        console.print(
            "Lesions were not matched between dates: there are no labels beside the factors "
            "(--labels FOLDER).",
            style="yellow",
        )
    console.print("A change is called one beyond these limits of agreement (mL, HU, %):")
    for line in limits_text():
        console.print(f"• {line}")
    console.print(f"Tables and figures: {out}", soft_wrap=True)


def _table_in(path: Path, name: str) -> Path:
    """A table as it was named, or that of a folder."""
    from covidlit.errors import CovidlitError

    if not path.is_dir():
        return path
    for ending in (".parquet", ".csv"):
        if (path / f"{name}{ending}").is_file():
            return path / f"{name}{ending}"
    raise CovidlitError(
        f"there is no {name}.parquet and no {name}.csv.",
        where=path,
        fix="name the table itself, or the folder that `covidlit quantify` wrote.",
    )


def _labels_in(given: Path | None, source: Path, result: pd.DataFrame) -> Path | None:
    """The folder of labels: the given one, or one that holds those of a scan of the table."""
    from covidlit.scans.lesion_labels import label_paths

    if given is not None:
        return given
    for folder in (source.parent / "labels", source.parent):
        if any(label_paths(folder, scan)[0].is_file() for scan in result["scan_id"]):
            return folder
    return None


def _shown(result: pd.DataFrame) -> Table:
    from rich.table import Table

    from covidlit.lesions.trend import change_text

    shown = Table(title="Trend")
    for name in ("patient", "scan", "date", "day", "lesions", "mL", "change", "lungs mL", "note"):
        shown.add_column(name)
    for row in result.to_dict("records"):
        date = row["acquisition_date"]
        shown.add_row(
            str(row["patient_id"]),
            str(row["scan_id"]),
            f"{date:%Y-%m-%d}" if date == date else "",
            str(row["days"]) if date == date else "",
            str(row["n_lesions"]),
            f"{row['total_volume_ml']:.1f}",
            change_text(row),
            change_text(row, "lung_volume_ml"),
            row["note"] or "",
        )
    return shown
