"""`covidlit manifest`: a folder of CT scans and a table of labels become a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from covidlit.counted import counted

if TYPE_CHECKING:
    from covidlit.cohort import InclusionCriteria
    from covidlit.cohort.account import BuiltManifest
    from covidlit.cohort.label_rule import TargetRule


class Rule(StrEnum):
    """How `class_name` and RT-PCR results become the target."""

    paper = "paper"
    by_class = "by-class"
    multi_class = "multi-class"
    none = "none"


class Choice(StrEnum):
    """Which series of a study go into the manifest."""

    one_per_study = "one-per-study"
    all = "all"


class Missing(StrEnum):
    """What happens to scans that a criterion cannot be assessed for."""

    keep = "keep"
    exclude = "exclude"
    error = "error"


_OWN = ("patient_id", "scan_id", "study_uid", "series_uid", "path", "class_name", "status")
_OWN_PROBLEMS = ("kind", "label_row", "scan_id", "reason")
"""Columns that every manifest of this command has, and every list of problems."""

_OF_DICOM = ("key", "series", "min_slices", "pixels")
_OF_CRITERIA = (
    "max_slice_thickness", "min_spo2", "spo2_class", "tested_or_before", "initial_scan_only",
    "on_missing",
)  # fmt: skip


def manifest(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the scans.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Table of labels, .csv, .xlsx or .parquet: a row per patient (patient_id), study "
            "(study_uid), series (series_uid) or folder (path), with class_name, centre, "
            "rtpcr_initial, age, sex and so on. Without it: every series, unlabelled."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The manifest to write, .csv or .parquet.")] = Path(
        "manifest.csv"
    ),
    images: Annotated[
        bool,
        typer.Option(
            "--images", help="DIR holds image files (NIfTI ...) that the labels' path names."
        ),
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(help="Column of the labels that tells which scan a row is about."),
    ] = None,
    label_rule: Annotated[
        Rule,
        typer.Option(
            help="paper: RT-PCR and class; by-class: POSITIVE against all others; multi-class: one "
            "target per class; none: no target."
        ),
    ] = Rule.paper,
    positive: Annotated[
        list[str] | None, typer.Option(help="The positive class; may be given several times.")
    ] = None,
    untested_before: Annotated[
        str,
        typer.Option(
            help="For paper: a scan without RT-PCR counts as negative if it is earlier than this "
            "day; none: no such scan does. Moves --tested-or-before along where that is not given "
            "and would leave such scans out."
        ),
    ] = "2019-11-30",
    classes: Annotated[
        str, typer.Option(help="For multi-class: the classes in order, with commas.")
    ] = "np,cap,covid",
    inclusion: Annotated[
        bool, typer.Option(help="Apply the inclusion criteria below, which are the paper's.")
    ] = True,
    max_slice_thickness: Annotated[
        float, typer.Option(help="Criterion: slices of at most this many mm; 0: any.", min=0)
    ] = 5.0,
    min_spo2: Annotated[
        float, typer.Option(help="Criterion: SpO2 of at least this many percent; 0: any.", min=0)
    ] = 90.0,
    spo2_class: Annotated[
        list[str] | None,
        typer.Option(
            help="A class that must meet --min-spo2; may be given several times. Default: covid "
            "and cap."
        ),
    ] = None,
    tested_or_before: Annotated[
        str, typer.Option(help="Criterion: RT-PCR, or scanned before this day; none: any.")
    ] = "2019-12-01",
    initial_scan_only: Annotated[
        bool,
        typer.Option(
            "--initial-scan-only/--every-scan", help="Criterion: the patient's first scan."
        ),
    ] = True,
    on_missing: Annotated[
        Missing, typer.Option(help="Scans without the value that a criterion looks at.")
    ] = Missing.keep,
    series: Annotated[
        Choice,
        typer.Option(
            help="Which series of a study: the one that stands for it, or all (with --every-scan, "
            "since a patient has one initial scan)."
        ),
    ] = Choice.one_per_study,
    centre: Annotated[
        str | None, typer.Option(help="Centre of all scans, if the labels have no centre.")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(
            help="A check to switch off, by name (`covidlit inspect` names them); may be given "
            "several times."
        ),
    ] = None,
    min_slices: Annotated[int, typer.Option(help="Series with fewer slices are refused.")] = 12,
    pixels: Annotated[
        bool,
        typer.Option(
            "--pixels",
            help="Read every DICOM series, so that what is no chest CT in HU is refused here "
            "already; image files are always read.",
        ),
    ] = False,
    image_orientation: Annotated[
        str | None,
        typer.Option(
            help="What the axes of image files run to whose header does not say it: LPS, LAS, ..."
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(help="Secret key of the pseudonyms. Default: manifest.key beside it."),
    ] = None,
    keep_column: Annotated[
        list[str] | None,
        typer.Option(
            help="A further column of the labels to copy, which must not identify anyone; may be "
            "given several times. Those that are left out are listed."
        ),
    ] = None,
    own_name: Annotated[
        list[str] | None,
        typer.Option(
            help="A column or class of the labels that is spelt much like one of covidlit's and is "
            "meant as it is; may be given several times. Others of that kind are refused."
        ),
    ] = None,
    keep_identifiers: Annotated[
        bool,
        typer.Option(
            "--keep-identifiers", help="Keep the original PatientID, UIDs and all columns."
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Any label without a scan or refused scan is an error."),
    ] = False,
) -> None:
    """Make the manifest: one row per scan, with its label, facts and place.

    Prints who was left out and why, and the cohort's Table 1. Each scan that was left out is listed
    in <manifest>.problems.csv, the counts in <manifest>.flow.csv. Patient identifiers are replaced
    by pseudonyms; keep the key file, and keep it secret.
    """
    from rich.progress import track
    from rich.text import Text

    from covidlit.cohort import manifest_from_dicom, manifest_from_images
    from covidlit.cohort.flow import FLOW_COLUMNS
    from covidlit.cohort.manifest import write_manifest
    from covidlit.cohort.sources import flow_path
    from covidlit.dicom import Checks
    from covidlit.errors import ConfigError, ManifestError
    from covidlit.scans.images import IMAGE_CHECKS
    from covidlit.tables import check_own_table, write_table
    from covidlit.terminal import plain_console

    problems = out.with_suffix(".problems.csv")
    given = [folder] if labels is None else [folder, labels]
    known_by = {out: _OWN, problems: _OWN_PROBLEMS, flow_path(out): FLOW_COLUMNS}
    for table, columns in known_by.items():
        check_own_table(table, columns, "covidlit manifest", given)
    if label_rule is not Rule.paper:
        _refuse_given(context, ("untested_before",), f"--label-rule {label_rule.value}")
    rule = _rule(label_rule, positive, classes, untested_before)
    if not inclusion:
        _refuse_given(context, _OF_CRITERIA, "--no-inclusion")
        criteria = None
    else:
        if not _is_given(context, "tested_or_before"):
            tested_or_before = _later(tested_or_before, untested_before)
        criteria = _criteria(
            max_slice_thickness, min_spo2, spo2_class, tested_or_before, initial_scan_only,
            on_missing,
        )  # fmt: skip
    console = plain_console(stderr=True)
    checks = Checks(min_slices, frozenset(override or ()), image_orientation)
    if not images:
        _refuse_given(context, ("image_orientation",), "a folder of DICOM files")
    if images:
        if labels is None:
            raise ManifestError(
                "image files need a table of labels.",
                where="--images",
                fix="name it with --labels; its column path names the files.",
            )
        _refuse_given(context, _OF_DICOM, "--images")
        if others := sorted(checks.override - set(IMAGE_CHECKS)):
            raise ConfigError(
                f"it changes nothing together with --images: {', '.join(others)}.",
                where="--override",
                fix=f"image files are held against {', '.join(IMAGE_CHECKS)}.",
            )
        built = manifest_from_images(
            folder,
            labels,
            folder=out.parent,
            label_rule=rule,
            inclusion=criteria,
            centre=centre,
            keep_columns=keep_column or (),
            own_names=own_name or (),
            keep_identifiers=keep_identifiers,
            key_file=key_file,
            strict=strict,
            track=lambda rows: track(rows, "Reading images", console=console),
            checks=checks,
        )
    else:
        # A status and a progress bar cannot be shown at the same time.
        reading = Text(f"Reading DICOM headers under {folder} ...")
        with nullcontext() if pixels else console.status(reading):
            built = manifest_from_dicom(
                folder,
                labels,
                folder=out.parent,
                key=key,
                checks=checks,
                label_rule=rule,
                inclusion=criteria,
                series_choice="one_per_study" if series is Choice.one_per_study else "all",
                centre=centre,
                keep_columns=keep_column or (),
                own_names=own_name or (),
                keep_identifiers=keep_identifiers,
                key_file=key_file,
                strict=strict,
                pixels=pixels,
                track=(lambda rows: track(rows, "Reading series", console=console))
                if pixels
                else iter,
            )
    write_manifest(built.manifest, out)
    write_table(built.problems, problems)
    write_table(built.flow.to_frame(), flow_path(out))
    used_key = None if keep_identifiers else key_file or out.parent / "manifest.key"
    _print(built, out, problems, used_key)


def _refuse_given(context: typer.Context, names: Sequence[str], beside: str) -> None:
    """Refuse an option that was given and would change nothing."""
    from covidlit.errors import ConfigError

    for option in context.command.params:
        if option.name in names and _is_given(context, option.name):
            raise ConfigError(
                f"it changes nothing together with {beside}.",
                where=" / ".join([*option.opts, *option.secondary_opts]),
                fix="leave out one of the two.",
            )


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _later(day: str, other: str) -> str:
    """The later of two days; `other` may be none, which is no day."""
    from covidlit.cohort.columns import as_day

    if other == "none" or as_day(other, "--untested-before") <= as_day(day, "--tested-or-before"):
        return day
    return other


def _criteria(
    max_slice_thickness: float,
    min_spo2: float,
    spo2_class: list[str] | None,
    tested_or_before: str,
    initial_scan_only: bool,
    on_missing: Missing,
) -> InclusionCriteria:
    from covidlit.cohort import InclusionCriteria

    return InclusionCriteria(
        max_slice_thickness or None,
        min_spo2 or None,
        spo2_class or InclusionCriteria.spo2_classes,
        None if tested_or_before == "none" else tested_or_before,
        initial_scan_only,
        on_missing.value,
    )


def _rule(
    rule: Rule, positive: list[str] | None, classes: str, untested_before: str
) -> TargetRule | None:
    from covidlit.cohort.label_rule import ByClass, LabelRule, MultiClass

    named = positive or ["covid"]
    if rule is Rule.none:
        return None
    if rule is Rule.multi_class:
        return MultiClass([name.strip() for name in classes.split(",") if name.strip()])
    if rule is Rule.by_class:
        return ByClass(named)
    return LabelRule(named, None if untested_before == "none" else untested_before)


def _print(built: BuiltManifest, out: Path, problems: Path, key_file: Path | None) -> None:
    from rich.table import Table

    from covidlit.cohort.account import label_rows
    from covidlit.cohort.describe import show_table1, table1
    from covidlit.terminal import headed, plain_console

    console = plain_console()
    flow = Table(title="Who is in it, and who is not")
    for heading in ("step", "left out", "not assessed", "scans left", "patients"):
        flow.add_column(heading, justify="left" if heading == "step" else "right")
    for step in built.flow.steps:
        numbers = (step.n_excluded, step.n_not_assessed, step.n_left, step.n_patients)
        flow.add_row(step.text, *(str(n) if n else "-" for n in numbers))
    console.print(flow)
    described = show_table1(table1(built.manifest))
    synthetic = "synthetic" in built.manifest and bool(built.manifest["synthetic"].any())
    shown = Table("", *described.columns, title="Table 1" + " (synthetic)" * synthetic)
    for name, row in described.iterrows():
        shown.add_row(str(name), *row)
    console.print(shown)
    if "target" in built.manifest:
        counts = built.manifest["target"].value_counts().sort_index()
        listed = ", ".join(f"{n} with target {target}" for target, n in counts.items())
        console.print(f"Labels: {listed}.")
    unmatched = built.unmatched_labels
    if len(unmatched):
        console.print(
            f"Of the labels {counted(len(unmatched), 'row is', 'rows are')} about no scan: "
            f"{label_rows(unmatched)}.",
            style="yellow",
        )
    for note in built.notes:
        console.print(headed("note:", "yellow", note))
    if len(built.problems):
        console.print(f"What was left out and why: {problems}", soft_wrap=True)
    if key_file is not None:
        console.print(
            f"Key of the pseudonyms (keep it, keep it secret): {key_file}", soft_wrap=True
        )
    console.print(f"Manifest: {out} ({counted(len(built.manifest), 'scan')})", soft_wrap=True)
