"""Hold a series against the checks, and plan how to read what passes or is overridden."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from covidlit.counted import counted
from covidlit.dicom import wording
from covidlit.dicom.acquisitions import choose_acquisition
from covidlit.dicom.body_part import part_without_lungs
from covidlit.dicom.checks import CHECKS, Checks
from covidlit.dicom.damage import how_to_mend
from covidlit.dicom.facts import metadata_and_doubts
from covidlit.dicom.geometry import Stack, obliquity_degrees, stack_of, tilt_degrees
from covidlit.dicom.header import CT_CLASSES, is_other_class
from covidlit.dicom.identity import check_frame_of_reference, check_identity
from covidlit.dicom.image_type import is_localizer, is_projection, is_secondary
from covidlit.dicom.other_objects import kind_of_image
from covidlit.dicom.series import Frame, ImageFile, Series
from covidlit.dicom.spacing import Spacing, check_spacing, split_duplicates
from covidlit.dicom.transfer_syntax import how_to_decode, no_decoder
from covidlit.dicom.values import check_files, check_padding, check_rescale, check_units
from covidlit.dicom.verdict import Finding, Verdict
from covidlit.files import printable

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
        printable(series.folder),
        facts | {"slice_spacing_mm": _spacing_of(plan)},
    )
    return verdict, plan if not findings else None


class _Case:
    """One series under the checks: collects findings and notes, step by step."""

    def __init__(self, series: Series, checks: Checks) -> None:
        self.series = series
        self.checks = checks
        self.findings: list[Finding] = []
        self.notes: list[str] = []

    def report(self, check: str, message: str, consequence: str = "", final: bool = False) -> None:
        """Note a failed check: a finding, or where overridden a note with its consequence."""
        if self.checks.overrides(check) and not final:
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
        check_identity(self.series, frames, self.report, self.notes)
        frames = self._keep_majority(
            frames,
            "mixed_size",
            _size_of,
            "differ in size, pixel spacing or sign",
            _size_of,
        )
        frames = self._check_orientation(frames)
        if self._are_at_one_place(frames):
            return None
        frames = choose_acquisition(frames, self.checks, self.report, self.notes)
        check_frame_of_reference(frames, self.report, self.notes)
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

    def _are_at_one_place(self, frames: list[Frame]) -> bool:
        """Report slices that all carry one position, and so cannot be put in order."""
        positions = np.array([frame.position for frame in frames])
        if len(frames) < 3 or np.ptp(positions, axis=0).max() > self.checks.spacing_tolerance_mm:
            return False
        x, y, z = positions[0]
        self.report(
            "duplicate_position",
            f"all {len(frames)} slices carry one ImagePositionPatient, ({x:g}, {y:g}, {z:g}) mm "
            f"({wording.slices(frames)}): it was overwritten on export or the table stood still "
            "(bolus tracking); export the series again with its positions",
            final=True,
        )
        return True

    def _check_files(self, unreadable: dict[ImageFile, str]) -> list[ImageFile]:
        images = self._without_captures(list(self.series.images))
        others = [image for image in images if not is_ct(image)]
        if others:
            kinds = ", ".join(sorted({wording.kind_of(image) for image in others}))
            self.report(
                "not_ct",
                f"{wording.share(others, images)} not CT but {kinds} ({wording.files(others)}); "
                f"{'leave this series out' if len(others) == len(images) else 'remove them'}",
                "its values are not Hounsfield units",
            )
            if not self.checks.overrides("not_ct") and all(map(kind_of_image, images)):
                return []  # nothing else can be mended in what is no scan
        images = self._check_kind(images, "localizer", is_localizer, "localizer")
        images = self._check_kind(
            images, "projection", is_projection, "no slice but a projection or a screen copy"
        )
        self._check_body_part(images)
        reasons = {image: image.damage for image in images if image.damage} | unreadable
        reasons |= self._without_rescale([image for image in images if image not in reasons])
        damaged = [image for image in images if image in reasons]
        if damaged:
            alike: dict[str, list[str]] = {}
            for image in damaged:
                alike.setdefault(reasons[image], []).append(image.path.name)
            reasons_of = [f"{wording.name_some(names)}: {why}" for why, names in alike.items()]
            listed = wording.name_some(reasons_of)
            fix = how_to_mend(reasons[image] for image in damaged)
            if all(reasons[image] == no_decoder(image.transfer_syntax) for image in damaged):
                fix = how_to_decode(image.transfer_syntax for image in damaged)
            self.report(
                "unreadable_file",
                f"{wording.share(damaged, images)} unreadable ({listed}); {fix}",
                "left out",
                final=len(damaged) == len(images),
            )
        return [image for image in images if image not in reasons]

    def _without_captures(self, images: list[ImageFile]) -> list[ImageFile]:
        """The images without the few among them that are saved screens, which have no place."""
        captures = [image for image in images if is_capture(image)]
        if not captures or 2 * len(captures) >= len(images):
            return images
        self.notes.append(
            f"{wording.share(captures, images)} no slice but a saved screen or the like, without a "
            f"place in the patient ({wording.files(captures)}): left out"
        )
        return [image for image in images if image not in captures]

    def _check_body_part(self, images: list[ImageFile]) -> None:
        """Headers alone can tell a head from a chest where no pixel is read."""
        part = part_without_lungs(image.facts.get("body_part", "") for image in images)
        if part:
            self.report(
                "not_chest",
                f"BodyPartExamined says {part}; choose the series of the chest",
                "the lungs in its pixels were believed",
            )

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
            f"{wording.share(odd, images)} {what} ({wording.files(odd)}); "
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
                f"{wording.share(bare, frames)} without usable geometry ({bare[0].name}: "
                f"{bare[0].missing}); export the series again with its geometry",
                "left out",
                final=len(bare) == len(frames),
            )
        return [frame for frame in frames if not frame.missing]

    def _keep_majority(
        self,
        frames: list[Frame],
        check: str,
        key: Callable[[Frame], Hashable],
        what: str,
        describe: Callable[[Frame], str],
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
            f"{len(odd)} of {len(frames)} slices {what} ({wording.slices(odd)}"
            f": {describe(odd[0])}, the others {describe(most)}); separate the series",
            "left out" if leave_out else "all kept",
        )
        return [frame for frame in frames if key(frame) == main] if leave_out else frames

    def _check_orientation(self, frames: list[Frame]) -> list[Frame]:
        cosines = np.array([frame.orientation for frame in frames])
        rows, counts = np.unique(np.round(cosines, 3), axis=0, return_counts=True)
        nearest = np.abs(cosines - rows[counts.argmax()]).sum(axis=1).argmin()
        odd = np.abs(cosines - cosines[nearest]).max(axis=1) > self.checks.orientation_tolerance
        strange = [frame for frame, is_odd in zip(frames, odd, strict=True) if is_odd]
        kept = [frame for frame, is_odd in zip(frames, odd, strict=True) if not is_odd]
        # A reformatted image or a saved screen that lies among the slices it was made of.
        made = [frame for frame in strange if is_secondary(frame.source)]
        if made and not any(is_secondary(frame.source) for frame in kept):
            self.notes.append(
                f"{len(made)} of {len(frames)} images lie in another direction and were made from "
                f"others, as their ImageType says ({wording.slices(made)}): left out"
            )
            strange = [frame for frame in strange if frame not in made]
        if strange:
            self.report(
                "mixed_orientation",
                f"{len(strange)} of {len(frames)} slices lie in another direction "
                f"({wording.slices(strange)}); remove them, or choose the series with the axial "
                "slices",
                "left out",
            )
        return kept

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
        spacing = check_spacing(unique, stack, checks, self.report, tilted, self.notes)
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
            listed = wording.name_some(
                [f"{path.name}: {why}" for path, why in self.series.suspects]
            )
            self.report(
                "stray_file",
                f"{counted(len(self.series.suspects), 'file')} that may belong to this series left "
                f"out ({listed}); mend, fetch or remove them",
                "left out",
            )
        if n_slices < self.checks.min_slices:
            self.report(
                "too_few_slices",
                f"{counted(n_slices, 'slice')}, fewer than {self.checks.min_slices}; "
                "fetch the whole series",
            )


def is_ct(image: ImageFile) -> bool:
    """Whether the file says that it is a CT image, by modality and SOP class."""
    if image.modality:
        return image.modality == "CT" and not is_other_class(image.sop_class)
    return image.sop_class in CT_CLASSES


def is_capture(image: ImageFile) -> bool:
    """Whether an image is no CT slice and has no place: a saved screen, a key image, a drawing."""
    if not all(frame.missing for frame in image.frames):
        return False
    colour = image.samples != 1 or image.photometric not in ("MONOCHROME1", "MONOCHROME2", "")
    return not is_ct(image) or is_secondary(image) or colour


def _size_of(frame: Frame) -> str:
    image = frame.source
    rows, columns = frame.pixel_spacing or (0.0, 0.0)
    sign = "signed" if image.signed else "unsigned"
    return f"{image.rows}x{image.columns} of {rows:.5g}x{columns:.5g} mm, {sign}"


def _spacing_of(plan: Plan | None) -> float | None:
    """The distance between slices in mm; None where there are no two."""
    return round(plan.spacing.step, 4) if plan and len(plan.frames) > 1 else None
