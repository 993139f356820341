"""The checks that a series must pass before it is read, and their tolerances."""

from __future__ import annotations

from dataclasses import dataclass, field

from covidlit.errors import DicomError

CHECKS = (
    "not_ct",
    "localizer",
    "projection",
    "unreadable_file",
    "not_hu",
    "pixel_data_length",
    "missing_geometry",
    "mixed_patient",
    "mixed_size",
    "mixed_orientation",
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
)
"""The names of the checks, in the order in which they are reported: the most telling first."""


@dataclass(frozen=True)
class Checks:
    """Which checks refuse a series, and their tolerances.

    Args:
        min_slices: a series with fewer slices is refused (`too_few_slices`).
        override: names from `CHECKS` that note what they find instead of refusing.
        spacing_tolerance_mm, spacing_tolerance: a slice may stand off its place along the normal
            by the larger of these millimetres and this share of the spacing.
        lateral_tolerance_mm: a slice may stand off the common axis sideways by this much.
        tilt_tolerance_degrees: largest angle between the axis of the stack and the normal.
        max_obliquity_degrees: largest angle between the normal and the body's long axis.
        orientation_tolerance: largest difference of a direction cosine within a series.

    Raises:
        DicomError: an unknown name in `override`, or `min_slices` below 1.
    """

    min_slices: int = 12
    override: frozenset[str] = field(default=frozenset())
    spacing_tolerance_mm: float = 0.01
    spacing_tolerance: float = 0.01
    lateral_tolerance_mm: float = 0.05
    tilt_tolerance_degrees: float = 0.1
    max_obliquity_degrees: float = 30.0
    orientation_tolerance: float = 1e-3

    def __post_init__(self) -> None:
        object.__setattr__(self, "override", frozenset(self.override))
        unknown = sorted(self.override - set(CHECKS))
        if unknown:
            raise DicomError(
                f"unknown check {', '.join(unknown)}.",
                where="override",
                fix=f"choose from {', '.join(CHECKS)}.",
            )
        if self.min_slices < 1:
            raise DicomError(f"min_slices must be at least 1, got {self.min_slices}.")
