"""Several acquisitions under one SeriesInstanceUID: told apart, so that they are never mixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covidlit.counted import counted
from covidlit.dicom.checks import Checks
from covidlit.dicom.geometry import stack_of
from covidlit.dicom.identity import Report
from covidlit.dicom.series import Frame

Places = NDArray[np.float64]

_LEAST = 3  # slices of an acquisition; fewer are odd slices, which other checks see
_LEAST_OF_RUN = 5
_SAME_PLACE_MM = 0.02


def _fact(name: str) -> Callable[[Frame], str]:
    def fact(frame: Frame) -> str:
        own = dict(frame.acquisition).get(name) if frame.acquisition else None
        return own or frame.source.facts.get(name, "")

    return fact


_ORDERED: dict[str, Callable[[Frame], str]] = {
    "TemporalPositionIdentifier": _fact("temporal_position"),
    "cardiac phase": _fact("phase"),
    "TriggerTime": _fact("trigger_time"),
    "AcquisitionNumber": _fact("acquisition_number"),
    "AcquisitionTime": _fact("acquisition_time"),
    "AcquisitionDateTime": _fact("acquisition_datetime"),
}
_UNORDERED: dict[str, Callable[[Frame], str]] = {
    "ConvolutionKernel": lambda frame: frame.kernel,
    "SliceThickness": lambda frame: "" if frame.thickness is None else f"{frame.thickness:g}",
    "KVP": _fact("kvp"),
    "ImageType": lambda frame: "/".join(frame.source.image_type),
}
_RUNS = "InstanceNumber"


@dataclass(frozen=True)
class Acquisition:
    """Slices that were measured, or reconstructed, in one go.

    Args:
        frames: its slices.
        signs: what tells it from the others, as "AcquisitionNumber 2".
    """

    frames: tuple[Frame, ...]
    signs: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join([*self.signs, counted(len(self.frames), "slice")])


def choose_acquisition(
    frames: list[Frame], checks: Checks, report: Report, notes: list[str]
) -> list[Frame]:
    """The slices of one acquisition: the one that is chosen, or has most of them.

    Args:
        frames: slices of one series, in one orientation.
        checks: may name an acquisition.
        report: notes a failed check.
        notes: what does not refuse the series is added here.
    """
    orientation = np.median([frame.orientation for frame in frames], axis=0)
    stack = stack_of(orientation, np.array([frame.position for frame in frames]))
    found = interleaved_acquisitions(frames, stack.along)
    if not found:
        if checks.acquisition not in (None, 1):
            notes.append(f"several_acquisitions:{checks.acquisition} changes nothing: there is one")
        if text := blocks(frames, stack.along):
            notes.append(text)
        return frames
    listed = "; ".join(f"{number}: {one}" for number, one in enumerate(found, 1))
    number = checks.acquisition
    if number is None:
        number = 1 + int(np.argmax([len(one.frames) for one in found]))
    chosen = found[min(number, len(found)) - 1]
    report(
        "several_acquisitions",
        f"{len(found)} acquisitions or reconstructions lie in one another ({listed}); choose "
        f"one by its number, with the override several_acquisitions:1 to :{len(found)}",
        f"number {number} was read",
        final=number > len(found),
    )
    return list(chosen.frames)


def interleaved_acquisitions(frames: Sequence[Frame], along: Places) -> list[Acquisition]:
    """The acquisitions whose slices lie between, or on, each other's; empty where there are none.

    Parts of the body that were scanned one after the other, as rotations of an axial scan with an
    AcquisitionNumber each, are one acquisition: nothing of theirs can be mixed.

    Args:
        frames: slices of one series, in one orientation.
        along: (slice,) their places along the normal, mm.
    """
    parts = _split(np.arange(len(frames)), frames, along)
    if len(parts) < 2:
        return []
    return [
        Acquisition(tuple(frames[k] for k in part), signs)
        for part, signs in zip(parts, _signs(parts, frames), strict=True)
    ]


def blocks(frames: Sequence[Frame], along: Places) -> str:
    """A sentence on two to four acquisitions that lie one beyond the other; else empty."""
    value = _ORDERED["AcquisitionNumber"]
    groups = _grouped(np.arange(len(frames)), [value(frame) for frame in frames])
    if not 2 <= len(groups) <= 4 or min(map(len, groups)) < _LEAST_OF_RUN:
        return ""
    places = sorted(
        f"{along[group].min():g} to {along[group].max():g} mm ({counted(len(group), 'slice')}, "
        f"AcquisitionNumber {value(frames[group[0]]) or 'none'})"
        for group in groups
    )
    return (
        f"{len(groups)} acquisitions, one beyond the other: {', '.join(places)}; if the patient "
        "breathed or moved between them, anatomy is missing or twice there"
    )


def _split(
    part: NDArray[np.intp], frames: Sequence[Frame], along: Places
) -> list[NDArray[np.intp]]:
    """The indices of each acquisition; as they are given where nothing tells any apart."""
    for get, ordered in (*((g, True) for g in _ORDERED.values()), *(
        (g, False) for g in _UNORDERED.values()
    )):  # fmt: skip
        values = [get(frames[k]) for k in part]
        if len(set(values)) < 2:
            continue
        found = _grouped(part, values)
        if ordered:
            found = _passes(found, along)
        if _are_mixed(found, along):
            return [one for each in found for one in _split(each, frames, along)]
    if len(runs := _runs(part, frames, along)) > 1:
        return runs
    return [part]


def _grouped(part: NDArray[np.intp], values: Sequence[str]) -> list[NDArray[np.intp]]:
    """The indices with each value, in the order of the values."""
    groups: dict[str, list[int]] = {}
    for k, value in zip(part, values, strict=True):
        groups.setdefault(value, []).append(int(k))
    names = list(groups)
    try:
        names.sort(key=lambda name: float(name or 0))
    except ValueError:
        names.sort()
    return [np.array(groups[name]) for name in names]


def _passes(groups: list[NDArray[np.intp]], along: Places) -> list[NDArray[np.intp]]:
    """Groups in the order of their values, joined as long as they go on in one direction."""
    passes: list[list[NDArray[np.intp]]] = []
    direction = 0.0
    for group in groups:
        if passes:
            before = along[passes[-1][-1]]
            here = along[group]
            step = float(np.sign(here.mean() - before.mean()))
            apart = here.min() >= before.max() or here.max() <= before.min()
            if step and apart and direction in (0.0, step):
                passes[-1].append(group)
                direction = step
                continue
        passes.append([group])
        direction = 0.0
    return [np.concatenate(one) for one in passes]


def _are_mixed(parts: list[NDArray[np.intp]], along: Places) -> bool:
    """Whether slices of several parts lie between or on each other, more than at a seam."""
    large = [part for part in parts if len(part) >= _LEAST]
    if len(large) < 2 or sum(map(len, large)) < 0.8 * sum(map(len, parts)):
        return False
    labels = np.repeat(np.arange(len(large)), [len(part) for part in large])
    places = along[np.concatenate(large)]
    order = np.lexsort((labels, places))
    labels, places = labels[order], places[order]
    changes = labels[1:] != labels[:-1]
    shared = int((changes & (np.diff(places) <= _SAME_PLACE_MM)).sum())
    return bool(shared >= 2 or changes.sum() > len(large) + 1)


def _runs(part: NDArray[np.intp], frames: Sequence[Frame], along: Places) -> list[NDArray[np.intp]]:
    """Passes through the whole body by InstanceNumber alone; only where nothing else is possible.

    Each goes the same way over most of the range, with many slices: numbers without an order do
    not look like that.
    """
    numbers = [frames[k].instance for k in part]
    if len(part) < 2 * _LEAST_OF_RUN or None in numbers or len(set(numbers)) < len(part):
        return [part]
    ordered = part[np.argsort(np.array(numbers, float))]
    steps = np.diff(along[ordered])
    turns = np.flatnonzero(np.sign(steps) != np.sign(np.median(steps)))
    runs = np.split(ordered, turns + 1)
    reach = 0.6 * float(np.ptp(along[part]))
    whole = all(len(run) >= _LEAST_OF_RUN and np.ptp(along[run]) >= reach for run in runs)
    return runs if whole and _are_mixed(runs, along) else [part]


def _signs(parts: Sequence[NDArray[np.intp]], frames: Sequence[Frame]) -> list[tuple[str, ...]]:
    """What differs between parts, in words, for each of them."""
    signs: list[list[str]] = [[] for _ in parts]
    for name, get in (_ORDERED | _UNORDERED).items():
        values = [list(dict.fromkeys(get(frames[k]) for k in part)) for part in parts]
        if len({tuple(sorted(own)) for own in values}) < 2 or any(len(own) > 3 for own in values):
            continue
        # The time of day is nobody's business, and says less than how far apart they are.
        is_clock = name.startswith("Acquisition") and "Time" in name
        texts = _later(values) if is_clock else [f"{name} {_listed(own)}" for own in values]
        for sign, text in zip(signs, texts, strict=True):
            if text and text not in sign:
                sign.append(text)
    if not all(signs):
        for sign, part in zip(signs, parts, strict=True):
            numbers = [frames[k].instance or 0 for k in part]
            sign.append(f"{_RUNS} {min(numbers)} to {max(numbers)}")
    return [tuple(sign) for sign in signs]


def _listed(values: Sequence[str]) -> str:
    return " and ".join(value or "none" for value in values)


def _later(values: Sequence[Sequence[str]]) -> list[str]:
    """How many seconds after the first each began; empty texts where the times are no times."""
    try:
        begins = [min(map(_seconds, own)) for own in values]
    except ValueError:
        return [""] * len(values)
    first = min(begins)
    return [f"{begin - first:.0f} s after the first" if begin > first else "the first" for begin in
            begins]  # fmt: skip


def _seconds(text: str) -> float:
    """Seconds since midnight of DICOM's time or date and time (PS3.5, section 6.2)."""
    digits = text.split("+")[0].split("-")[0].replace(":", "")
    whole, _, part = digits.partition(".")
    clock = whole[-6:]
    if len(clock) != 6:
        raise ValueError(text)
    return int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + int(clock[4:]) + float(f"0.{part or 0}")
