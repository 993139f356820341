"""`covidlit inspect`: what series a folder holds, and which of them can be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from covidlit.counted import counted, without_counts

if TYPE_CHECKING:
    from rich.text import Text

    from covidlit.dicom import Checks, Found, Verdict

_ALWAYS = ("folder", "accepted", "reason")
"""Columns that every table of this command has."""

_MOST_AT_LENGTH = 20
"""Accepted series that the screen describes at length; of more there is a line each."""

_MOST_ALIKE = 3
"""Files with one and the same problem that are listed on the screen each by itself."""


def inspect(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder with DICOM files, a DICOMDIR, or one DICOM file; with --html a run or "
            "a cache of prepared volumes."
        ),
    ],
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="A table of it all to write (.csv or .parquet)."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            help="A page to write: each series in three planes, with letters and its verdict. Of a "
            "run or a cache: what the network sees.",
        ),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--override",
            help="A check that shall not refuse a series, by its name in the table (repeatable); "
            "several_acquisitions:2 reads the second of several.",
        ),
    ] = None,
    min_slices: Annotated[
        int, typer.Option(help="Refuse series with fewer slices than this.")
    ] = 12,
    pixels: Annotated[
        bool,
        typer.Option(
            "--pixels",
            help="Read what the headers accept, and image files (NIfTI ...): are the "
            "values HU, and are the lungs in view?",
        ),
    ] = False,
    image_orientation: Annotated[
        str | None,
        typer.Option(
            help="With --pixels: what the axes of image files run to whose header does not say it: "
            "LPS, LAS, ..."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if anything is refused or damaged.")
    ] = False,
    keep_identifiers: Annotated[
        bool, typer.Option("--keep-identifiers", help="Write the original UIDs, not pseudonyms.")
    ] = False,
) -> None:
    """List the CT series under a folder, and say of each whether it can be used and why not.

    Nothing is written unless asked for, and over nothing but what this command wrote before. The
    table holds no patient name, ID or birth date; UIDs are replaced by pseudonyms. Paths are
    written as they are (relative to the folder). The page holds no paths either: it names series by
    the scan_id that the table, like a manifest, has beside them.

    Ends with 1 where nothing can be read though there is something, such as a ZIP archive.
    """
    import pandas as pd

    from covidlit.cli.inspect_page import GENERATOR, shows_prepared, write_page
    from covidlit.dicom import Checks, find_series, judge, looked_into
    from covidlit.files import check_own_page, printable
    from covidlit.progress import progress_bar
    from covidlit.tables import check_own_table, write_table

    if csv is not None:
        check_own_table(csv, _ALWAYS, "covidlit inspect")
    if html is not None:
        check_own_page(html, GENERATOR)
    if shows_prepared(folder, html):
        return
    checks = Checks(min_slices, frozenset(override or ()), image_orientation)
    root = folder if folder.is_dir() else folder.parent
    with _progress() as progress:
        progress.add_task(f"Reading headers under {folder}", total=None)
        found = find_series(folder)
        verdicts = [judge(series, checks) for series in found.series]
    if pixels:
        looked = zip(found.series, verdicts, strict=True)
        with progress_bar("Reading pixels", len(verdicts), show=True) as bar:
            verdicts = []
            for series, verdict in looked:
                verdicts.append(looked_into(series, verdict, checks))
                bar.advance()
    images = _images(folder, root, checks) if pixels else []
    rows = [_row(verdict, root, keep_identifiers) for verdict in verdicts]
    rows += [
        {
            "folder": _relative(problem.path, root),
            "accepted": False,
            "checks": "damaged_file",
            "reason": printable(problem.reason),
        }
        for problem in found.problems
    ]
    rows += images
    columns = (
        list(dict.fromkeys(name for row in rows for name in row))
        if rows
        else ["series_uid", "study_uid", *_ALWAYS]
    )
    if csv is not None:
        write_table(pd.DataFrame(rows, columns=columns), csv)
    _print(rows, found, csv, images)
    if html is not None:
        write_page(html, folder, root, found, verdicts, checks)
    _print_hints(folder, found, [root / row["folder"] for row in images if row["accepted"]])
    if (strict and not all(row["accepted"] for row in rows)) or (
        rows and not images and not found.series
    ):
        raise typer.Exit(1)


def _row(verdict: Verdict, root: Path, keep_identifiers: bool) -> dict[str, Any]:
    from covidlit.cohort.scan_ids import scan_id_of
    from covidlit.files import printable

    row = {
        "scan_id": scan_id_of(verdict.series_uid),
        **verdict.to_row(keep_identifiers=keep_identifiers),
    }
    return row | {"folder": _relative(Path(verdict.folder), Path(printable(root)))}


def _images(folder: Path, root: Path, checks: Checks) -> list[dict[str, Any]]:
    """A row for each image file at a path, which is read for it."""
    from covidlit.cohort.scan_reader import lungs_of_refused
    from covidlit.cohort.scan_sources import refusal_reason
    from covidlit.progress import progress_bar
    from covidlit.scans.images import image_files, is_image_file, read_image

    files = list(image_files(folder)) if folder.is_dir() else [folder] * is_image_file(folder)
    rows = []
    with progress_bar("Reading images", len(files), show=bool(files)) as bar:
        for file in files:
            row: dict[str, Any] = {"folder": _relative(file, root), "accepted": True, "reason": ""}
            try:
                scan = read_image(file, checks.override, checks.image_orientation)
            except Exception as error:  # one odd file must not cost the verdicts on all others
                reason = refusal_reason(error)
                name = reason.partition(": ")[0]
                row |= {
                    "accepted": False,
                    "reason": reason,
                    "checks": name if name.isidentifier() else "unreadable_file",
                    "lungs_in_view_percent": lungs_of_refused(error),
                }
            else:
                height, _, width = scan.spacing
                row |= {
                    "notes": "; ".join(scan.notes),
                    "n_slices": scan.hu.shape[0],
                    "slice_spacing_mm": round(height, 5),
                    "spacing_mm": round(width, 5),
                    "lungs_in_view_percent": scan.lungs_in_view_percent,
                }
            rows.append(row)
            bar.advance()
    return rows


def _relative(path: Path, root: Path) -> str:
    from covidlit.files import printable

    return printable(path.relative_to(root) if path.is_relative_to(root) else path)


def _progress() -> Any:
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    return Progress(*columns, transient=True)


def _series_text(row: dict[str, Any]) -> Text:
    """The folder, then what was found: the first reason in words, the other checks by name."""
    from rich.text import Text

    text = Text().append(row["folder"] or ".", "bold")
    if (n_slices := row.get("n_slices")) is not None:
        size = counted(n_slices, "slice")
        if (spacing := row.get("slice_spacing_mm")) is not None:
            size += f", {spacing:g} mm apart, pixels of {row['spacing_mm']:g} mm"
        text.append(f"\n{size}")
    if (percent := row.get("lungs_in_view_percent")) is not None:
        text.append(f"\nlungs in view: {percent:.0f}%", "dim")
    if not row["accepted"]:
        _, *others = str(row["checks"]).split()
        reason = str(row["reason"]).split("; " + others[0] + ": ")[0] if others else row["reason"]
        text.append(f"\n{reason}")
        if others:
            text.append(f" (also {', '.join(others)})", "red")
    if notes := row.get("notes"):
        text.append(f"\n{notes}", "dim")
    return text


def _series_line(row: dict[str, Any]) -> Text:
    """An accepted series or image in one line: where it lies, then what it is."""
    from covidlit.terminal import headed

    facts = []
    if (n_slices := row.get("n_slices")) is not None:
        facts.append(counted(n_slices, "slice"))
    if (spacing := row.get("slice_spacing_mm")) is not None:
        facts.append(f"{spacing:g} mm")
    if (percent := row.get("lungs_in_view_percent")) is not None:
        facts.append(f"lungs {percent:.0f}%")
    if row.get("notes"):
        facts.append("noted")
    line = headed("accepted", "green", f"{row['folder'] or '.'} ")
    return line.append(", ".join(facts), "dim")


def _print(
    rows: list[dict[str, Any]], found: Found, csv: Path | None, images: list[dict[str, Any]]
) -> None:
    from rich.table import Table
    from rich.text import Text

    from covidlit.terminal import plain_console

    # Two columns, so that folders and reasons can be read in a terminal of 80 characters.
    table = Table(show_lines=True, expand=True)
    table.add_column("Verdict", no_wrap=True)
    table.add_column("Series", ratio=1, overflow="fold")
    good = [row for row in rows if row["accepted"]]
    short = len(good) > _MOST_AT_LENGTH
    # What is to be mended stands first; of very many others a line each is enough.
    for row in _gathered([row for row in rows if not row["accepted"]]):
        table.add_row(Text("refused", "red"), _series_text(row))
    for row in [] if short else good:
        table.add_row(Text("accepted", "green"), _series_text(row))
    console = plain_console()
    if table.row_count:
        console.print(table)
    for row in good if short else []:
        console.print(_series_line(row), no_wrap=True, overflow="ellipsis")
    if short and any(row.get("notes") for row in good):
        n = sum(bool(row.get("notes")) for row in good)
        console.print(f"{n} of them with notes, which --csv TABLE writes.")
    of_images = sum(bool(row["accepted"]) for row in images)
    accepted = sum(bool(row["accepted"]) for row in rows) - of_images
    if images:
        console.print(
            f"{counted(len(images), 'image file')}: {of_images} accepted, "
            f"{len(images) - of_images} refused."
        )
    console.print(
        f"{len(found.series)} series in {counted(found.n_files, 'file')}: {accepted} accepted, "
        f"{len(found.series) - accepted} refused; {counted(len(found.problems), 'file')} damaged "
        f"or unread beside these; {counted(found.n_other, 'file')} of another kind than DICOM "
        "images. "
        + (f"Table: {csv}" if csv is not None else "--csv TABLE writes all of this as a table."),
        soft_wrap=True,
    )
    for note in found.notes:
        console.print(note, style="dim")


def _gathered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows for the screen: files of one folder with one reason, where there are many, as one.

    Reasons that differ in numbers alone, such as how many bytes are there, count as one.
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for place, row in enumerate(rows):
        reason = without_counts(str(row["reason"]))
        alike = row.get("series_uid") is None and (Path(row["folder"]).parent, reason)
        groups.setdefault(alike or (place,), []).append(row)
    gathered = []
    for group in groups.values():
        if len(group) > _MOST_ALIKE:
            more = f"{group[0]['folder']} and {counted(len(group) - 1, 'more file')} there"
            group = [group[0] | {"folder": more}]
        gathered += group
    return gathered


def _print_hints(folder: Path, found: Found, usable: list[Path]) -> None:
    """Say what else is there, and which command takes it."""
    from covidlit.cli.other_files import hints_on_images, hints_on_tables
    from covidlit.terminal import plain_console

    if not found.n_other and found.series:
        return
    hints = hints_on_images(folder, usable)
    if not found.series:
        nothing = "There is no DICOM image series here, which is what this command looks at."
        hints = [nothing, *hints, *hints_on_tables(folder)]
    for hint in hints:
        plain_console().print(hint, style="yellow", soft_wrap=True)
