"""Hold a series against the checks, and plan how to read what passes or is overridden."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from covidlit.dicom.checks import CHECKS, Checks
from covidlit.dicom.damage import how_to_mend
from covidlit.dicom.facts import metadata_and_doubts
from covidlit.dicom.geometry import Stack, obliquity_degrees, stack_of, tilt_degrees
from covidlit.dicom.header import CT_CLASSES, is_other_class
from covidlit.dicom.image_type import is_localizer, is_projection
from covidlit.dicom.series import Frame, ImageFile, Series
from covidlit.dicom.spacing import Spacing, check_spacing, split_duplicates
from covidlit.dicom.transfer_syntax import no_decoder
from covidlit.dicom.values import check_files, check_padding, check_rescale, check_units
from covidlit.dicom.verdict import Finding, Verdict

_ORIENTATION_UNTILTED = 0.5  # degrees


@dataclass(frozen=True)
class Plan:
    """The slices to read, sorted along the normal, and the geometry they make.

    Args:
        frames: one per position.
        stack: their places.
        spacing: what the gaps between them say.
        deshear: whether a tilted gantry must be undone.
    """

    frames: tuple[Frame, ...]
    stack: Stack
    spacing: Spacing
    deshear: bool


def judge(series: Series, checks: Checks = Checks()) -> Verdict:  # noqa: B008 (frozen)
    """Hold a series against the checks; reads few pixels.

    Those of slices that share a place, that are rescaled unlike others, or that pad with a value of
    tissue.

    Args:
        series: from `find_series`.
        checks: which checks refuse, and their tolerances.

    Returns:
        The verdict with ALL failed checks, the most telling first.
    """
    return assess(series, checks)[0]


def assess(
    series: Series,
    checks: Checks,
    unreadable: Mapping[ImageFile, str] | None = None,
) -> tuple[Verdict, Plan | None]:
    """The verdict, and the plan for reading; None where nothing is left to read.

    Args:
        series, checks: as in `judge`.
        unreadable: files whose pixels were tried and did not decode, with the reason.
    """
    case = _Case(series, checks)
    plan = case.run(dict(unreadable or {}))
    findings = sorted(case.findings, key=lambda finding: CHECKS.index(finding.check))
    metadata, doubts = metadata_and_doubts(series)
    facts = {"n_files": len(series.images), **metadata}
    verdict = Verdict(
        series.series_uid,
        series.study_uid,
        tuple(findings),
        (*case.notes, *doubts),
        str(series.folder),
        facts | {"slice_spacing_mm": _spacing_of(plan)},
    )
    return verdict, plan if not findings else None


def name_some(names: Sequence[str], limit: int = 3) -> str:
    """The first few of many names, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


