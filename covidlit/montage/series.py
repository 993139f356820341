"""The series and images of a folder for the page of `covidlit inspect`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from covidlit.cohort.converted import series_of
from covidlit.cohort.scan_ids import scan_id_of
from covidlit.cohort.scan_sources import refusal_reason
from covidlit.dicom import Checks, Series, Verdict, pseudonym_uid, read_series
from covidlit.dicom.pseudonym import without_file_names
from covidlit.montage.page import Look
from covidlit.montage.picture import montage_jpeg
from covidlit.preprocess.cache import scan_name
from covidlit.scans.images import read_image
from covidlit.scans.scan import Scan

ACCEPTED, REFUSED = "Accepted", "Refused"

_FACTS = {
    "manufacturer": "{}", "scanner_model": "{}", "kernel": "kernel {}", "kvp": "{:g} kV",
    "slice_thickness_mm": "slices {:g} mm thick",
}  # fmt: skip
"""Facts of a verdict that are shown, none of which identifies anyone."""


def looks_of_series(
    series: Iterable[Series],
    verdicts: Iterable[Verdict],
    checks: Checks,
    done: Callable[[], object] = lambda: None,
) -> list[Look]:
    """The series of a folder, the accepted ones first, each with its picture.

    One series is in memory at a time. A series that the headers accept and whose pixels cannot be
    read is refused here.

    Args:
        series, verdicts: of `find_series` and `judge`, in one order.
        checks: that the verdicts were made with.
        done: called after each series.
    """
    looks = []
    for one, verdict in zip(series, verdicts, strict=True):
        looks.append(_look(one, verdict, checks))
        done()
    return sorted(looks, key=lambda look: not look.accepted)


def looks_of_images(
    files: Iterable[Path], read: Callable[[Path], Scan] = read_image
) -> Iterator[tuple[Path, Look]]:
    """Yield each image file with its picture; named by a hash of its voxels, or by the scan_id of
    the series that `covidlit convert` made it from."""
    for number, file in enumerate(files, 1):
        try:
            scan = read(file)
        except Exception as error:  # one odd file must not cost the page
            reason = refusal_reason(error).replace(str(file), "the file")
            reason = without_file_names(reason, [file.name])
            yield file, Look(f"image file {number}", REFUSED, False, reason=reason)
            continue
        yield (
            file,
            Look(
                scan_name("" if (series := series_of(file)) is None else series.scan_id, scan),
                ACCEPTED,
                True,
                montage_jpeg(scan.hu, scan.affine),
                facts=size_of(scan.hu.shape, scan.spacing),
                notes=[without_file_names(note, [file.name]) for note in scan.notes],
            ),
        )


def size_of(shape: Sequence[int], spacing: Sequence[float]) -> list[str]:
    """Voxels and extent of a volume, (z, y, x), in words."""
    extent = [n * mm for n, mm in zip(shape, spacing, strict=True)]
    return [
        f"{shape[0]} slices of {shape[1]} x {shape[2]}, {spacing[0]:g} mm apart, pixels of "
        f"{spacing[1]:.3g} mm",
        f"{extent[0]:.0f} mm from feet to head, {extent[1]:.0f} mm deep, {extent[2]:.0f} mm wide",
    ]


def _look(series: Series, verdict: Verdict, checks: Checks) -> Look:
    names = [path.name for path in (*series.files, *(path for path, _ in series.suspects))]

    def plain(text: str) -> str:
        return without_file_names(text, names)

    name = scan_id_of(series.series_uid)
    facts = [f"series UID {pseudonym_uid(series.series_uid)} (a pseudonym)", *_told(verdict.facts)]
    notes = [plain(note) for note in verdict.notes]
    if not verdict.accepted:
        return Look(name, REFUSED, False, None, plain(verdict.reason), facts, notes)
    try:
        scan = read_series(series, checks)
        picture = montage_jpeg(scan.hu, scan.affine)
    except Exception as error:  # one odd series must not cost the page
        reason = plain(refusal_reason(error))
        return Look(name, REFUSED, False, None, f"its pixels: {reason}", facts, notes)
    facts = [*size_of(scan.hu.shape, scan.spacing), *facts]
    return Look(name, ACCEPTED, True, picture, "", facts, [plain(note) for note in scan.notes])


def _told(facts: dict[str, Any]) -> list[str]:
    told = []
    for name, form in _FACTS.items():
        if (value := facts.get(name)) not in (None, ""):
            told.append(form.format(value))
    return [", ".join(told)] if told else []
