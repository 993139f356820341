"""`covidlit synthesize`: make a synthetic cohort."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def synthesize(
    out: Annotated[Path, typer.Argument(help="Folder for the cohort: new or empty.")],
    preset: Annotated[
        str,
        typer.Option(
            help="mild: one scan per patient, as in the CSAC-Net paper. lesions: extensive lesions "
            "of all classes. severity: repeated scans with laboratory values."
        ),
    ] = "mild",
    n_scans: Annotated[int, typer.Option(help="How many scans.", min=1)] = 160,
    seed: Annotated[int, typer.Option(help="Seed: the same seed, the same bytes.", min=0)] = 0,
    matrix: Annotated[int, typer.Option(help="Rows and columns of a slice, 32 to 1024.")] = 128,
    thickness_mm: Annotated[
        float, typer.Option(help="Slice thickness in mm; 0 for each scanner's own 1 to 5 mm.")
    ] = 5.0,
    truth: Annotated[bool, typer.Option(help="Write the lesion labels beside the DICOM.")] = True,
    n_jobs: Annotated[int, typer.Option(help="Processes; -1 for one per core.")] = -1,
) -> None:
    """Make a cohort of synthetic chest CT scans as DICOM, with labels and lesion ground truth."""
    from covidlit.arguments import n_workers
    from covidlit.synthetic import make_cohort
    from covidlit.terminal import plain_console

    n_workers(n_jobs)
    paths = make_cohort(
        out,
        preset=preset,
        n_scans=n_scans,
        seed=seed,
        matrix=matrix,
        thickness_mm=thickness_mm or None,
        truth=truth,
        n_jobs=n_jobs,
    )
    console = plain_console(soft_wrap=True)
    console.print(f"Synthetic DICOM series: {paths.dicom}")
    console.print(f"Labels: {paths.labels}")
    out = paths.root / "manifest.csv"
    words = ("covidlit", "manifest", paths.dicom, "--labels", paths.labels, "--out", out)
    console.print(f"Next: {shlex.join(map(str, words))}")