class _Case:
    """One series under the checks: collects findings and notes, step by step."""

    def __init__(self, series: Series, checks: Checks) -> None:
        self.series = series
        self.checks = checks
        self.findings: list[Finding] = []
        self.notes: list[str] = []

    def report(self, check: str, message: str, consequence: str = "", final: bool = False) -> None:
        """Note a failed check: a finding, or where overridden a note with its consequence."""
        if check in self.checks.override and not final:
            self.notes.append(f"{check} overridden: {message}{consequence and '; '}{consequence}")
        else:
            self.findings.append(Finding(check, message))

    def run(self, unreadable: dict[ImageFile, str]) -> Plan | None:
        images = self._check_files(unreadable)
        check_files(images, self.report, self.notes)
        of_ct = [frame for image in images if is_ct(image) for frame in image.frames]
        check_units(of_ct, self.report, self.notes)
        frames = self._check_geometry([frame for image in images for frame in image.frames])
        if not frames:
            last = self.findings[-1].check if self.findings else "unreadable_file"
            if not self.findings:
                self.report(last, "no slice is left that could be read", final=True)
            return None
        self._check_patient(frames)
        frames = self._keep_majority(
            frames,
            "mixed_size",
            _size_of,
            "differ in size, pixel spacing or sign",
            _size_of,
        )
        frames = self._check_orientation(frames)
        self._keep_majority(
            frames,
            "mixed_frame_of_reference",
            lambda frame: frame.source.frame_of_reference,
            "belong to another frame of reference",
            None,  # its UIDs would identify the scan
            leave_out=False,
        )
        self._keep_majority(
            frames,
            "mixed_kernel",
            lambda frame: frame.kernel,
            "were reconstructed with another kernel",
            lambda frame: frame.kernel or "none",
            leave_out=False,
        )
        plan = self._check_stack(frames)
        self._check_rest(len(plan.frames))
        return plan

    def _check_files(self, unreadable: dict[ImageFile, str]) -> list[ImageFile]:
        images = list(self.series.images)
        others = [image for image in images if not is_ct(image)]
        if others:
            kinds = ", ".join(sorted({_kind_of(image) for image in others}))
            self.report(
                "not_ct",
                f"{_share(others, images)} not CT but {kinds} ({_files(others)}); "
                "leave this series out",
                "its values are not Hounsfield units",
            )
        images = self._check_kind(images, "localizer", is_localizer, "localizer")
        images = self._check_kind(
            images, "projection", is_projection, "no slice but a projection or a screen copy"
        )
        reasons = {image: image.damage for image in images if image.damage} | unreadable
        reasons |= self._without_rescale([image for image in images if image not in reasons])
        damaged = [image for image in images if image in reasons]
        if damaged:
            alike: dict[str, list[str]] = {}
            for image in damaged:
                alike.setdefault(reasons[image], []).append(image.path.name)
            listed = name_some([f"{name_some(names)}: {why}" for why, names in alike.items()])
            fix = how_to_mend(reasons[image] for image in damaged)
            if all(reasons[image] == no_decoder(image.transfer_syntax) for image in damaged):
                fix = "store them uncompressed, or install a decoder"
            self.report(
                "unreadable_file",
                f"{_share(damaged, images)} unreadable ({listed}); {fix}",
                "left out",
                final=len(damaged) == len(images),
            )
        return [image for image in images if image not in reasons]

    def _check_kind(
        self, images: list[ImageFile], check: str, is_of: Callable[[ImageFile], bool], what: str
    ) -> list[ImageFile]:
        """The images that are not of a kind that holds no slices, or all where all are."""
        odd = [image for image in images if is_of(image)]
        if not odd:
            return images
        all_of_them = len(odd) == len(images)
        self.report(
            check,
            f"{_share(odd, images)} {what} ({_files(odd)}); "
            "leave them out, or choose the series with the axial slices",
            "read as they are" if all_of_them else "left out",
        )
        return images if all_of_them else [image for image in images if image not in odd]

    def _without_rescale(self, images: list[ImageFile]) -> dict[ImageFile, str]:
        """Images without slope or intercept: wrong where the others have them, else noted."""
        bare = [
            image
            for image in images
            if any(frame.slope is None or frame.intercept is None for frame in image.frames)
        ]
        zero = {
            image: "RescaleSlope is 0"
            for image in images
            if any(frame.slope == 0 for frame in image.frames)
        }
        if bare and len(bare) == len(images):
            self.notes.append(
                "no RescaleSlope or RescaleIntercept: taken as 1 and 0, so check that air is -1000"
            )
            return zero
        reason = "no RescaleSlope or RescaleIntercept, which the other slices have"
        return dict.fromkeys(bare, reason) | zero

    def _check_geometry(self, frames: list[Frame]) -> list[Frame]:
        bare = [frame for frame in frames if frame.missing]
        if bare:
            self.report(
                "missing_geometry",
                f"{_share(bare, frames)} without usable geometry ({bare[0].name}: "
                f"{bare[0].missing}); export the series again with its geometry",
                "left out",
                final=len(bare) == len(frames),
            )
        return [frame for frame in frames if not frame.missing]

    def _check_patient(self, frames: list[Frame]) -> None:
        patients = Counter(frame.source.patient_id for frame in frames)
        if len(patients) > 1:
            rare = min(patients, key=lambda patient: patients[patient])
            odd = [frame.name for frame in frames if frame.source.patient_id == rare]
            self.report(
                "mixed_patient",
                f"the files carry {len(patients)} different patient IDs (see {name_some(odd)}); "
                "separate the patients",
            )

    def _keep_majority(
        self,
        frames: list[Frame],
        check: str,
        key: Callable[[Frame], Hashable],
        what: str,
        describe: Callable[[Frame], str] | None,
        leave_out: bool = True,
    ) -> list[Frame]:
        groups = Counter(key(frame) for frame in frames)
        if len(groups) == 1:
            return frames
        main = groups.most_common(1)[0][0]
        most = next(frame for frame in frames if key(frame) == main)
        odd = [frame for frame in frames if key(frame) != main]
        self.report(
            check,
            f"{len(odd)} of {len(frames)} slices {what} ({_frames(odd)}"
            f"{describe and f': {describe(odd[0])}, the others {describe(most)}'}); "
            "separate the series",
            "left out" if leave_out else "all kept",
        )
        return [frame for frame in frames if key(frame) == main] if leave_out else frames

    def _check_orientation(self, frames: list[Frame]) -> list[Frame]:
        cosines = np.array([frame.orientation for frame in frames])
        rows, counts = np.unique(np.round(cosines, 3), axis=0, return_counts=True)
        nearest = np.abs(cosines - rows[counts.argmax()]).sum(axis=1).argmin()
        odd = np.abs(cosines - cosines[nearest]).max(axis=1) > self.checks.orientation_tolerance
        if odd.any():
            names = [frame for frame, is_odd in zip(frames, odd, strict=True) if is_odd]
            self.report(
                "mixed_orientation",
                f"{len(names)} of {len(frames)} slices lie in another direction "
                f"({_frames(names)}); separate the series",
                "left out",
            )
        return [frame for frame, is_odd in zip(frames, odd, strict=True) if not is_odd]

    def _check_stack(self, frames: list[Frame]) -> Plan:
        checks = self.checks
        frames.sort(key=lambda frame: (str(frame.source.path), frame.index))
        orientation = np.median([frame.orientation for frame in frames], axis=0)
        stack = stack_of(orientation, np.array([frame.position for frame in frames]))
        unique = split_duplicates(frames, stack, checks, self.report, self.notes)
        stack = stack_of(orientation, np.array([frame.position for frame in unique]))
        oblique, tilt = obliquity_degrees(stack.normal), tilt_degrees(stack)
        tilted = tilt > checks.tilt_tolerance_degrees
        if tilted:
            self.report(
                "gantry_tilt",
                f"the slices are tilted by {tilt:.1f} degrees against the axis they are stacked "
                "along; use a series without gantry tilt",
                "the slices were shifted back onto a straight stack",
            )
        else:
            self._check_tilt_tag(frames, oblique)
        if oblique > checks.max_obliquity_degrees:
            self.report(
                "not_axial",
                f"the slices stand {oblique:.0f} degrees off the axial plane; use the axial series",
                "resorted to head, back, left",
            )
        spacing = check_spacing(unique, stack, checks, self.report, tilted)
        check_rescale(unique, self.report, self.notes)
        unique = check_padding(unique, self.report)
        return Plan(tuple(unique), stack, spacing, tilted)

    def _check_tilt_tag(self, frames: list[Frame], oblique: float) -> None:
        """A tilt in the header that the geometry does not show: one of the two is wrong."""
        tilt = max((abs(frame.source.tilt or 0.0) for frame in frames), default=0.0)
        if tilt > 0.5 and oblique < _ORIENTATION_UNTILTED:
            self.report(
                "gantry_tilt",
                f"GantryDetectorTilt says {tilt:g} degrees, but the slices' positions show none; "
                "find out which is right",
                "the positions were believed",
            )

    def _check_rest(self, n_slices: int) -> None:
        if self.series.suspects:
            listed = name_some([f"{path.name}: {why}" for path, why in self.series.suspects])
            self.report(
                "stray_file",
                f"{len(self.series.suspects)} file(s) beside it may belong to this series "
                f"({listed}); mend or remove them",
                "left out",
            )
        if n_slices < self.checks.min_slices:
            self.report(
                "too_few_slices",
                f"{n_slices} slice{'s' * (n_slices != 1)}, fewer than {self.checks.min_slices}; "
                "fetch the whole series",
            )


