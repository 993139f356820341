"""`covidlit explain`: heatmaps of scans, and the checks of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from covidlit.counted import counted


def explain(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="A checkpoint of `covidlit train`, or the folder of a training run."),
    ],
    path: Annotated[
        Path | None,
        typer.Argument(
            help="Folder with DICOM files, an image, or a manifest; may be left out with a run's "
            "folder or a checkpoint in it: the run's own scans are then taken."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for all that is written.")] = Path(
        "heatmaps"
    ),
    part: Annotated[
        str, typer.Option(help="Of the run's own scans: train, validation or test.")
    ] = "test",
    layer: Annotated[
        str | None, typer.Option(help="Of the network; a wrong name lists them all.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="guided (default), layercam, gradcam, or activation (the paper's)."),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Lesions to check against: a folder with a binary mask of each scan (0 and 1), "
            "<scan_id>.nii.gz, or with labels, <scan_id>.classes.nii.gz (0 background, 1 lung, 2 "
            "to 6 lesions) and <scan_id>.instances.nii.gz; or one mask for one scan."
        ),
    ] = None,
    slices: Annotated[int, typer.Option(help="Slices in each picture.", min=1)] = 3,
    scale: Annotated[
        float | None,
        typer.Option(help="Heat at the upper end of the colours; default: the checkpoint's own."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Explain the first so many scans only.", min=1)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
) -> None:
    """Show where a network looks: heatmaps as NIfTI and PNG, a table, and a page.

    All heatmaps of a network are on one absolute scale, found once on the run's validation scans
    and kept in the checkpoint. With --truth it is measured whether they lie on lesions. For
    research, not for clinical use.
    """
    from covidlit.explain.command import explain_command
    from covidlit.progress import progress_bar
    from covidlit.terminal import plain_console

    console = plain_console(soft_wrap=True)
    with progress_bar("Heatmaps", None, console=console) as bar:
        result = explain_command(
            checkpoint, path, out, part=part, layer=layer, method=method, truth=truth,
            n_slices=slices, scale=scale, limit=limit, device=device,
            expect=bar.expect, done=bar.advance,
        )  # fmt: skip
    for sentence in result.sentences:
        console.print(sentence)
    console.print(
        f"{counted(result.n_written, 'heatmap')} written, "
        f"{counted(result.n_refused, 'scan')} refused. Page: {result.page}"
    )
