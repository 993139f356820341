"""`covidlit export`: a trained network as ONNX and OpenVINO, for fast prediction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from covidlit.deploy.exported import ExportRecord, SliceExportRecord


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="The folder of a run, whose judged network is taken, or a checkpoint in it."
        ),
    ],
    scans: Annotated[
        Path,
        typer.Option(
            help="Real scans on which the exported scores are compared with PyTorch's: a folder "
            "with DICOM files or images, or a manifest."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Where to put the export; by default exported/NAME beside the checkpoint, where "
            "`covidlit predict --engine` looks.",
            show_default=False,
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="onnx or openvino; may be given twice. Both by default; of a network that "
            "segments slices there is openvino alone.",
            show_default=False,
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            help="The export is refused if a score differs by more than this; of a network that "
            "segments slices, classes of pixels and objects are compared as well."
        ),
    ] = 1e-4,
    n_scans: Annotated[
        int, typer.Option(help="How many of the scans are compared; at least 2.")
    ] = 8,
    override: Annotated[
        list[str] | None,
        typer.Option(help="A DICOM check to switch off, by name; may be given several times."),
    ] = None,
    heatmaps: Annotated[
        bool,
        typer.Option(
            help="Write the heatmaps' graph as well, for OpenVINO: `covidlit predict --heatmaps` "
            "then gives score and heat in one pass, in a fraction of PyTorch's time."
        ),
    ] = True,
) -> None:
    """Export a trained network to ONNX and OpenVINO, checked against PyTorch on real scans.

    Prints the largest difference of a score. Where it is above the tolerance, or the scans' scores
    are too much alike to tell, nothing is written.
    """  # fmt: skip
    from covidlit.deploy.export import export as write
    from covidlit.deploy.export import network_to_export
    from covidlit.deploy.exported import default_folder
    from covidlit.explain.heat_export import export_heat

    done = write(
        checkpoint,
        scans,
        out,
        formats=formats or None,
        tolerance=tolerance,
        n_scans=n_scans,
        override=override or (),
        heat=export_heat if heatmaps else None,
    )
    _print(done, heatmaps, out or default_folder(network_to_export(checkpoint)))


def _print(export: ExportRecord | SliceExportRecord, heatmaps: bool, folder: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if export.kind == "segmentation":
        _print_slices(export, folder)
        return
    shown = Table("Format", title="Export")
    shown.add_column("Largest difference", justify="right")
    for kind, difference in export.differences.items():
        shown.add_row(kind, f"{difference:.1e}")
    allowed = (
        f"Differences are of a score from PyTorch's (float32) on {export.n_scans} scans, whose "
        f"scores spread over {export.spread:.3f}; allowed: {export.tolerance:.0e}"
    )
    console = Console()
    console.print(shown)
    console.print(f"{allowed}.", highlight=False)
    if export.precision_difference is not None:
        console.print(
            f"The run computed in {export.precision}, the export computes in float32; from the "
            f"run's own scores they differ by up to {export.precision_difference:.1e}."
        )
    if export.heat is not None:
        console.print(
            "Heatmaps with their score in one pass, by OpenVINO: the square of a voxel's heat "
            f"differs from PyTorch's by up to {export.heat.difference:.1e} of its scan's largest, "
            f"on {export.heat.n_scans} scans.",
            highlight=False,
        )
    elif heatmaps and "openvino" in export.differences:
        console.print("Heatmaps of this network take PyTorch: they cannot be exported with it.")
    console.print(f"Written to {escape(str(folder))}")


def _print_slices(export: SliceExportRecord, folder: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from covidlit.deploy.slice_parity import LIMITS, MEANING

    shown = Table("OpenVINO from PyTorch (float32)", title="Export")
    for name in ("Largest difference", "Allowed"):
        shown.add_column(name, justify="right")
    for name, value in export.parity.items():
        shown.add_row(MEANING[name], f"{value:.1e}", f"{LIMITS[name] * export.tolerance:.0e}")
    console = Console()
    console.print(shown)
    console.print(
        f"On {export.n_slices} slices of {export.n_scans} scans; `covidlit quantify` takes it from "
        "now on.",
        highlight=False,
    )
    console.print(f"Written to {escape(str(folder))}")