def is_ct(image: ImageFile) -> bool:
    """Whether the file says that it is a CT image, by modality and SOP class."""
    if image.modality:
        return image.modality == "CT" and not is_other_class(image.sop_class)
    return image.sop_class in CT_CLASSES


def _kind_of(image: ImageFile) -> str:
    if image.modality != "CT":
        return f"modality {image.modality or 'unknown'}"
    return f"SOP class {image.sop_class}"


def _size_of(frame: Frame) -> str:
    image = frame.source
    rows, columns = frame.pixel_spacing or (0.0, 0.0)
    sign = "signed" if image.signed else "unsigned"
    return f"{image.rows}x{image.columns} of {rows:.5g}x{columns:.5g} mm, {sign}"


def _share(some: Sequence[object], everything: Sequence[object]) -> str:
    if len(everything) == 1:
        return "the file is"
    count = "all" if len(some) == len(everything) else f"{len(some)} of"
    return f"{count} {len(everything)} files are"


def _files(images: Sequence[ImageFile]) -> str:
    return name_some([image.path.name for image in images])


def _frames(frames: Sequence[Frame]) -> str:
    return name_some([frame.name for frame in frames])


def _spacing_of(plan: Plan | None) -> float | None:
    """The distance between slices in mm; None where there are no two."""
    return round(plan.spacing.step, 4) if plan and len(plan.frames) > 1 else None
