"""Read one CT series into a Scan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from covidlit.dicom.assess import Plan, assess, judge
from covidlit.dicom.checks import Checks
from covidlit.dicom.decoding import DecodeTimeoutError
from covidlit.dicom.find import find_series, n_threads
from covidlit.dicom.geometry import Stack, affine_of
from covidlit.dicom.pixels import decode_problem
from covidlit.dicom.pseudonym import pseudonym_uid
from covidlit.dicom.regrid import deshear, to_even_steps
from covidlit.dicom.series import Found, Frame, ImageFile, Series
from covidlit.dicom.transfer_syntax import is_encapsulated
from covidlit.dicom.verdict import Finding, SeriesRefused, Verdict
from covidlit.dicom.wording import name_some
from covidlit.errors import DicomError
from covidlit.process import over_limit
from covidlit.scans.content import look_at
from covidlit.scans.scan import Scan, to_canonical

_FILES_AT_ONCE = 10
"""Uncompressed files that a thread reads in turn: handing each over by itself takes longer."""

_MOST_HUNG = 2
"""After as many slices that a decoder hung over, the others of the series are not tried."""


def read_series(
    series_or_path: Series | str | Path,
    checks: Checks = Checks(),  # noqa: B008 (frozen)
    *,
    series_uid: str | None = None,
    workers: int | None = None,
) -> Scan:
    """Read one CT series into a Scan in Hounsfield units, canonical orientation.

    Memory: the volume itself (2 bytes per voxel, 157 MB for 300 slices of 512x512) and one
    compressed file per worker; a process of 50 MB for each of two threads that decode; once more
    the volume where rows or columns must be flipped, or an override interpolates.

    Args:
        series_or_path: a series from `find_series`, a folder that holds one, or one DICOM file.
        checks: which checks refuse the series; see `Checks`.
        series_uid: which series of the folder, as SeriesInstanceUID or its pseudonym. Not needed
            where the folder holds one series, or one that is accepted.
        workers: threads; by default one per core, at most 8.

    Raises:
        SeriesRefused: a check failed and is not overridden; its `verdict` lists all reasons.
        DicomError: no such path, no series there, several to choose from, or an unknown UID; or
            the volume would take more memory than `covidlit.process.memory_limit`.
    """
    if isinstance(series_or_path, Series):
        series = series_or_path
    else:
        path = Path(series_or_path)
        found = find_series(path, workers=workers)
        series = choose_series(found, path, checks, series_uid=series_uid)
    unreadable: dict[ImageFile, str] = {}
    while True:
        verdict, plan = assess(series, checks, unreadable)
        if plan is None:
            raise SeriesRefused(verdict)
        _check_claim(plan, series)
        volume, problems = _read_volume(plan.frames, workers)
        if not problems:
            break
        # At least one more file is left out in each round, so this ends.
        unreadable |= problems
    hu, affine = _place(volume, plan)
    array, affine = to_canonical(hu, affine)
    values = np.ascontiguousarray(array).astype(np.int16, copy=False)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    content = look_at(values, spacing, checks.override)
    if content.findings:
        findings = tuple(Finding(*finding) for finding in content.findings)
        facts = {**verdict.facts, "lungs_in_view_percent": content.lungs_in_view_percent}
        raise SeriesRefused(replace(verdict, findings=findings, facts=facts))
    notes = (*verdict.notes, *content.notes)
    return Scan(values, affine, series.series_uid, notes, content.lungs_in_view_percent)


def looked_into(series: Series, verdict: Verdict, checks: Checks) -> Verdict:
    """The verdict on a series once its pixels were read, too.

    Args:
        series, checks: as in `judge`.
        verdict: of `judge`; where it refuses the series, no pixel is read.

    Returns:
        The verdict with what the pixels add; `facts` hold `lungs_in_view_percent`.
    """
    if not verdict.accepted:
        return verdict
    try:
        scan = read_series(series, checks)
    except SeriesRefused as refusal:
        return refusal.verdict
    facts = {**verdict.facts, "lungs_in_view_percent": scan.lungs_in_view_percent}
    return replace(verdict, notes=scan.notes, facts=facts)


def choose_series(
    found: Found, path: Path, checks: Checks, *, series_uid: str | None = None
) -> Series:
    """The series that is meant among those found, as `read_series` chooses it.

    Args:
        found: what `find_series` found at `path`.
        path: where; for the errors.
        checks: which series are accepted.
        series_uid: its SeriesInstanceUID or pseudonym. Not needed where one series was found, or
            one that is accepted.

    Raises:
        DicomError: no series, several to choose from, or an unknown UID.
    """
    if not found.series:
        reasons = [f"{problem.path.name}: {problem.reason}" for problem in found.problems]
        what = f" ({name_some(reasons)})" if reasons else ""
        raise DicomError(f"no DICOM image series found{what}.", where=path, fix="check the path.")
    if series_uid is not None:
        for series in found.series:
            if series_uid in (series.series_uid, pseudonym_uid(series.series_uid)):
                return series
        raise DicomError(
            f"no series with the UID {series_uid}; {len(found.series)} other series are there.",
            where=path,
            fix="list them with `covidlit inspect`.",
        )
    if len(found.series) == 1:
        return found.series[0]
    accepted = [series for series in found.series if judge(series, checks).accepted]
    if len(accepted) == 1:
        return accepted[0]
    raise DicomError(
        f"{len(found.series)} series, {len(accepted)} of them accepted: which one is meant?",
        where=path,
        fix="give series_uid; list the series with `covidlit inspect`.",
    )


def _read_volume(
    frames: Sequence[Frame], workers: int | None
) -> tuple[NDArray[np.int16], dict[ImageFile, str]]:
    """Hounsfield units (slice, row, column) in the order of `frames`, and what did not decode."""
    image = frames[0].source
    volume = np.empty((len(frames), image.rows, image.columns), np.int16)
    by_file: dict[ImageFile, list[int]] = {}
    for place, frame in enumerate(frames):
        by_file.setdefault(frame.source, []).append(place)

    n_hung = 0

    def read(places: list[int]) -> str:
        nonlocal n_hung
        if n_hung >= _MOST_HUNG:
            return f"not decoded, because the decoder took too long over {n_hung} others"
        try:
            return decode_problem([frames[k] for k in places], [volume[k] for k in places])
        except DecodeTimeoutError as error:
            n_hung += 1
            return f"undecodable: {error}"

    # One slice is decoded, in a process of its own, while the one before is turned into HU.
    packed = is_encapsulated(image.transfer_syntax)
    threads = min(2, n_threads(workers)) if packed else n_threads(workers)
    places, at_once = list(by_file.values()), 1 if packed else _FILES_AT_ONCE
    groups = [places[start : start + at_once] for start in range(0, len(places), at_once)]
    with ThreadPoolExecutor(threads) as pool:
        read_groups = pool.map(lambda group: [read(one) for one in group], groups)
        problems = [problem for group in read_groups for problem in group]
    found = {source: problem for source, problem in zip(by_file, problems, strict=True) if problem}
    return volume, found or _odd_precision(by_file)


def _check_claim(plan: Plan, series: Series) -> None:
    """Refuse a volume above the limit of memory before any of it is taken.

    Raises:
        DicomError: it is too large, by its headers.
    """
    image, along = plan.frames[0].source, plan.stack.along
    n_slices = len(along)
    if not plan.spacing.even:
        n_slices = max(n_slices, round(float(np.ptp(along)) / plan.spacing.step) + 1)
    if problem := over_limit(2.0 * n_slices * image.rows * image.columns, "the volume"):
        raise DicomError(f"{problem}.", where=series.folder)


def _odd_precision(images: Collection[ImageFile]) -> dict[ImageFile, str]:
    """Compressed files whose code has another precision than that of most others with their header.

    Such a code was damaged, or the header belongs to another image; its values are no HU.
    """
    said: dict[tuple[str, int], Counter[int]] = {}
    for image in images:
        key = image.transfer_syntax, image.bits_stored
        said.setdefault(key, Counter())[image.code_precision] += 1
    problems = {}
    for image in images:
        counts = said[image.transfer_syntax, image.bits_stored]
        usual, count = counts.most_common(1)[0]
        if image.code_precision != usual and counts[image.code_precision] < count:
            problems[image] = (
                f"the compressed code holds values of {image.code_precision} bits, that of the "
                f"other slices {usual}"
            )
    return problems


def _place(volume: NDArray[np.int16], plan: Plan) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """The volume on a regular grid, and its affine."""
    stack, spacing = plan.stack, plan.frames[0].pixel_spacing
    assert spacing is not None  # frames without geometry are not in a plan
    if plan.deshear:
        deshear(volume, stack, spacing)
        across = np.repeat(stack.across[len(volume) // 2][None], len(volume), axis=0)
        stack = Stack(stack.row, stack.column, stack.normal, stack.along, across)
    if not plan.spacing.even:
        volume, along = to_even_steps(volume, stack.along, plan.spacing.step)
        across = np.repeat(np.median(stack.across, axis=0)[None], len(along), axis=0)
        stack = Stack(stack.row, stack.column, stack.normal, along, across)
    return volume, affine_of(stack, spacing, plan.spacing.step)
