"""The scans that a manifest can be made of: a raw row per series or image file, with facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.errors
import pandera.pandas as pa

from covidlit.cohort.labelling import NO_SCAN
from covidlit.cohort.labels_table import Labels
from covidlit.cohort.manifest import MANIFEST_SCHEMA
from covidlit.cohort.scan_reader import lungs_of_refused
from covidlit.counted import counted
from covidlit.dicom import Checks, find_series, judge, looked_into
from covidlit.dicom.facts import metadata_and_doubts
from covidlit.dicom.image_type import is_derived
from covidlit.dicom.pseudonym import without_file_names
from covidlit.dicom.wording import name_some
from covidlit.errors import CovidlitError, ManifestError
from covidlit.files import path_named, printable
from covidlit.scans.images import read_image
from covidlit.tables import row_lines, row_numbers

FACTS = (
    "acquisition_date",
    "acquisition_date_moved",
    "age",
    "sex",
    "manufacturer",
    "scanner_model",
    "kernel",
    "kvp",
    "exposure_mas",
    "slice_thickness_mm",
    "n_slices",
)
"""What DICOM headers tell about a scan that goes into a manifest."""

_MOST_DOUBTS = 5
Track = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True)
class ScanRows:
    """Scans before anything is replaced by a pseudonym; stays in memory, is never written.

    Args:
        table: one row per scan: `raw_patient`, `study_uid`, `series_uid` (raw, or a name), `place`
            (path relative to `root`), `path` (absolute), `status`, `reason`, `is_image`,
            `is_derived`, `FACTS`, `notes`, `lungs_in_view_percent` (null where no voxel was read).
        root: the folder that was searched.
        what: what a row is, for the flow.
        problems: files and labels that gave no row: kind, label_row, label_line, path,
            reason.
        notes: what the user should know.
    """

    table: pd.DataFrame
    root: Path
    what: str
    problems: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def dicom_rows(
    root: str | Path,
    *,
    checks: Checks | None = None,
    workers: int | None = None,
    pixels: bool = False,
    track: Track = iter,
) -> ScanRows:
    """All series under a folder with the verdict of the checks.

    Args:
        root: the folder.
        checks: of `covidlit.dicom.judge`.
        workers: threads that read headers.
        pixels: read every accepted series, so that what its voxels refuse is known; else no pixel.
        track: wraps the series, for a progress bar.

    Raises:
        ManifestError: no series is there.
    """
    root = path_named(root).resolve()
    found = find_series(root, workers=workers)
    root = Path(printable(root if root.is_dir() else root.parent))
    rows: list[dict[str, Any]] = []
    doubts: Counter[str] = Counter()
    for series in track(found.series):
        verdict = judge(series, checks or Checks())
        if pixels:
            verdict = looked_into(series, verdict, checks or Checks())
        failed = {check for check, _ in verdict.findings}
        facts, doubted = metadata_and_doubts(series)
        doubts.update(doubted)
        paths = (*series.files, *(path for path, _ in series.suspects))
        names = [printable(path.name) for path in paths]
        rows.append(
            {
                "raw_patient": series.patient_id.strip(),
                "study_uid": series.study_uid or series.series_uid,
                "series_uid": series.series_uid,
                "path": Path(printable(series.folder.resolve())),
                "status": "ok" if verdict.accepted else "refused",
                "reason": without_file_names(verdict.reason, names) or None,
                "is_image": not failed & {"not_ct", "localizer", "projection"},
                "is_derived": is_derived(series),
                **{name: facts.get(name) for name in FACTS},
                "notes": without_file_names("; ".join(verdict.notes), names) or None,
                "lungs_in_view_percent": verdict.facts.get("lungs_in_view_percent"),
            }
        )
    if not rows:
        reasons = [f"{path.name}: {why}" for path, why in found.problems]
        listed = f": {name_some(reasons)}" if reasons else ""
        raise ManifestError(
            f"there is no DICOM image series here ({counted(found.n_files, 'file')} looked at, "
            f"{len(found.problems)} of them not readable{listed}).",
            where=root,
            fix="check the folder with `covidlit inspect`; for NIfTI and the like name the files "
            "in the labels' column path and use --images.",
        )
    table, notes = _plausible(pd.DataFrame(rows))
    table["place"] = [_place(path, root) for path in table["path"]]
    problems = [
        {"kind": "file", "path": printable(path), "reason": printable(why)}
        for path, why in found.problems
    ]
    notes += found.notes
    notes += [f"{n} series: {doubt}." for doubt, n in doubts.most_common(_MOST_DOUBTS)]
    if rest := sum(n for _, n in doubts.most_common()[_MOST_DOUBTS:]):
        notes.append(f"{counted(rest, 'more header fact')} that cannot be: see `covidlit inspect`.")
    nameless = int((table["raw_patient"] == "").sum())
    if nameless:
        notes.append(
            f"{nameless} series have no PatientID: unless the labels name a patient, each study of "
            "theirs counts as a patient of its own."
        )
    return ScanRows(table, root, "series", problems, notes)


def _place(path: Path, root: Path) -> str:
    """A path from `root`, or as it is where a link or a DICOMDIR led out of there."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def image_rows(
    root: str | Path, labels: Labels, track: Track = iter, checks: Checks | None = None
) -> ScanRows:
    """The image files that a table of labels names, each read once.

    Args:
        root: folder that the labels' `path` starts from.
        labels: keyed by `path`, with `patient_id`.
        track: wraps the rows, for a progress bar.
        checks: which images are refused; those on voxels and the orientation count.

    Raises:
        ManifestError: none of the files exists.
    """
    checks = checks or Checks()
    root = Path(root).resolve()
    rows, problems = [], []
    numbers = dict(zip(labels.table.index, row_numbers(labels.table), strict=True))
    lines = dict(zip(labels.table.index, row_lines(labels.table), strict=True))
    for label in track(list(labels.table.itertuples())):
        path = root / label.path
        if not path.is_file():
            problems.append(
                {
                    "kind": NO_SCAN,
                    "label_row": numbers[label.Index],
                    "label_line": lines[label.Index],
                    "path": str(path),
                    "reason": "there is no such file",
                }
            )
            continue
        row: dict[str, Any] = {
            "raw_patient": label.patient_id,
            "study_uid": _stated(label, "study_uid") or label.path,
            "series_uid": _stated(label, "series_uid") or label.path,
            "path": path,
            "place": label.path,
            "status": "ok",
            "reason": None,
            "is_image": True,
            "is_derived": False,
            **dict.fromkeys(FACTS),
            "notes": None,
            "lungs_in_view_percent": None,
        }
        try:
            scan = read_image(path, checks.override, checks.image_orientation)
            row |= {
                "n_slices": scan.hu.shape[0],
                "slice_thickness_mm": scan.spacing[0],
                "notes": without_file_names("; ".join(scan.notes), [path.name]) or None,
                "lungs_in_view_percent": scan.lungs_in_view_percent,
            }
        except CovidlitError as problem:
            reason = problem.what.replace(str(path), "the source")
            row |= {"status": "refused", "reason": without_file_names(reason, [path.name])}
            row["lungs_in_view_percent"] = lungs_of_refused(problem)
        rows.append(row)
    if not rows:
        raise ManifestError(
            f"none of the {len(labels.table)} files that the labels name is there, such as "
            f"{labels.table['path'].iloc[0]!r}.",
            where=root,
            fix="the column path must start from this folder.",
        )
    table, notes = _plausible(pd.DataFrame(rows))
    return ScanRows(table, root, "image files", problems, notes)


def _stated(label: Any, name: str) -> str:
    value = getattr(label, name, None)
    return value if isinstance(value, str) else ""


def _plausible(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Facts that a header states but the manifest cannot hold count as unknown; a note says how
    many."""
    schema = pa.DataFrameSchema({name: MANIFEST_SCHEMA.columns[name] for name in FACTS})
    try:
        schema.validate(table, lazy=True)
    except pandera.errors.SchemaErrors as problem:
        cases = problem.failure_cases[["column", "index"]].dropna().drop_duplicates()
    else:
        return table, []
    table = table.copy()
    for name, rows in cases.groupby("column")["index"]:
        table[name] = table[name].astype(object).mask(table.index.isin(rows.astype(int)), None)
    # Of what is refused nobody will use a fact.
    used = cases[cases["index"].astype(int).map(table["status"]).eq("ok")]
    if used.empty:
        return table, []
    counts = ", ".join(
        f"{name} of {counted(n, 'scan')}" for name, n in used["column"].value_counts().items()
    )
    return table, [f"facts of headers that cannot be are taken for unknown: {counts}."]
