"""Grades of scans: where one stands, and a grade given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, Self

from covidlit.platform.client.connection import Connection
from covidlit.platform.client.row import Row

Level = Literal["first", "second"]


@dataclass(frozen=True, kw_only=True)
class Grade(Row):
    """What a grader said of a scan.

    Args:
        number: among the scan's grades, from 1.
        level: "first" or "second".
        grader: account.
        made_at: when.
        version: of the lesions that he saw; None: there were none.
        is_excluded: whether the scan is not to be used, for the `reason`.
        quality_grade, class_name, severity: of one that is; empty: not said.
        comment: free text.
    """

    times = ("made_at",)

    number: int
    level: Level
    grader: str
    made_at: datetime
    version: int | None
    is_excluded: bool
    reason: str
    quality_grade: str
    class_name: str
    severity: str
    comment: str


@dataclass(frozen=True, kw_only=True)
class Standing(Row):
    """Where a scan stands between its graders, as it was when asked for.

    A grade is given on what was seen here: where another grade or labelling came in between, it is
    refused, and one looks again.

    Args:
        scan: number of it.
        disease: that it is graded for.
        state: `label_status` of contract 11.
        in_words: the same for people.
        number: of the last grade; 0: there is none.
        version: of the newest labelling; 0: there is none.
        hidden: one is to grade it as the second first, and blind.
        levels: on which one can grade it.
        grades: in their order; empty where they are hidden.
    """

    scan: int
    disease: str
    state: str
    in_words: str
    number: int
    version: int
    hidden: bool
    levels: list[Level]
    grades: list[Grade]

    @classmethod
    def of(cls, connection: Connection, answer: Mapping[str, Any]) -> Self:
        """The object of an answer."""
        grades = [Grade.of(connection, each) for each in answer["grades"]]
        return super().of(connection, {**answer, "grades": grades})

    def grade(
        self, level: Level, quality_grade: str, class_name: str, severity: str = "",
        comment: str = "",
    ) -> Standing:  # fmt: skip
        """Give the scan a grade, in the words of `Platform.grading_choices`.

        Args:
            level: "first"; or "second", who corrects by it what the first said.
            quality_grade, class_name, severity: see `Grade`; empty: not assessed.
            comment: free text.
        """
        return self._give(
            level, "grade", quality_grade=quality_grade, class_name=class_name, severity=severity,
            comment=comment,
        )  # fmt: skip

    def exclude(self, level: Level, reason: str, comment: str = "") -> Standing:
        """Exclude the scan; with the reason "other" the comment says why."""
        return self._give(level, "exclude", reason=reason, comment=comment)

    def confirm(self, comment: str = "") -> Standing:
        """Say as the second that the last grade holds as it is."""
        return self._give("second", "confirm", comment=comment)

    def _give(self, level: Level, decision: str, **said: str) -> Standing:
        body = {"number": self.number, "version": self.version, "decision": decision, **said}
        answer = self.connection.post(
            f"/scans/{self.scan}/grades/{level}", body, disease=self.disease
        )
        return Standing.of(self.connection, answer)


@dataclass(frozen=True, kw_only=True)
class Waiting(Row):
    """A scan that waits for one's grade.

    Args:
        scan: number of it.
        scan_id: name of it.
        disease: that it is to be graded for.
        patient: pseudonym.
        acquired_on: day; None: unknown.
        waits_since: when it came in, or got its last grade.
    """

    days = ("acquired_on",)
    times = ("waits_since",)

    scan: int
    scan_id: str
    disease: str
    patient: str
    acquired_on: date | None
    waits_since: datetime

    def grades(self) -> Standing:
        """Where it stands; through this a grade is given."""
        answer = self.connection.get(f"/scans/{self.scan}/grades", disease=self.disease)
        return Standing.of(self.connection, answer)
