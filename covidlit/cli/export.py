"""`covidlit export`: a trained network as ONNX and OpenVINO, for fast prediction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from covidlit.counted import counted
from covidlit.errors import ParityError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from covidlit.deploy.exported import ExportRecord, SliceExportRecord
    from covidlit.deploy.parity_record import ScoreParity


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
    precision: Annotated[
        str,
        typer.Option(
            help="f32; bf16 (bfloat16), where the processor has it; or int8, which needs pip "
            "install 'covidlit\\[quantize]'. The last two by OpenVINO alone."
        ),
    ] = "f32",
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="The export is refused if a score differs by more than this; of a network that "
            "segments slices, classes of pixels and objects are compared as well. By default 1e-4, "
            "with bf16 0.02, with int8 0.05.",
            show_default=False,
        ),
    ] = None,
    auc_tolerance: Annotated[
        float,
        typer.Option(
            help="It is refused if the AUC differs by more than this, where SCANS is a manifest "
            "whose classes the run's label rule knows."
        ),
    ] = 0.002,
    changed_calls: Annotated[
        float,
        typer.Option(
            help="It is refused if more than this share of scans is called otherwise: by default "
            "1 in 300, none where there are fewer scans.",
            show_default=False,
        ),
    ] = 1 / 300,
    n_scans: Annotated[
        int | None,
        typer.Option(
            help="How many of the scans are compared; at least 2. By default 8, with bf16 and int8 "
            "300.",
            show_default=False,
        ),
    ] = None,
    n_calibration: Annotated[
        int,
        typer.Option(
            help="On how many further scans int8 is calibrated; at most half of those there are, "
            "and at least 8."
        ),
    ] = 32,
    override: Annotated[
        list[str] | None,
        typer.Option(help="A DICOM check to switch off, by name; may be given several times."),
    ] = None,
    heatmaps: Annotated[
        bool,
        typer.Option(
            help="Write the heatmaps' graph as well, for OpenVINO: `covidlit predict --heatmaps` "
            "then gives score and heat in one pass, in a fraction of PyTorch's time. In f32 alone."
        ),
    ] = True,
) -> None:
    """Export a trained network to ONNX and OpenVINO, checked against PyTorch on real scans.

    Prints how scores, AUC and calls differ. Where one of them does by more than is allowed, or the
    scans' scores are too much alike to tell, nothing is written.
    """  # fmt: skip
    from covidlit.deploy.export import export as write
    from covidlit.deploy.export import network_to_export
    from covidlit.deploy.exported import default_folder, precision_there
    from covidlit.explain.heat_export import export_heat

    folder = out or default_folder(network_to_export(checkpoint))
    replaced = precision_there(folder)
    try:
        done = write(
            checkpoint,
            scans,
            out,
            formats=formats or None,
            precision=precision,
            tolerance=tolerance,
            auc_tolerance=auc_tolerance,
            changed_calls=changed_calls,
            n_scans=n_scans,
            n_calibration=n_calibration,
            override=override or (),
            progress=True,
            heat=export_heat if heatmaps else None,
        )
    except ParityError as error:
        _print_measured(error)
        raise
    _print(done, heatmaps)
    there = f" (replaces the {replaced} export there)" if replaced else ""
    typer.echo(f"Written to {folder}{there}")


def _print_measured(refused: ParityError) -> None:
    """What was measured of an export that is refused: how near it was."""
    from covidlit.deploy.parity_record import ScoreParity
    from covidlit.terminal import plain_console

    of_scores = all(isinstance(one, ScoreParity) for one in refused.measured.values())
    shown = _scores_table if of_scores else _slices_table
    plain_console().print(shown(refused.measured, title="Refused"))


def _scores_table(parity: Mapping[Any, ScoreParity], title: str = "Export") -> Table:
    from rich.table import Table

    from covidlit.deploy.parity_text import auc_text

    shown = Table("Format", title=title)
    for name in ("Largest difference", "Median", "AUC", "Other calls"):
        shown.add_column(name, justify="right")
    for kind, one in parity.items():
        shown.add_row(
            kind, f"{one.largest:.1e}", f"{one.median:.1e}", auc_text(one),
            f"{one.n_changed_calls} of {one.n_scans}",
        )  # fmt: skip
    return shown


def _slices_table(
    parity: Mapping[str, float], title: str = "Export", tolerance: float | None = None
) -> Table:
    from rich.table import Table

    from covidlit.deploy.slice_parity import LIMITS, MEANING

    shown = Table("OpenVINO from PyTorch (float32)", title=title)
    for name in ("Largest difference", *([] if tolerance is None else ["Allowed"])):
        shown.add_column(name, justify="right")
    for name, value in parity.items():
        allowed = [] if tolerance is None else [f"{LIMITS[name] * tolerance:.0e}"]
        shown.add_row(MEANING[name], f"{value:.1e}", *allowed)
    return shown


def _print(export: ExportRecord | SliceExportRecord, heatmaps: bool) -> None:
    from covidlit.terminal import plain_console

    if export.kind == "segmentation":
        _print_slices(export)
        return
    from covidlit.deploy.parity_text import sentences_of
    from covidlit.deploy.precisions import IN_WORDS

    console = plain_console()
    console.print(_scores_table(export.parity))
    for line in sentences_of(export):
        console.print(line)
    if export.precision_difference is not None:
        console.print(
            f"The run computed in {export.precision}, the export computes in "
            f"{IN_WORDS[export.computes_in]}; from the run's own scores they differ by up to "
            f"{export.precision_difference:.1e}."
        )
    if export.heat is not None:
        console.print(
            "Heatmaps with their score in one pass, by OpenVINO: the square of a voxel's heat "
            f"differs from PyTorch's by up to {export.heat.difference:.1e} of its scan's largest, "
            f"on {counted(export.heat.n_scans, 'scan')}.",
        )
    elif heatmaps and export.computes_in != "f32":
        console.print(
            f"Heatmaps beside scores in {IN_WORDS[export.computes_in]} are made of the checkpoint, "
            "by PyTorch."
        )
    elif heatmaps and "openvino" in export.differences:
        console.print("Heatmaps of this network take PyTorch: they cannot be exported with it.")


def _print_slices(export: SliceExportRecord) -> None:
    from covidlit.terminal import plain_console

    console = plain_console()
    console.print(_slices_table(export.parity, tolerance=export.tolerance))
    console.print(
        f"On {counted(export.n_slices, 'slice')} of {counted(export.n_scans, 'scan')}; `covidlit "
        "quantify` takes it from now on.",
    )
