"""`covidlit inspect`: what series a folder holds, and which of them can be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from covidlit.dicom import Found, Verdict


def inspect(
    folder: Annotated[Path, typer.Argument(help="Folder with DICOM files, or one DICOM file.")],
    csv: Annotated[
        Path, typer.Option("--csv", help="Where to write the table (.csv or .parquet).")
    ] = Path("series.csv"),
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--override",
            help="A check that shall not refuse a series, by its name in the table (repeatable).",
        ),
    ] = None,
    min_slices: Annotated[
        int, typer.Option(help="Refuse series with fewer slices than this.")
    ] = 12,
    pixels: Annotated[
        bool,
        typer.Option(
            "--pixels",
            help="Read the pixels of each accepted series, too, and refuse what does not decode.",
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if anything is refused or damaged.")
    ] = False,
    keep_identifiers: Annotated[
        bool, typer.Option("--keep-identifiers", help="Write the original UIDs, not pseudonyms.")
    ] = False,
) -> None:
    """List the CT series under a folder, and say of each whether it can be used and why not.

    The table holds no patient name, ID or birth date; UIDs are replaced by pseudonyms. Paths are
    written as they are (relative to the folder).
    """
    import pandas as pd

    from covidlit.dicom import Checks, find_series, judge, looked_into
    from covidlit.tables import check_table_path, write_table

    check_table_path(csv)
    checks = Checks(min_slices=min_slices, override=frozenset(override or ()))
    root = folder if folder.is_dir() else folder.parent
    with _progress() as progress:
        progress.add_task(f"Reading headers under {folder}", total=None)
        found = find_series(folder)
        verdicts = [judge(series, checks) for series in found.series]
        if pixels:
            both = zip(found.series, verdicts, strict=True)
            reading = progress.add_task("Reading pixels", total=len(verdicts))
            verdicts = []
            for series, verdict in both:
                verdicts.append(looked_into(series, verdict, checks))
                progress.advance(reading)
    rows = [_row(verdict, root, keep_identifiers) for verdict in verdicts]
    rows += [
        {
            "folder": _relative(problem.path, root),
            "accepted": False,
            "checks": "damaged_file",
            "reason": problem.reason,
        }
        for problem in found.problems
    ]
    columns = list(rows[0]) if rows else ["series_uid", "study_uid", "folder", "accepted", "reason"]
    write_table(pd.DataFrame(rows, columns=columns), csv)
    _print(rows, found, csv)
    _print_hints(folder, found)
    if strict and not all(row["accepted"] for row in rows):
        raise typer.Exit(1)


def _row(verdict: Verdict, root: Path, keep_identifiers: bool) -> dict[str, Any]:
    row = verdict.to_row(keep_identifiers=keep_identifiers)
    return row | {"folder": _relative(Path(verdict.folder), root)}


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _progress() -> Any:
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, transient=True)


def _series_text(row: dict[str, Any]) -> str:
    """The folder, then what was found: the first reason in words, the other checks by name."""
    from rich.markup import escape

    lines = [f"[bold]{escape(row['folder'] or '.')}[/]"]
    if (n_slices := row.get("n_slices")) is not None:
        size = _count(n_slices, "slice")
        if (spacing := row.get("slice_spacing_mm")) is not None:
            size += f", {spacing:g} mm apart, pixels of {row['spacing_mm']:g} mm"
        lines.append(size)
    if not row["accepted"]:
        _, *others = str(row["checks"]).split()
        reason = str(row["reason"]).split("; " + others[0] + ": ")[0] if others else row["reason"]
        also = f" [red](also {', '.join(others)})[/]" if others else ""
        lines.append(escape(str(reason)) + also)
    if row.get("notes"):
        lines.append(f"[dim]{escape(str(row['notes']))}[/]")
    return "\n".join(lines)


def _print(rows: list[dict[str, Any]], found: Found, csv: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    # Two columns, so that folders and reasons can be read in a terminal of 80 characters.
    table = Table(show_lines=True, expand=True)
    table.add_column("Verdict", no_wrap=True)
    table.add_column("Series", ratio=1, overflow="fold")
    for row in rows:
        verdict = "[green]accepted[/]" if row["accepted"] else "[red]refused[/]"
        table.add_row(verdict, _series_text(row))
    console = Console()
    if rows:
        console.print(table)
    accepted = sum(bool(row["accepted"]) for row in rows)
    console.print(
        f"{len(found.series)} series in {_count(found.n_files, 'file')}: {accepted} accepted, "
        f"{len(found.series) - accepted} refused; {_count(len(found.problems), 'file')} damaged or "
        f"missing beside these; {_count(found.n_other, 'file')} of another kind than DICOM images. "
        f"Table: {csv}"
    )


def _print_hints(folder: Path, found: Found) -> None:
    """Say what else is there, and which command takes it."""
    from rich.console import Console
    from rich.markup import escape

    from covidlit.cli.other_files import hints_on_images, hints_on_tables

    if not found.n_other and found.series:
        return
    hints = hints_on_images(folder)
    if not found.series:
        nothing = "There is no DICOM image series here, which is what this command looks at."
        hints = [nothing, *hints, *hints_on_tables(folder)]
    for hint in hints:
        Console().print(f"[yellow]{escape(hint)}[/]", highlight=False, soft_wrap=True)


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
