"""`covidlit convert`: DICOM series as NIfTI, and a verdict on each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from covidlit.counted import counted


def convert(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder with DICOM files, one of them, or a manifest."),
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder for the NIfTI files, made if needed.")
    ],
    override: Annotated[
        list[str] | None,
        typer.Option(help="A check to switch off, by name; may be given several times."),
    ] = None,
    image_orientation: Annotated[
        str | None,
        typer.Option(
            help="What the axes of image files run to whose header does not say it: LPS, LAS, ..."
        ),
    ] = None,
    min_slices: Annotated[int, typer.Option(help="Refuse series with fewer slices.")] = 12,
    jobs: Annotated[int, typer.Option(help="Series read at a time; -1: one per core.")] = 1,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with an error if anything was refused.")
    ] = False,
) -> None:
    """Write each CT series as NIfTI in Hounsfield units, named by its scan_id.

    OUT/<scan_id>.nii.gz holds int16 HU with the series' own place in the patient; the scan_id is
    that of `covidlit manifest`. OUT/series.csv lists every series, the refused ones with the
    reason; OUT/verdicts/<scan_id>.json says which series a file came from and where its voxels lie,
    and covidlit reads it: scores of these files carry the scan_id. No patient name or ID is
    written; folders are written as they are called. Run it again to go on where it stopped.
    """
    from rich.table import Table

    from covidlit.deploy.predict import require_all
    from covidlit.dicom import Checks
    from covidlit.preprocess.conversion import COLUMNS, TABLE, convert_scans
    from covidlit.tables import check_own_table
    from covidlit.terminal import plain_console

    check_own_table(out / TABLE, COLUMNS, "covidlit convert", [folder])
    checks = Checks(min_slices, frozenset(override or ()), image_orientation)
    table = convert_scans(folder, out, checks, n_jobs=jobs, progress=True)
    console = plain_console()
    refused = table[~table["accepted"]]
    if len(refused):
        shown = Table("series", "reason", title="Refused", show_lines=True)
        for row in refused.itertuples():
            shown.add_row(str(row.path), str(row.reason))
        console.print(shown)
    console.print(
        f"{counted(len(table) - len(refused), 'series is', 'series are')} NIfTI now, "
        f"{len(refused)} refused. "
        f"List: {out / TABLE}",
        soft_wrap=True,
    )
    if strict:
        status = table["accepted"].map({True: "ok", False: "refused"})
        require_all(table.assign(status=status), folder)
