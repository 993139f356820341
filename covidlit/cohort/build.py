"""A manifest from a folder of scans and a table of labels, with an account of what was left out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from covidlit.cohort.account import BuiltManifest, problem_table, refuse_problems
from covidlit.cohort.class_names import count_classes
from covidlit.cohort.flow import Flow
from covidlit.cohort.inclusion import InclusionCriteria
from covidlit.cohort.label_rule import LabelRule, TargetRule, classes_named, rule_that_keeps
from covidlit.cohort.labelling import (
    NO_SCAN,
    labels_without_scan,
    match_labels,
    patient_notes,
    with_centre,
    with_labels,
    zeros_hint,
)
from covidlit.cohort.labels_table import Labels, read_labels
from covidlit.cohort.manifest import MANIFEST_SCHEMA, validate_manifest
from covidlit.cohort.misspelt import refuse_misspelt_classes, require_class_column
from covidlit.cohort.provenance import CHECKS, RULE, checks_text, rule_text
from covidlit.cohort.pseudonyms import KEY_FILE, Pseudonyms, check_key_place, read_or_make_key
from covidlit.cohort.scan_ids import scan_id_of
from covidlit.cohort.scan_notes import count_notes
from covidlit.cohort.scan_rows import ScanRows, Track, dicom_rows, image_rows
from covidlit.cohort.series_choice import SeriesChoice, standing_for_study
from covidlit.counted import counted
from covidlit.dicom.plausibility import NEITHER, NOT_WHEN_MADE
from covidlit.errors import ManifestError

if TYPE_CHECKING:
    from covidlit.dicom import Checks


def manifest_from_dicom(
    root: str | Path,
    labels: str | Path | pd.DataFrame | None = None,
    *,
    folder: str | Path = ".",
    key: str | None = None,
    checks: Checks | None = None,
    label_rule: TargetRule | None = LabelRule(),  # noqa: B008 (immutable)
    inclusion: InclusionCriteria | None = InclusionCriteria(),  # noqa: B008 (immutable)
    series_choice: SeriesChoice = "one_per_study",
    centre: str | None = None,
    keep_columns: Sequence[str] = (),
    own_names: Sequence[str] = (),
    keep_identifiers: bool = False,
    key_file: str | Path | None = None,
    strict: bool = False,
    workers: int | None = None,
    pixels: bool = False,
    track: Track = iter,
) -> BuiltManifest:
    """Make a manifest of all CT series under a folder and a table of labels.

    Nothing that identifies a patient is copied: `patient_id` becomes a keyed pseudonym, UIDs become
    `covidlit.dicom.pseudonym_uid`, and of the labels only the manifest's own columns are taken.
    Paths stay as they are, since the files must be found.

    Args:
        root: folder with DICOM files, nested in any way.
        labels: table of labels (`covidlit.cohort.labels_table.read_labels`); its columns win over
            the DICOM headers. None: every series without class and target, for prediction.
        folder: where the manifest will be written, with the key; the problems' paths start there.
        key: column of `labels` that tells which series a row is about; None: the most specific.
        checks: of `covidlit.dicom.judge`.
        label_rule: makes `target`; scans without one are left out and counted. None: no target.
        inclusion: criteria; None: none.
        series_choice: "one_per_study" or "all"; see `covidlit.cohort.series_choice`. Labels by
            `series_uid` choose for themselves.
        centre: the centre of all scans, where `labels` has no column `centre`.
        keep_columns: further columns of `labels` to copy, for subgroups; the others are left out
            and named in the notes.
        own_names: columns and classes of `labels` that are spelt much like one of covidlit's and
            meant as they are; others of that kind are refused. Those in `keep_columns`, and classes
            that the label rule names, are meant as they are anyway.
        keep_identifiers: keep the raw PatientID, UIDs and all columns of `labels`.
        key_file: of the pseudonyms; None: `manifest.key` in `folder`, made at first use.
        strict: a label without a scan, a refused series or an unreadable file is an error.
        workers: threads that read headers.
        pixels: read every accepted series, too, so that one whose voxels are no HU or show no
            lungs is refused here and not as late as in the preparation; fills the column
            `lungs_in_view_percent`.
        track: wraps the series, for a progress bar.

    Raises:
        ManifestError: labels that break their schema or hold a misspelt column or class, no scan
            found or left, or, if `strict`, any problem; rows are named by number.
        CovidlitError: the key of the pseudonyms cannot be made.
    """
    kept = _kept(keep_columns, keep_identifiers)
    meant = [*_names(own_names), *(kept or ())]
    checked = None if labels is None else _checked_labels(labels, key, label_rule, meant)
    _check_key(keep_identifiers, key_file, folder)
    scans = dicom_rows(root, checks=checks, workers=workers, pixels=pixels, track=track)
    rules = _Rules(label_rule, inclusion, series_choice, centre, kept, checks)
    names = _pseudonyms(keep_identifiers, key_file, folder)
    return _build(scans, checked, rules, names, Path(folder), strict)


def manifest_from_images(
    root: str | Path,
    labels: str | Path | pd.DataFrame,
    *,
    folder: str | Path = ".",
    label_rule: TargetRule | None = LabelRule(),  # noqa: B008 (immutable)
    inclusion: InclusionCriteria | None = InclusionCriteria(),  # noqa: B008 (immutable)
    centre: str | None = None,
    keep_columns: Sequence[str] = (),
    own_names: Sequence[str] = (),
    keep_identifiers: bool = False,
    key_file: str | Path | None = None,
    strict: bool = False,
    track: Track = iter,
    checks: Checks | None = None,
) -> BuiltManifest:
    """Make a manifest of image files (NIfTI, MetaImage, NRRD ...) that a table of labels names.

    A file's name takes the place of the UIDs and may be a patient's number, so `scan_id` and the
    UIDs become keyed pseudonyms of it, as `patient_id` does; real UIDs in `labels` are used as in
    `manifest_from_dicom`.

    Args:
        root: folder that the column `path` of `labels` starts from.
        labels: with the columns `path` and `patient_id`; every image is read once, an unreadable
            one keeps its row with status "refused".
        folder, label_rule, inclusion, centre, keep_columns, own_names, keep_identifiers, key_file,
            strict: see `manifest_from_dicom`.
        track: wraps the list of files, for a progress bar.
        checks: which images are refused (those on voxels), and the orientation of those whose
            header does not say it.

    Raises:
        ManifestError: see `manifest_from_dicom`.
    """
    kept = _kept(keep_columns, keep_identifiers)
    meant = [*_names(own_names), *(kept or ())]
    checked = _checked_labels(labels, "path", label_rule, meant, of_images=True)
    _check_key(keep_identifiers, key_file, folder)
    scans = image_rows(root, checked, track, checks)
    rules = _Rules(label_rule, inclusion, "all", centre, kept, checks)
    names = _pseudonyms(keep_identifiers, key_file, folder)
    hidden = {name: map(names.file_name, scans.table[name]) for name in ("study_uid", "series_uid")}
    scans = replace(scans, table=scans.table.assign(**{k: list(v) for k, v in hidden.items()}))
    return _build(scans, checked, rules, names, Path(folder), strict)


@dataclass(frozen=True)
class _Rules:
    label_rule: TargetRule | None
    inclusion: InclusionCriteria | None
    series_choice: SeriesChoice
    centre: str | None
    keep_columns: Sequence[str] | None
    checks: Checks | None


def _build(
    scans: ScanRows,
    labels: Labels | None,
    rules: _Rules,
    names: Pseudonyms,
    folder: Path,
    strict: bool,
) -> BuiltManifest:
    problems, notes = list(scans.problems), list(scans.notes)
    raw = scans.table["raw_patient"]
    table = scans.table.assign(
        scan_id=[scan_id_of(uid) for uid in scans.table["series_uid"]],
        patient_id=raw.where(raw != "", scans.table["study_uid"]),
    )
    places = dict(zip(table["scan_id"], table["path"], strict=True))
    flow = Flow.start(table, f"{scans.what} found")
    if labels is None:
        table = table.assign(class_name=None)
    else:
        matched = match_labels(table, labels)
        # Image files that are not there have been listed by the one who looked for them.
        if not any(problem["kind"] == NO_SCAN for problem in problems):
            problems += labels_without_scan(labels, matched, table, names)
        zeros = zeros_hint(labels, table)
        _, flow = flow.step(table, "labelled", matched.isna())
        _check_left(flow, labels.where, [zeros] * bool(zeros))
        notes += [zeros] * bool(zeros)
        table, new = with_labels(table, labels, matched, rules.keep_columns)
        table = table if "class_name" in table else table.assign(class_name=None)
        notes += new
    table, new = with_centre(table, rules.centre)
    notes += [*new, *patient_notes(table)]
    table["patient_id"] = [names.patient(patient) for patient in table["patient_id"]]
    if labels is None or labels.key != "series_uid":
        stays = standing_for_study(table, rules.series_choice)
        table, flow = flow.step(table, _CHOICES[rules.series_choice], ~stays)
    if labels is not None and rules.inclusion is not None:
        table, flow = rules.inclusion.apply(table, flow)
        missing = rules.inclusion.notes(flow)
        _check_left(flow, labels.where, missing)
        notes += missing
    if labels is not None and rules.label_rule is not None:
        table = table.assign(target=rules.label_rule.apply(table))
        notes += _one_target(table, rules.label_rule)
        table = table.assign(**{RULE: rule_text(rules.label_rule)})
        why = rules.label_rule.explain(table)["reason"]
        unlabelled = dict(zip(table["scan_id"], why, strict=True))
        table, flow = flow.step(table, _BY_RULE, table["target"].isna())
    else:
        unlabelled = {}
    problems += [
        {
            "kind": "left out",
            "path": str(places[scan]),
            "scan_id": scan,
            "reason": f"not {criterion}" if criterion != _BY_RULE else unlabelled[scan],
        }
        for scan, criterion in flow.excluded
    ]
    notes += _noted(table)
    if (changed := checks_text(rules.checks)) is not None:
        table = table.assign(**{CHECKS: changed})
    refused = table["status"] == "refused"
    problems += [
        {"kind": "refused", "path": str(row.path), "scan_id": row.scan_id, "reason": row.reason}
        for row in table[refused].itertuples()
    ]
    _, flow = flow.step(table, "accepted by the checks (the others stay, as refused)", refused)
    listed = problem_table(problems, folder)
    if strict:
        refuse_problems(listed, scans.root)
    return BuiltManifest(_finished(table, names), listed, flow, tuple(map(_with_mend, notes)))


_CHOICES = {
    "one_per_study": "the series that stands for its study",
    "all": "accepted, or the only one of its study",
}
_BY_RULE = "a target by the label rule"


def _kept(keep_columns: Sequence[str], keep_identifiers: bool) -> Sequence[str] | None:
    """The further columns to copy; None: all."""
    return None if keep_identifiers else _names(keep_columns)


def _names(given: Sequence[str]) -> Sequence[str]:
    """Several names, also where one was given by itself."""
    return (given,) if isinstance(given, str) else given


def _checked_labels(
    source: str | Path | pd.DataFrame,
    key: str | None,
    rule: TargetRule | None,
    meant: Sequence[str],
    *,
    of_images: bool = False,
) -> Labels:
    """The labels, held against their schema and what the rule goes by, before any scan is read."""
    named = classes_named(rule)

    def has_classes(table: pd.DataFrame, where: str) -> None:
        if named is not None:
            require_class_column(table.columns, where)
        refuse_misspelt_classes(table, (*meant, *(named or ())), where)

    def has_patients(table: pd.DataFrame, where: str) -> None:
        if of_images and ("patient_id" not in table or table["patient_id"].isna().any()):
            raise ManifestError(
                "image files do not say whose they are: each row needs a patient_id.",
                where=where,
                fix="add the column patient_id; any name that is the same for all scans of a "
                "person.",
            )

    return read_labels(
        source,
        key,
        own_names=[*meant, *(named or ())],
        kept=[name for name in meant if name != key],
        checks=(has_classes, has_patients),
    )


def _one_target(table: pd.DataFrame, rule: TargetRule) -> list[str]:
    """A note where all targets are the same: fine for one hospital of many, else a mistake."""
    targets = table["target"].dropna()
    if targets.nunique() != 1:
        return []
    classes = count_classes(table.loc[targets.index, "class_name"])
    kept = rule_that_keeps(rule, table)
    return [
        f"all {len(targets)} scans have target {targets.iloc[0]} (classes: {classes}): alone, this "
        f"manifest cannot be trained on.{f' {kept}' if kept else ''}"
    ]


def _noted(table: pd.DataFrame) -> list[str]:
    """What was noted of scans on the way in, counted."""
    counts = count_notes(table["notes"])
    return [f"{counted(n, 'scan')}: {text}" for text, n in counts.items()]


def _with_mend(note: str) -> str:
    """A note, with what labels can state of a fact that a header does not tell."""
    if NOT_WHEN_MADE in note:
        return f"{note.rstrip('.')}; state acquisition_date in the labels."
    return f"{note.rstrip('.')}; state them in the labels." if NEITHER in note else note


def _check_key(keep_identifiers: bool, key_file: str | Path | None, folder: str | Path) -> None:
    if not keep_identifiers:
        check_key_place(key_file or Path(folder) / KEY_FILE)


def _pseudonyms(
    keep_identifiers: bool, key_file: str | Path | None, folder: str | Path
) -> Pseudonyms:
    if keep_identifiers:
        return Pseudonyms(None)
    return Pseudonyms(read_or_make_key(key_file or Path(folder) / KEY_FILE))


def _finished(table: pd.DataFrame, names: Pseudonyms) -> pd.DataFrame:
    """The contract's columns in the contract's order, then the user's; validated."""
    table = table.assign(
        path=[os.path.normpath(Path(path).absolute()) for path in table["path"]],
        study_uid=[names.uid(uid) for uid in table["study_uid"]],
        series_uid=[names.uid(uid) for uid in table["series_uid"]],
    )
    table = table.drop(columns=["raw_patient", "place", "is_image", "is_derived"])
    unknown = [name for name in ("notes", "lungs_in_view_percent") if table[name].isna().all()]
    table = table.drop(columns=unknown)
    if not table["acquisition_date_moved"].eq(True).any():
        table = table.drop(columns="acquisition_date_moved")
    known = [name for name in MANIFEST_SCHEMA.columns if name in table]
    table = table[[*known, *(name for name in table if name not in known)]]
    return validate_manifest(table.sort_values("scan_id").reset_index(drop=True))


def _check_left(flow: Flow, where: str, missing: Sequence[str] = ()) -> None:
    if flow.steps[-1].n_left:
        return
    fix = (
        "check that the key column of the labels holds the values of the DICOM files, and that "
        "the inclusion criteria fit the cohort."
    )
    raise ManifestError(
        f"no scan is left ({flow.summary()}).", where=where, fix=" ".join(missing) or fix
    )
