"""The checks that a series must pass before it is read, and their tolerances."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from covidlit.errors import DicomError
from covidlit.scans.placement import check_orientation

CHECKS = (
    "not_ct",
    "localizer",
    "projection",
    "damaged_series_uid",
    "unreadable_file",
    "not_hu",
    "pixel_data_length",
    "missing_geometry",
    "mixed_patient",
    "mixed_size",
    "mixed_orientation",
    "several_acquisitions",
    "mixed_frame_of_reference",
    "mixed_kernel",
    "not_axial",
    "gantry_tilt",
    "duplicate_position",
    "inconsistent_rescale",
    "padding_in_tissue",
    "missing_slice",
    "non_uniform_spacing",
    "stray_file",
    "too_few_slices",
    "not_chest",
    "not_finite",
    "label_map",
    "no_lungs",
)
"""The names of the checks, in the order in which they are reported: the most telling first.
`not_hu` and the last ones look at voxels; image files such as NIfTI are held against these alone.
"""

_NUMBERED = re.compile(r"several_acquisitions:[1-9]\d{0,3}")


@dataclass(frozen=True)
class Checks:
    """Which checks refuse a series, and their tolerances.

    Args:
        min_slices: a series with fewer slices is refused (`too_few_slices`).
        override: names from `CHECKS` that note what they find instead of refusing. One of them,
            `several_acquisitions`, may name the acquisition to read: `several_acquisitions:2`;
            without a number the one with most slices is read, never several of them.
        image_orientation: what the axes x, y, z of image files run to whose headers do not say it,
            such as "LPS" or "LAS"; None: such files are refused.
        spacing_tolerance_mm, spacing_tolerance: a slice may stand off its place along the normal
            by the larger of these millimetres and this share of the spacing.
        jitter_mm: slices that stand less than this off an even stack are read as even, with a note:
            positions were rounded on export, or the table jittered.
        lateral_tolerance_mm: a slice may stand off the common axis sideways by this much.
        tilt_tolerance_degrees: largest angle between the axis of the stack and the normal.
        max_obliquity_degrees: largest angle between the normal and the body's long axis.
        orientation_tolerance: largest difference of a direction cosine within a series.

    Raises:
        DicomError: an unknown name or number in `override`, or `min_slices` below 1.
        CovidlitError: `image_orientation` is none.
    """

    min_slices: int = 12
    override: frozenset[str] = field(default=frozenset())
    image_orientation: str | None = None
    spacing_tolerance_mm: float = 0.01
    spacing_tolerance: float = 0.01
    jitter_mm: float = 0.06
    lateral_tolerance_mm: float = 0.05
    tilt_tolerance_degrees: float = 0.1
    max_obliquity_degrees: float = 30.0
    orientation_tolerance: float = 1e-3

    def __post_init__(self) -> None:
        object.__setattr__(self, "override", frozenset(self.override))
        unknown = sorted({check_of(name) for name in self.override} - set(CHECKS))
        if unknown:
            raise DicomError(
                f"unknown check {', '.join(unknown)}.",
                where="override",
                fix=f"choose from {', '.join(CHECKS)}.",
            )
        numbered = {name for name in self.override if ":" in name}
        wrong = [name for name in numbered if not _NUMBERED.fullmatch(name)]
        if wrong or len(numbered) > 1:
            raise DicomError(
                f"cannot tell which acquisition is meant by {', '.join(sorted(numbered))}.",
                where="override",
                fix="name one acquisition by its number in the message: several_acquisitions:2.",
            )
        if self.image_orientation is not None:
            orientation = check_orientation(self.image_orientation)
            object.__setattr__(self, "image_orientation", orientation)
        if self.min_slices < 1:
            raise DicomError(f"min_slices must be at least 1, got {self.min_slices}.")

    def overrides(self, check: str) -> bool:
        """Whether a check, by its name in `CHECKS`, notes what it finds instead of refusing."""
        return check in map(check_of, self.override)

    @property
    def acquisition(self) -> int | None:
        """The number of the acquisition to read, from 1; None where none is chosen."""
        chosen = [name.partition(":")[2] for name in self.override if ":" in name]
        return int(chosen[0]) if chosen else None


def check_of(override: str) -> str:
    """The check that an override is about: `several_acquisitions` of `several_acquisitions:2`."""
    return override.partition(":")[0]
