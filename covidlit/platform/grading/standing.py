"""Where a scan stands between its graders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from django.db.models import QuerySet

from covidlit.platform.grading.models import Grade, Level
from covidlit.platform.registry.models import Labelling, Scan


class State(Enum):
    """The `label_status` of contract 11."""

    UNGRADED = "ungraded"
    GRADED = "graded"
    APPROVED = "approved"
    EXCLUDED = "excluded"
    OUTDATED = "outdated"


_WORDS = {
    State.UNGRADED: "waits for the first grade",
    State.GRADED: "waits for the second grade",
    State.APPROVED: "approved",
    State.EXCLUDED: "excluded",
}


@dataclass(frozen=True)
class Standing:
    """The grades of a scan for a disease, and what they make of it.

    Args:
        scan: that is graded.
        disease: name of it.
        grades: in their order.
        newest: labelling of the scan for the disease; None where it is not measured yet.
    """

    scan: Scan
    disease: str
    grades: tuple[Grade, ...]
    newest: Labelling | None

    @property
    def last(self) -> Grade | None:
        """The newest grade of either level."""
        return self.grades[-1] if self.grades else None

    @property
    def first(self) -> Grade | None:
        """The newest first grade."""
        return self._newest(Level.FIRST)

    @property
    def second(self) -> Grade | None:
        """The newest second grade, of whichever first one."""
        return self._newest(Level.SECOND)

    @property
    def current(self) -> Grade | None:
        """The grade that holds: the second's where there is one."""
        return self.second or self.first

    @property
    def measured_anew(self) -> bool:
        """Whether the newest lesions are others than those that were graded last."""
        if self.last is None or self.newest is None:
            return False
        return self.last.labelling_id != self.newest.pk

    @property
    def state(self) -> State:
        """Where it stands."""
        last = self.last
        if last is None:
            return State.UNGRADED
        if self.second is None:
            return State.GRADED
        if last.level == Level.FIRST or self.measured_anew:
            return State.OUTDATED
        return State.EXCLUDED if last.is_excluded else State.APPROVED

    @property
    def in_words(self) -> str:
        """The state in words."""
        if self.state is not State.OUTDATED:
            return _WORDS[self.state]
        why = "the first grade was changed"
        if self.measured_anew and self.newest is not None:
            why = f"its lesions were measured anew (version {self.newest.version})"
        return f"waits for the second grade again: {why} since it was verified"

    @property
    def compared(self) -> tuple[Grade, Grade] | None:
        """See `compared`."""
        return compared(self.grades)

    def _newest(self, level: Level) -> Grade | None:
        return next((grade for grade in reversed(self.grades) if grade.level == level), None)


def compared(grades: Sequence[Grade]) -> tuple[Grade, Grade] | None:
    """The first grade that a second answered, and that answer: before minds were changed.

    Args:
        grades: of a scan, in their order.
    """
    for before, after in pairwise(grades):
        if (before.level, after.level) == (Level.FIRST, Level.SECOND):
            return before, after
    return None


def standings(scans: QuerySet[Scan] | Sequence[Scan], disease: str) -> list[Standing]:
    """Where scans stand for a disease, in their order; any number of them by two questions."""
    grades: dict[int, list[Grade]] = {}
    for grade in (
        Grade.objects.filter(scan__in=scans, disease=disease)
        .select_related("grader", "labelling")
        .defer("labelling__factors", "labelling__changes")
        .order_by("scan_id", "number")
    ):
        grades.setdefault(grade.scan_id, []).append(grade)
    newest: dict[int, Labelling] = {}
    for labelling in (
        Labelling.objects.filter(scan__in=scans, disease=disease)
        .only("scan_id", "version", "labelled_by")
        .order_by("version")
    ):
        newest[labelling.scan_id] = labelling
    return [
        Standing(scan, disease, tuple(grades.get(scan.pk, ())), newest.get(scan.pk))
        for scan in scans
    ]


def standing_of(scan: Scan, disease: str) -> Standing:
    """Where a scan stands for a disease."""
    return standings([scan], disease)[0]
