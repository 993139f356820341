"""Checks along the normal: slices that share a place, are missing, or stand unevenly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from covidlit.counted import counted
from covidlit.dicom.checks import Checks
from covidlit.dicom.geometry import Stack, slices_in_gap, theil_sen, typical_gap
from covidlit.dicom.pixels import same_image
from covidlit.dicom.series import Frame
from covidlit.dicom.wording import name_some

_MAX_LISTED = 3


class Report(Protocol):
    """How a failed check is noted; see `assess._Case.report`."""

    def __call__(
        self, check: str, message: str, consequence: str = "", final: bool = False
    ) -> None: ...


@dataclass(frozen=True)
class Spacing:
    """The distance between slices.

    Args:
        step: mm.
        even: whether the slices already stand at equal steps; otherwise (only where overridden)
            they are interpolated onto equal steps.
    """

    step: float
    even: bool


def split_duplicates(
    frames: Sequence[Frame], stack: Stack, checks: Checks, report: Report, notes: list[str]
) -> list[Frame]:
    """Sort slices along the normal and keep one per position.

    Identical duplicates are dropped with a note; differing ones fail `duplicate_position`.
    """
    order = np.argsort(stack.along, kind="stable")
    along = stack.along[order]
    gaps = np.diff(along)
    apart = gaps[gaps > checks.spacing_tolerance_mm]
    typical = float(np.median(apart)) if len(apart) else 0.0
    tolerance = max(checks.spacing_tolerance_mm, checks.spacing_tolerance * typical)
    groups: list[list[Frame]] = []
    for place, index in enumerate(order):
        if place and along[place] - along[place - 1] <= tolerance:
            groups[-1].append(frames[index])
        else:
            groups.append([frames[index]])
    shared = [group for group in groups if len(group) > 1]
    if shared:
        _judge_duplicates(shared, len(groups), report, notes)
    return [group[0] for group in groups]


def _judge_duplicates(
    shared: list[list[Frame]], n_positions: int, report: Report, notes: list[str]
) -> None:
    differing, dropped = [], []
    for group in shared:
        extra = group[1:]
        if all(same_image(group[0], other) for other in extra):
            dropped += extra
        else:
            differing.append(group)
    if dropped:
        names = name_some([frame.name for frame in dropped])
        notes.append(f"{counted(len(dropped), 'identical duplicate slice')} dropped: {names}")
    if differing:
        where = "; ".join(
            f"at {_place(group[0])}: {', '.join(frame.name for frame in group[:_MAX_LISTED])}"
            for group in differing[:_MAX_LISTED]
        )
        hint = ""
        if len(differing) == n_positions:
            hint = " (every position is shared: several phases or acquisitions in one series?)"
        report(
            "duplicate_position",
            f"different slices share {counted(len(differing), 'position')}{hint}: {where}; "
            "separate the acquisitions",
            "the first of each was kept",
        )


def check_spacing(
    frames: Sequence[Frame],
    stack: Stack,
    checks: Checks,
    report: Report,
    tilted: bool,
    notes: list[str],
) -> Spacing:
    """Check that slices sorted along the normal, one per place, stand at equal steps in line."""
    if len(frames) < 2:
        return Spacing(_nominal_step(frames[0]), True)
    gaps = np.diff(stack.along)
    typical = _usual_step(gaps, typical_gap(stack.along), _nominal_step(frames[0]), checks)
    tolerance = max(checks.spacing_tolerance_mm, checks.spacing_tolerance * typical)
    steps = [slices_in_gap(float(gap), typical, tolerance) for gap in gaps]
    if None in steps and (jitter := _jittered(stack.along, typical, checks)) is not None:
        typical, off, whole = jitter
        steps = list(whole)
        notes.append(
            f"slices stand up to {off:.2g} mm off even steps of {typical:.4g} mm (rounded on "
            "export, or a table that jitters): read as evenly spaced"
        )
    missing = [k for k, count in enumerate(steps) if count is not None and count > 1]
    uneven = [k for k, count in enumerate(steps) if count is None]
    n_missing = sum((steps[k] or 1) - 1 for k in missing)
    total = float(stack.along[-1] - stack.along[0]) / typical
    hopeless = total > 2 * len(frames) + 1
    consequence = f"interpolated linearly onto {typical:g} mm steps"
    hint = _if_whole(stack.along, frames[0]) if missing or uneven else ""
    if missing:
        report(
            "missing_slice",
            f"{counted(n_missing, 'slice')} missing at {counted(len(missing), 'place')} ("
            f"{_gaps(missing, gaps, frames)}, where {typical:g} mm is usual{hint}); fetch them",
            consequence,
            final=hopeless,
        )
    if uneven:
        report(
            "non_uniform_spacing",
            f"the distance between slices is not uniform: {_gaps(uneven, gaps, frames)}, where "
            f"{typical:g} mm is usual{hint}; use an evenly spaced "
            "reconstruction",
            consequence,
            final=hopeless,
        )
    _check_lateral(frames, stack, checks, report, tilted, notes)
    if missing or uneven:
        return Spacing(typical, False)
    return Spacing(theil_sen(np.arange(len(frames), dtype=float), stack.along)[0], True)


def _if_whole(along: NDArray[np.float64], frame: Frame) -> str:
    """What whole millimetres tell where the header's own step is none."""
    nominal = _nominal_step(frame)
    if nominal.is_integer() or not np.allclose(along, np.rint(along), atol=1e-3):
        return ""
    return f" (all are whole millimetres, the header says {nominal:g}: rounded on export?)"


