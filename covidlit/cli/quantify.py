"""`covidlit quantify`: lesions, factors, DICOM objects and a report of each scan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from covidlit.cli.quantify_severity import print_severity
from covidlit.counted import counted
from covidlit.runs.stopped import INTERRUPTED

if TYPE_CHECKING:
    from covidlit.dicom.other_objects import OtherObject
    from covidlit.quantify.labeller import Labeller
    from covidlit.quantify.results import Results
    from covidlit.quantify.severity import SeverityModel


def quantify(
    of: Annotated[
        list[Path],
        typer.Argument(
            metavar="[CHECKPOINT] PATH",
            help="CHECKPOINT: a run of model=maskrcnn, a model in its checkpoints/, or a folder of "
            "`covidlit export`; left out with --masks. PATH: folder with DICOM files, an image "
            "(.nii.gz, ...), or a manifest.",
        ),
    ],
    masks: Annotated[
        Path | None,
        typer.Option(
            help="Folder with a mask for each scan, <scan_id>.nii.gz, instead of a checkpoint."
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="What a value in the masks is, as 3=ground_glass (repeatable); by default 0 and 1 "
            "are background and lesion, or 0 to 6 the classes of covidlit."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for labels, tables, DICOM objects and reports.")
    ] = Path("quantified"),
    dicom: Annotated[
        bool, typer.Option(help="Write DICOM SEG, SR, key slices and PDF of DICOM series.")
    ] = True,
    segmentation: Annotated[
        str,
        typer.Option(
            help="DICOM SEG of the classes: binary, which old archives show too, or labelmap, a "
            "fraction of its size. Lesions are label maps always."
        ),
    ] = "binary",
    absent_as_empty: Annotated[
        bool,
        typer.Option(
            help="Write DICOM objects also of series whose headers lack a birth date and the like, "
            "as de-identified ones do: such elements are written empty."
        ),
    ] = False,
    report: Annotated[bool, typer.Option(help="Write an HTML page and a PDF per patient.")] = True,
    spread: Annotated[
        bool,
        typer.Option(
            "--spread",
            help="Write the factors under other published definitions too, beside ours.",
        ),
    ] = False,
    severity: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Score each scan by a severity model too: a run of data=factors, or of "
            "data=clinical with --clinical; one of its checkpoints; or model.skops.",
        ),
    ] = None,
    clinical: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Laboratory values for --severity, by patient and date (contract 9, as `covidlit "
            "clinical` writes it; or a hospital's own by --mapping). Of each the nearest before "
            "the scan counts.",
        ),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(
            help="Of a hospital's own table: a name in conf/clinical or the path of a .yaml file."
        ),
    ] = None,
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
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    engine: Annotated[
        str,
        typer.Option(
            help="torch, or openvino (fastest on a CPU; needs `covidlit export` once). auto: "
            "openvino where the checkpoint has been exported, torch on a GPU or without."
        ),
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(help="CPU threads of the network; by default one per core.")
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="End with an error if a scan was refused, or has no severity score.",
        ),
    ] = False,
) -> None:
    """Measure the lesions of CT scans; for research, not for clinical use.

    Writes labels (NIfTI), factors.parquet and lesions.parquet (their definitions in factors.md),
    DICOM SEG and SR in the study of each series, and a page and a PDF per patient; of patients
    with several scans trend.csv and lesion_changes.csv, as covidlit trend does. With --severity
    the page says how ill the patient is and why, with severity.csv beside it. Scans that cannot be
    used are listed in scans.csv with the reason. Where the command was stopped, or scans were
    added, the same command goes on. Ends with 1 where no scan could be measured.
    """
    from covidlit.dicom import Checks
    from covidlit.quantify.many import quantify as quantify_all

    idle = _of_network(engine, device, threads) if masks is not None else []
    _refuse_idle(idle, "with --masks, where no network labels")
    if not dicom:
        idle = ["--segmentation"] * (segmentation != "binary")
        idle += ["--absent-as-empty"] * absent_as_empty
        _refuse_idle(idle, "with --no-dicom, where no DICOM object is written")
    if severity is None:
        named = {"--clinical": clinical, "--mapping": mapping}
        idle = [name for name, given in named.items() if given is not None]
        _refuse_idle(idle, "without --severity, whose model takes laboratory values")
    labeller, path = _labeller(of, masks, label or [], engine, device, threads)
    checks = Checks(override=frozenset(override or ()), image_orientation=image_orientation)
    model = _severity_model(severity, clinical, mapping)
    try:
        results = quantify_all(
            path, labeller, out, checks=checks, dicom=dicom, segmentation=segmentation,
            absent_as_empty=absent_as_empty, report=report, spread=spread,
            severity=model, progress=True,
        )  # fmt: skip
    except KeyboardInterrupt as stop:
        typer.echo(
            f"\nStopped (Ctrl-C). Scans that are finished are kept in {out}; the same command goes "
            "on with the others.",
            err=True,
        )
        raise typer.Exit(INTERRUPTED) from stop
    _print(results, out, path)
    if model is not None:
        print_severity(results.severity, out, model.name)
    refused = results.scans["status"].ne("ok").any() or results.severity["status"].ne("ok").any()
    if results.factors.empty or (strict and refused):
        raise typer.Exit(1)


def _severity_model(
    checkpoint: Path | None, clinical: Path | None, mapping: str | None
) -> SeverityModel | None:
    if checkpoint is None:
        return None
    from covidlit.explain.tables.of_scan import SeverityOfScans
    from covidlit.process import let_waiting_threads_sleep

    let_waiting_threads_sleep()
    return SeverityOfScans(checkpoint, clinical, mapping)


def _of_network(engine: str, device: str, threads: int | None) -> list[str]:
    """Options that say something of the network alone."""
    given = {
        "--engine": engine != "auto", "--device": device != "auto", "--threads": threads is not None
    }  # fmt: skip
    return [name for name, said in given.items() if said]


def _refuse_idle(options: list[str], why: str) -> None:
    from covidlit.errors import ConfigError

    if options:
        one = len(options) == 1
        raise ConfigError(
            f"{'does' if one else 'do'} nothing {why}.",
            where=" ".join(options),
            fix=f"leave {'it' if one else 'them'} out.",
        )


def _labeller(
    of: list[Path],
    masks: Path | None,
    label: list[str],
    engine: str,
    device: str,
    threads: int | None,
) -> tuple[Labeller, Path]:
    from covidlit.errors import ConfigError
    from covidlit.quantify.masks import MaskLabeller

    if len(of) != (1 if masks else 2):
        raise ConfigError(
            f"got {len(of)} of these: {' '.join(map(str, of))}.",
            where="covidlit quantify",
            fix="give PATH alone beside --masks FOLDER, else CHECKPOINT and PATH.",
        )
    if masks is not None:
        return MaskLabeller(masks, _classes(label)), of[0]
    if label:
        raise ConfigError(
            "a checkpoint knows its own classes.", where="--label", fix="leave it out."
        )
    from covidlit.quantify.network import NetworkLabeller

    labeller = NetworkLabeller(of[0], engine=engine, device=device, threads=threads)
    typer.echo(f"Labelled by {labeller.name}" + (f" ({labeller.note})" if labeller.note else "."))
    return labeller, of[1]


def _classes(label: list[str]) -> dict[int, str]:
    from covidlit.errors import ConfigError

    classes: dict[int, str] = {}
    for text in label:
        value, _, name = text.partition("=")
        if not value.strip().isdecimal() or not name.strip():
            raise ConfigError(
                f"got {text!r}.", where="--label", fix="write VALUE=CLASS, such as 3=ground_glass."
            )
        if classes.setdefault(int(value), name.strip()) != name.strip():
            raise ConfigError(
                f"the value {int(value)} is given as {classes[int(value)]} and as {name.strip()}.",
                where="--label",
                fix="give each value once.",
            )
    return classes


def _print(results: Results, out: Path, path: Path) -> None:
    from rich.table import Table

    from covidlit.cohort.factor_tables import undefined_factors
    from covidlit.cohort.scan_sources import in_words
    from covidlit.lesions.agreement import SINGLE_LESIONS
    from covidlit.lesions.trend import change_text, changes_text, limits_text
    from covidlit.quantify.alike import Said, alike
    from covidlit.terminal import headed, plain_console

    console = plain_console()
    if len(results.factors):
        shown = Table(title="Lesions")
        heads = ["Scan", "Lesions", "Volume, mL", "Of the lungs, %", "Mean density, HU"]
        change = {
            str(row["scan_id"]): (change_text(row), change_text(row, "lung_volume_ml"))
            for row in results.trend.to_dict("records")
            if change_text(row)
        }
        for name in [*heads, "Change, mL", "Lungs, mL"] if change else heads:
            shown.add_column(name, justify="left" if name == "Scan" else "right", overflow="fold")
        for row in results.factors.to_dict("records"):
            shown.add_row(
                str(row["scan_id"]),
                str(row["n_lesions"]),
                _number(row["total_volume_ml"], 1),
                _number(row["proportion_percent"], 1),
                _number(row["mean_density_hu"], 0),
                *(change.get(str(row["scan_id"]), ("", "")) if change else ()),
            )
        console.print(shown)
        if change:
            console.print("A change is called one beyond these limits of agreement (mL, HU, %):")
            for line in limits_text():
                console.print(f"• {line}")
        if said := changes_text(results.changes):
            console.print(f"Lesions since the scan before: {said}")
            console.print(SINGLE_LESIONS)
    refused = results.scans[results.scans["status"] == "refused"]
    noted = results.scans[results.scans["notes"].notna()]
    for head, style, rows, column in (
        ("refused", "red", refused, "reason"), ("note", "yellow", noted, "notes")
    ):  # fmt: skip
        rows_said = [
            Said(str(row["scan_id"] or ""), str(row["path"]), str(row[column]))
            for row in rows.to_dict("records")
        ]
        for line in alike(rows_said, by_path=column == "reason"):
            console.print(headed(head, style, line))
    if undefined := undefined_factors(results.factors):
        reasons: dict[str, list[str]] = {}
        for factor, why in undefined.items():
            reasons.setdefault(why, []).append(factor)
        said_of = "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())
        every = (
            "the only scan" if len(results.factors) == 1 else f"all {len(results.factors)} scans"
        )
        console.print(headed("note", "yellow", f"undefined in {every}: {said_of}"))
    if results.others:
        left = f"{in_words(results.others)} ({_places(results.others, path)})"
        console.print(headed("note", "yellow", f"no scans, and left alone: {left}"))
    if results.dropped:
        gone = "scans of an earlier call that are not there now, and left tables and pages"
        stay = f"(their labels and objects stay): {', '.join(results.dropped)}"
        console.print(headed("note", "yellow", f"{gone} {stay}"))
    measured = len(results.factors)
    before = f" ({results.n_known} of them by an earlier call)" if results.n_known else ""
    console.print(
        f"{counted(measured, 'scan')} measured{before}, {len(refused)} refused. Results: {out}",
        soft_wrap=True,
    )


def _places(others: Sequence[OtherObject], root: Path) -> str:
    """The folders of files, some of them; of results of this command their folder alone."""
    from covidlit.dicom.wording import name_some
    from covidlit.quantify.results import is_results_folder

    found: dict[str, None] = {}
    for other in others:
        folders = [f"{folder}/" for folder in reversed(PurePosixPath(other.path).parents)][1:]
        own = next((name for name in folders if is_results_folder(root / name)), None)
        place = folders[-1] if folders else "in the folder itself"
        found[f"results of `covidlit quantify` in {own}" if own else place] = None
    return name_some(list(found))


def _number(value: object, digits: int) -> str:
    return "" if value is None or value != value else f"{value:.{digits}f}"
