"""Checks of what a series is called and whose it is, as de-identification and export leave it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from covidlit.dicom import wording
from covidlit.dicom.header import UNFIT_PATIENT_ID
from covidlit.dicom.series import Frame, Series

_LEAST_OF_EACH = 3


class Report(Protocol):
    """How a failed check is noted; see `assess._Case.report`."""

    def __call__(
        self, check: str, message: str, consequence: str = "", final: bool = False
    ) -> None: ...


def check_identity(
    series: Series, frames: Sequence[Frame], report: Report, notes: list[str]
) -> None:
    """Refuse what may be of two patients or two places; note what only lost its name.

    Args:
        series: of the frames.
        frames: those with a usable geometry, in one direction.
        report: notes a failed check.
        notes: what does not refuse the series is added here.
    """
    if series.uid_problem:
        report("damaged_series_uid", series.uid_problem, "joined by study, number and geometry")
    patients = Counter(frame.source.patient_id for frame in frames)
    if len(patients) > 1:
        rare = min(patients, key=lambda patient: patients[patient])
        odd = [frame.name for frame in frames if frame.source.patient_id == rare]
        report(
            "mixed_patient",
            f"the files carry {len(patients)} different patient IDs (see "
            f"{wording.name_some(odd)}); separate the patients",
        )
    if any(UNFIT_PATIENT_ID in frame.source.facts for frame in frames):
        notes.append(
            "PatientID does not fit SpecificCharacterSet: read as UTF-8 or else Latin-1, so that "
            "no two patients become one"
        )
    _note_instance_uids(frames, notes)


def _note_instance_uids(frames: Sequence[Frame], notes: list[str]) -> None:
    files = {frame.source: frame for frame in frames}
    uids = Counter(image.sop_uid for image in files if image.sop_uid)
    places = {(image.sop_uid, frame.position) for image, frame in files.items() if image.sop_uid}
    if len(places) > len(uids):
        alike = sum(n for n in uids.values() if n > 1)
        notes.append(
            f"{alike} of {len(files)} files share a SOPInstanceUID with another slice: taken as "
            "slices of their own, by their positions"
        )


def check_frame_of_reference(frames: Sequence[Frame], report: Report, notes: list[str]) -> None:
    """Refuse slices of several frames of reference, unless UIDs were replaced file by file."""
    uids = Counter(frame.source.frame_of_reference for frame in frames)
    if len(uids) == 1:
        return
    single = sum(n < _LEAST_OF_EACH for n in uids.values())
    if len(uids) >= _LEAST_OF_EACH and single == len(uids) and len(uids) > len(frames) / 3:
        notes.append(
            f"{len(uids)} FrameOfReferenceUIDs in {len(frames)} slices: replaced file by file, so "
            "the positions alone were believed"
        )
        return
    main = uids.most_common(1)[0][0]
    odd = [frame for frame in frames if frame.source.frame_of_reference != main]
    report(
        "mixed_frame_of_reference",  # its UIDs would identify the scan
        f"{len(odd)} of {len(frames)} slices belong to another frame of reference "
        f"({wording.slices(odd)}); use the series of one frame of reference",
        "all kept",
    )