def _jittered(
    along: NDArray[np.float64], typical: float, checks: Checks
) -> tuple[float, float, list[int]] | None:
    """Step, largest distance from it and steps in each gap, of even slices whose places are rough.

    None where the slices do not lie on a line that closely: a missing slice, or one that is moved,
    is no roughness, for it stands off by a good part of the step.
    """
    gaps = np.diff(along)
    usual = gaps[np.abs(gaps - typical) <= 2 * checks.jitter_mm]
    if len(usual) < 0.5 * len(gaps):
        return None
    whole = np.rint(gaps / usual.mean()).astype(int)
    if whole.min() < 1:
        return None
    index = np.concatenate([[0], np.cumsum(whole)]).astype(float)
    step, start = theil_sen(index, along)
    off = float(np.abs(along - start - step * index).max())
    if step <= 0 or off > min(checks.jitter_mm, step / 4):
        return None
    return step, off, whole.tolist()


def _check_lateral(
    frames: Sequence[Frame],
    stack: Stack,
    checks: Checks,
    report: Report,
    tilted: bool,
    notes: list[str],
) -> None:
    off = np.zeros(len(frames))
    for axis in range(2):
        slope, intercept = theil_sen(stack.along, stack.across[:, axis])
        if not tilted:  # a drift below the tolerance for tilt is no shift of single slices
            intercept = float(np.median(stack.across[:, axis] - slope * stack.along))
        off = np.hypot(off, stack.across[:, axis] - slope * stack.along - intercept)
    shifted = np.flatnonzero(off > max(checks.lateral_tolerance_mm, 2 * checks.jitter_mm))
    if off.max() > checks.lateral_tolerance_mm and not len(shifted):
        notes.append(
            f"slices stand up to {off.max():.2g} mm off a straight line sideways (rounded on "
            "export, or a table that jitters): taken to be in line"
        )
    if len(shifted):
        names = name_some([frames[int(k)].name for k in shifted])
        report(
            "non_uniform_spacing",
            f"{counted(len(shifted), 'slice')} shifted sideways by up to {off.max():.2f} mm "
            f"({names}); check their ImagePositionPatient",
            "taken to be in line",
        )


def _usual_step(gaps: NDArray[np.float64], typical: float, nominal: float, checks: Checks) -> float:
    """The typical gap, or a smaller step where only that explains every gap as missing slices."""
    for step in (typical, float(gaps.min()), nominal):
        tolerance = max(checks.spacing_tolerance_mm, checks.spacing_tolerance * step)
        if all(slices_in_gap(float(gap), step, tolerance) for gap in gaps):
            return step
    return typical


def _nominal_step(frame: Frame) -> float:
    """The spacing that the header of a single slice promises."""
    for value in (frame.source.spacing_between_slices, frame.thickness):
        if value is not None and 0 < abs(value) < 1000:
            return abs(value)
    return 1.0


def _gaps(which: Sequence[int], gaps: NDArray[np.float64], frames: Sequence[Frame]) -> str:
    listed = [
        f"{gaps[k]:.4g} mm between {frames[k].name} at {_place(frames[k])} and {frames[k + 1].name}"
        for k in which[:_MAX_LISTED]
    ]
    more = f" and {len(which) - _MAX_LISTED} more" if len(which) > _MAX_LISTED else ""
    return ", ".join(listed) + more


def _place(frame: Frame) -> str:
    x, y, z = frame.position or (0.0, 0.0, 0.0)
    return f"({x:g}, {y:g}, {z:g}) mm"
