"""`covidlit prepare`: resample and crop every scan of a manifest once, into the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from covidlit.counted import counted
from covidlit.settings.words import typed_setting

if TYPE_CHECKING:
    from covidlit.preprocess import Geometry


def prepare(
    manifest: Annotated[Path, typer.Argument(help="The manifest, .csv or .parquet.")],
    cache: Annotated[Path, typer.Option(help="Folder of the prepared volumes.")],
    spacing: Annotated[
        tuple[float, float, float],
        typer.Option(help="Voxel spacing in mm, z y x: 5 1.5 1.5 or 5,1.5,1.5."),
    ] = (5.0, 1.5, 1.5),
    size: Annotated[
        tuple[int, int, int],
        typer.Option(help="Size of a volume in voxels, z y x: 64 256 256 or 64,256,256."),
    ] = (64, 256, 256),
    override: Annotated[
        list[str] | None,
        typer.Option(help="A check to switch off, by name; may be given several times."),
    ] = None,
    min_slices: Annotated[int, typer.Option(help="Series with fewer slices are refused.")] = 12,
    image_orientation: Annotated[
        str | None,
        typer.Option(
            help="What the axes of image files run to whose header does not say it: LPS, LAS, ..."
        ),
    ] = None,
    n_jobs: Annotated[int, typer.Option(help="Worker processes; -1: one per core.")] = -1,
    backend: Annotated[
        str, typer.Option(help="What runs the workers: loky, threading, dask or ray.")
    ] = "loky",
    strict: Annotated[
        bool, typer.Option("--strict", help="End with an error if a scan was refused.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="A page to write: each prepared volume in three planes."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every voxel of what is in the cache already.")
    ] = False,
) -> None:
    """Prepare the scans of a manifest for training: resample, crop about the body, keep.

    Run it again after an interruption or after adding scans: it goes on where it stopped, and
    mends what is damaged. Scans that cannot be used are listed with the reason, here and in
    CACHE/prepared.csv. Training prepares by itself what is missing; use the same spacing and size.
    """
    from rich.table import Table

    from covidlit.cli.inspect_page import GENERATOR, write_prepared_page
    from covidlit.cohort.manifest import read_manifest
    from covidlit.cohort.provenance import checks_of
    from covidlit.cohort.scan_notes import count_notes
    from covidlit.dicom import Checks
    from covidlit.files import check_own_page
    from covidlit.preprocess import Geometry, prepare_cohort
    from covidlit.tables import check_own_table
    from covidlit.terminal import headed, plain_console

    if html is not None:
        check_own_page(html, GENERATOR, command="covidlit prepare")
    check_own_table(cache / "prepared.csv", ("scan_id", "key"), "covidlit prepare", [manifest])
    geometry = Geometry(spacing, size)
    table = read_manifest(manifest)
    cohort = prepare_cohort(
        table,
        cache,
        geometry,
        checks=checks_of(table, Checks(min_slices, frozenset(override or ()), image_orientation)),
        n_jobs=n_jobs,
        backend=backend,
        verify=verify,
    )
    console = plain_console()
    refused = cohort.refused
    if len(refused):
        table = Table("scan", "reason", title="Left out")
        for row in refused.itertuples():
            table.add_row(str(row.scan_id), str(row.reason))
        console.print(table)
    for text, n in count_notes(cohort.table["notes"]).items():
        console.print(headed("note:", "yellow", f"{counted(n, 'scan')}: {text}"))
    ready = len(cohort.table) - len(refused)
    new = int(cohort.table["renewed"].sum())
    console.print(
        f"{counted(ready, 'scan')} {'is' if ready == 1 else 'are'} prepared ({new} of them now), "
        f"{len(refused)} left out. List: {cohort.cache_dir / 'prepared.csv'}",
        soft_wrap=True,
    )
    console.print(_next_step(manifest, cohort.cache_dir, geometry), soft_wrap=True)
    if html is not None:
        write_prepared_page(html, cohort.cache_dir, cohort.table)
    if strict:
        cohort.require_all()


def _next_step(manifest: Path, cache: Path, geometry: Geometry) -> str:
    """The command that trains on what is prepared: with another geometry it would prepare anew."""
    spacing = ",".join(f"{value:g}" for value in geometry.spacing)
    size = ",".join(map(str, geometry.size))
    words = (
        typed_setting("data.source.path", manifest), typed_setting("data.cache_dir", cache),
        f"'data.geometry.spacing=[{spacing}]'", f"'data.geometry.size=[{size}]'",
    )  # fmt: skip
    return f"To train on them: covidlit train data=manifest {' '.join(words)}"
