"""All DICOM objects of a scan: written, read back, and handed out only where they agree."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.arguments import n_cores
from covidlit.dicom.checks import Checks
from covidlit.dicom.out.copies_back import check_capture, check_pdf
from covidlit.dicom.out.dcmqi import dcmqi_program
from covidlit.dicom.out.encapsulated_pdf import write_pdf
from covidlit.dicom.out.equipment import Algorithm
from covidlit.dicom.out.key_slices import choose_key_slices, draw_slice
from covidlit.dicom.out.lesion_table import check_lesions
from covidlit.dicom.out.outlines import outlines
from covidlit.dicom.out.pdf_pages import pdf_pages
from covidlit.dicom.out.read_back import Drawn, Reading, ask_dcmqi, check_segmentation
from covidlit.dicom.out.report_back import check_report
from covidlit.dicom.out.secondary_capture import direction_letters, write_secondary_captures
from covidlit.dicom.out.segmentation import MOST_SEGMENTS, n_files, write_classes, write_instances
from covidlit.dicom.out.source import (
    SourceSeries,
    read_source,
    without_patient_data_in_logs,
)
from covidlit.dicom.out.source_order import SourceMap, map_to_source
from covidlit.dicom.out.structured_report import write_report
from covidlit.dicom.out.terms import CLASS_TERMS
from covidlit.dicom.series import Series
from covidlit.dicom.tracking import with_tracking_uids
from covidlit.scans.scan import AIR_HU, Scan

OLD_FILES = ("classes.dcm", "lesions-*.dcm", "factors.dcm", "key-slice-*.dcm", "report.dcm")
"""What a former call may have left in the folder; replaced as a whole."""


@dataclass(frozen=True)
class WrittenObjects:
    """What was written.

    Args:
        paths: the files, all of which were read back and agree.
        lesions: the table with the `tracking_uid` that SEG and SR carry, and `segment_number`.
        readers: the programs that found every segment where it was drawn.
        notes: what a reader of the files should know.
    """

    paths: tuple[Path, ...]
    lesions: pd.DataFrame = field(repr=False)
    readers: tuple[str, ...]
    notes: tuple[str, ...]


def write_objects(
    series: Series,
    scan: Scan,
    classes: NDArray[np.uint8],
    instances: NDArray[np.int32],
    factors: Mapping[str, Any],
    lesions: pd.DataFrame,
    out_dir: str | Path,
    *,
    algorithm: Algorithm = Algorithm(),  # noqa: B008 (frozen)
    checks: Checks = Checks(),  # noqa: B008 (frozen)
    absent_as_empty: bool = False,
    classes_as_label_map: bool = False,
    independent: bool = True,
) -> WrittenObjects:
    """Write segmentations, structured report, secondary captures and PDF of one scan.

    `classes.dcm` (a segment per class), `lesions-1.dcm` and so on (a label per lesion, 255 to a
    file), `factors.dcm` (TID 1500), `key-slice-1.dcm` and so on, `report.dcm` (PDF). All of them
    lie in the source's study and frame of reference. Either all are there afterwards or, where one
    fails, none of this call.

    Args:
        series: that the scan was read from.
        scan: as read with `checks`.
        classes, instances: contract 7, (z, y, x) in the order of the scan.
        factors: the scan's row of contract 8.
        lesions: its lesions of contract 8; a `tracking_uid` that is there is kept.
        out_dir: the scan's folder.
        algorithm: what drew the labels.
        checks: that the scan was read with.
        absent_as_empty: see `read_source`.
        classes_as_label_map: see `write_classes`.
        independent: have dcmqi read the segmentations too, where it is installed.

    Raises:
        SeriesRefused, DicomError: see `read_source`, `map_to_source`, `check_lesions`,
            `check_segmentation`.
    """
    folder = Path(out_dir)
    check_lesions(classes, instances, lesions)
    source = read_source(series, checks, absent_as_empty=absent_as_empty)
    placing = map_to_source(scan.affine, classes.shape, source)
    lesions = with_tracking_uids(lesions.reset_index(drop=True), series.series_uid)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".objects-", dir=folder) as temporary:
        work = Path(temporary)
        labels = (classes, instances)
        placed = tuple(placing.apply(each, source.shape) for each in labels)
        lesions, readers = _write_segmentations(
            source, placed, scan.affine, labels, lesions, work, algorithm, classes_as_label_map,
            independent,
        )  # fmt: skip
        segmentations = sorted(work.glob("*.dcm"))
        outline_of = outlines(placed[1])
        path = work / "factors.dcm"
        write_report(source, factors, lesions, outline_of, segmentations, path, algorithm)
        check_report(path, source, factors, lesions)
        _write_pictures(source, placing, scan, placed[0], factors, lesions, work)
        paths = _hand_out(work, folder)
    notes = _notes(source, classes_as_label_map)
    if independent and len(readers) < 2:
        notes += (_NOT_INSTALLED if dcmqi_program() is None else _NOT_READ,)
    return WrittenObjects(paths, lesions, readers, notes)


def _write_segmentations(
    source: SourceSeries,
    placed: tuple[NDArray[Any], ...],
    affine: NDArray[np.float64],
    labels: tuple[NDArray[Any], ...],
    lesions: pd.DataFrame,
    work: Path,
    algorithm: Algorithm,
    as_label_map: bool,
    independent: bool,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    path = work / "classes.dcm"
    with ThreadPoolExecutor(max(1, n_cores())) as pool:

        def ask(written: Path) -> Future[Reading] | None:
            return ask_dcmqi(written, source, pool) if independent else None

        write_classes(source, placed[0], path, algorithm, as_label_map=as_label_map)
        asked = ask(path)
        paths = [work / f"lesions-{k + 1}.dcm" for k in range(n_files(len(lesions)))]
        lesions = write_instances(source, placed[1], lesions, paths, algorithm)
        all_asked = [ask(each) for each in paths]
        drawn = Drawn(labels[0], affine, {value: value for value in CLASS_TERMS})
        readers = check_segmentation(path, source, drawn, asked)
        for k, (each, own) in enumerate(zip(paths, all_asked, strict=True)):
            part = lesions[k * MOST_SEGMENTS : (k + 1) * MOST_SEGMENTS]
            label_of = dict(zip(part["segment_number"], part["lesion_id"], strict=True))
            own_readers = check_segmentation(each, source, Drawn(labels[1], affine, label_of), own)
            readers = tuple(name for name in readers if name in own_readers)
    return lesions, readers


def _write_pictures(
    source: SourceSeries,
    placing: SourceMap,
    scan: Scan,
    placed: NDArray[np.uint8],
    factors: Mapping[str, Any],
    lesions: pd.DataFrame,
    work: Path,
) -> None:
    size = source.shape[1:]
    pictures = [
        (k, draw_slice(placing.plane(scan.hu, k, size, AIR_HU), placed[k]))
        for k in choose_key_slices(placed)
    ]
    names = [work / f"key-slice-{k + 1}.dcm" for k in range(len(pictures))]
    write_secondary_captures(source, pictures, names)
    for path, (k, picture) in zip(names, pictures, strict=True):
        check_capture(path, source, k, picture)
    header = source.headers[0]
    heading = [
        f"Patient ID: {header.PatientID or 'not given'}",
        f"Study date: {header.StudyDate or 'not given'}",
        f"Series: {header.get('SeriesDescription', '') or header.get('SeriesNumber', '')}",
    ]
    # Slices stand as they were stored: of a prone patient, or one scanned feet first, mirrored.
    side = direction_letters(-source.row)[0]
    captioned = [
        (f"Slice {k + 1} of {source.shape[0]}, {side} on the left", picture)
        for k, picture in pictures
    ]
    with without_patient_data_in_logs():  # matplotlib names characters that its font lacks
        pdf = pdf_pages(heading, factors, lesions, captioned)
    path = write_pdf(source, pdf, work / "report.dcm", "Lesions on chest CT: quantitative factors")
    check_pdf(path, source, pdf)


def remove_objects(folder: Path) -> None:
    """Remove what a former call has left in a scan's folder, whose labels are others now."""
    for pattern in OLD_FILES:
        for old in folder.glob(pattern):
            old.unlink()


def _hand_out(work: Path, folder: Path) -> tuple[Path, ...]:
    remove_objects(folder)
    return tuple(each.replace(folder / each.name) for each in sorted(work.glob("*.dcm")))


_NOT_INSTALLED = (
    "no second program has read the segmentations, only pydicom: dcmqi is not installed "
    "(pip install dcmqi)"
)
_NOT_READ = (
    "dcmqi does not read all of the segmentations, as of series with a tilted gantry or uneven "
    "steps: only pydicom checked those"
)


def _notes(source: SourceSeries, as_label_map: bool) -> tuple[str, ...]:
    notes = []
    if source.tilted:
        notes.append(
            "the gantry was tilted: labels drawn on the straightened volume were put back on the "
            "tilted slices, each moved by less than half a pixel"
        )
    if source.shape[2] % 8 and not as_label_map:
        notes.append(
            f"{source.shape[2]} columns are no multiple of 8: some viewers and archives "
            "(Cornerstone, Orthanc 1.10) misread the bits of classes.dcm then, though it is right; "
            "the label maps have no such problem (classes_as_label_map=True)"
        )
    return tuple(notes)
