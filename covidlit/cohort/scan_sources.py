"""What lies at a path: the scans to predict, each read only when its turn comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from covidlit.cohort.converted import series_of
from covidlit.cohort.scan_ids import scan_id_of
from covidlit.cohort.scan_reader import ScanReader, search_shared
from covidlit.dicom import (
    Checks,
    Series,
    SeriesRefused,
    find_series,
    judge,
    pseudonym_uid,
    read_series,
)
from covidlit.dicom.other_objects import OtherObject, kind_of_class, kind_of_image
from covidlit.errors import CovidlitError, fault_reason
from covidlit.files import path_named, printable, require_path
from covidlit.scans.images import image_files, is_image_file, read_image
from covidlit.scans.lesion_labels import is_label_file
from covidlit.scans.scan import Scan

TABLE_SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class ScanSource:
    """One scan that can be read, or the reason why not.

    Args:
        scan_id: as in a manifest; empty where there is no DICOM series and none that an image was
            converted from, so that `path` alone tells which image file it is.
        path: where it lies, relative to the folder that was asked for.
        series_uid: pseudonym of its SeriesInstanceUID; empty where there is none.
        read: reads it; None where `reason` says why it cannot be read.
        reason: why it is refused without being read.
        location: the folder or file that holds it, absolute; None where nothing can be read.
        synthetic: whether a manifest calls it synthetic; None where nothing says so.
        series: gives the DICOM series that it is read from; None where it is an image file.
        patient_id, acquisition_date: as a manifest has them; empty where there is none.
    """

    scan_id: str
    path: str
    series_uid: str = ""
    read: Callable[[], Scan] | None = None
    reason: str = ""
    location: Path | None = None
    synthetic: bool | None = None
    series: Callable[[], Series] | None = None
    patient_id: str = ""
    acquisition_date: str = ""


def refusal_reason(error: Exception) -> str:
    """Why a scan is left out whose reading, preparing or explaining ended in an error.

    Never with the message of an error that covidlit did not raise itself, which may quote a file.
    """
    if isinstance(error, SeriesRefused):
        return error.verdict.reason
    if isinstance(error, CovidlitError):
        return error.what
    if isinstance(error, OSError | MemoryError):
        return f"cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}."
    return fault_reason(error)


def find_scans(
    path: str | Path, checks: Checks, others: list[OtherObject] | None = None
) -> list[ScanSource]:
    """The scans at a path, in a fixed order, and the damaged files there.

    Args:
        path: a manifest (`.csv`, `.parquet`); a folder with DICOM series or images in any nesting;
            an image that SimpleITK reads; or a DICOM file.
        checks: which scans are refused.
        others: gets the files that are no scans, such as reports, segmentations and label volumes
            of covidlit; None: those that hold images are scans that are refused.

    Raises:
        CovidlitError: there is no such path, or no scan is there.
        ManifestError: a manifest that breaks its schema.
    """
    path = require_path(path)
    if path.is_file() and path.suffix.lower() in TABLE_SUFFIXES:
        sources = list(_manifest_rows(path, checks))
    elif path.is_file() and is_image_file(path):
        sources = [_image(path, path.parent, checks)]
    else:
        sources = list(_dicom_series(path, checks, others))
        if path.is_dir():
            images = [_image(file, path, checks) for file in image_files(path)]
            sources = _each_once(sources, images)
    if others is not None and path.is_dir():
        sources = _without_others(sources, others)
    if not sources:
        only = f", only {in_words(others)}" if others else ""
        raise CovidlitError(
            f"no CT scan was found there{only}.",
            where=path,
            fix="give a folder with DICOM files, an image such as .nii.gz, or a manifest.",
        )
    return sources


def _each_once(series: list[ScanSource], images: list[ScanSource]) -> list[ScanSource]:
    """The series and images of a folder, without images that were converted from one of them."""
    readable = {one.scan_id for one in series if one.read is not None and one.scan_id}
    copies = {one.scan_id: one.path for one in images if one.scan_id in readable}
    noted = [
        replace(one, read=partial(_read_noting, one.read, copies[one.scan_id]))
        if one.read is not None and one.scan_id in copies
        else one
        for one in series
    ]
    return [*noted, *(one for one in images if one.scan_id not in copies)]


def _read_noting(read: Callable[[], Scan], copy: str) -> Scan:
    scan = read()
    note = f"lies here as NIfTI too ({copy}), which `covidlit convert` made of it: taken once"
    return replace(scan, notes=(*scan.notes, note))


def in_words(others: Iterable[OtherObject]) -> str:
    """How many of which kind there are: "2 documents (PDF), 1 segmentation (SEG)"."""
    counts = Counter(other.kind for other in others)
    return ", ".join(
        f"{n} {_plural(kind) if n > 1 else kind}" for kind, n in sorted(counts.items())
    )


def _plural(kind: str) -> str:
    name, blank, short = kind.partition(" (")
    return f"{name}{'' if name.endswith(('s', 'data')) else 's'}{blank}{short}"


def _without_others(sources: list[ScanSource], others: list[OtherObject]) -> list[ScanSource]:
    """The sources without the label volumes of contract 7."""
    labels = [one for one in sources if one.series is None and is_label_file(one.path)]
    others += [OtherObject(one.path, "label volume") for one in labels]
    return [one for one in sources if one not in labels]


def _dicom_series(
    path: Path, checks: Checks, others: list[OtherObject] | None = None
) -> Iterator[ScanSource]:
    root = path if path.is_dir() else path.parent
    found = find_series(path)
    if others is not None:
        others += [
            OtherObject(relative_place(file, root), kind_of_class(sop_class) or "DICOM object")
            for file, sop_class in found.without_image
        ]
    for series in found.series:
        kinds = [kind_of_image(image) for image in series.images]
        if others is not None and all(kinds) and not checks.overrides("not_ct"):
            others += [
                OtherObject(relative_place(image.path, root), str(kind))
                for image, kind in zip(series.images, kinds, strict=True)
            ]
            continue
        verdict = judge(series, checks)
        place = path if series.files == [path] else series.folder
        yield ScanSource(
            scan_id_of(series.series_uid),
            relative_place(place, root),
            pseudonym_uid(series.series_uid),
            partial(read_series, series, checks) if verdict.accepted else None,
            verdict.reason,
            place.absolute(),
            series=partial(_found, series),
        )
    for problem in found.problems:
        reason = printable(problem.reason)
        yield ScanSource("", relative_place(problem.path, root), reason=reason)


def _found(series: Series) -> Series:
    return series


def _manifest_rows(path: Path, checks: Checks) -> Iterator[ScanSource]:
    # A manifest's schema (pandera) takes a third of a second to import.
    from covidlit.cohort.manifest import read_manifest
    from covidlit.cohort.provenance import checks_of

    manifest = read_manifest(path)
    checks = checks_of(manifest, checks)  # what `covidlit manifest` was told is not asked again
    rows = manifest.to_dict("records")
    for row in rows:
        row["series_uid"] = uid if isinstance(uid := row.get("series_uid"), str) else ""
    readers = iter(
        search_shared(
            ScanReader(row["path"], row["series_uid"] or None, checks)
            for row in rows
            if row.get("status") != "refused"
        )
    )
    for row in rows:
        synthetic = flag if isinstance(flag := row.get("synthetic"), bool) else None
        location = path_named(row["path"])
        place = relative_place(location, path.resolve().parent)
        source = ScanSource(
            row["scan_id"], place, row["series_uid"], location=location, synthetic=synthetic,
            patient_id=row["patient_id"], acquisition_date=_iso(row.get("acquisition_date")),
        )  # fmt: skip
        if row.get("status") == "refused":
            reason = row.get("reason")
            said = reason if isinstance(reason, str) else "the manifest says so"
            yield replace(source, reason=said)
        else:
            reader = next(readers)
            is_image = location.is_file() and is_image_file(location)
            yield replace(source, read=reader, series=None if is_image else reader.series)


def _iso(date: Any) -> str:
    """A date of a manifest as text; empty where there is none."""
    return "" if date is None or date != date else f"{date:%Y-%m-%d}"


def _image(file: Path, root: Path, checks: Checks) -> ScanSource:
    if printable(file.name) != file.name:
        reason = "its name is no UTF-8, which the reader of images needs: rename it"
        return ScanSource("", relative_place(file, root), reason=reason)
    # No id of its own: that could only be made of the file's name, which may be a patient's number.
    series = series_of(file)
    return ScanSource(
        "" if series is None else series.scan_id,
        relative_place(file, root),
        "" if series is None else series.series_uid,
        read=partial(read_image, file, checks.override, checks.image_orientation),
        location=file.absolute(),
    )


def relative_place(path: Path, root: Path) -> str:
    """A path from `root` where it lies below it, else as it is; with forward slashes, as text.

    The root itself goes by its name.
    """
    if path == root:
        return printable(path.resolve().name or path)
    below = path.is_relative_to(root)
    return printable(path.relative_to(root).as_posix() if below else path)
