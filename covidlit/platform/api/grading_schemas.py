"""What the operations of grading take and answer."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from covidlit.platform.api.schemas import Answer

LevelName = Literal["first", "second"]
_Word = Annotated[str, Field(max_length=128)]


class ChoicesAnswer(Answer):
    """The words that graders choose from; `blind`: the second does not see the first's grade."""

    quality_grades: list[str]
    classes: list[str]
    severities: list[str]
    exclusion_reasons: Annotated[list[str], Field(description='"other": the comment says it')]
    blind: bool


class GradeAnswer(Answer):
    """What a grader said of a scan; `version` of its lesions he saw, null: there were none."""

    number: int
    level: LevelName
    grader: str
    made_at: datetime
    version: int | None
    is_excluded: bool
    reason: str
    quality_grade: str
    class_name: str
    severity: str
    comment: str


class StandingAnswer(Answer):
    """The grades of a scan, and what they make of it."""

    scan: int
    disease: str
    state: Annotated[str, Field(description="`label_status` of contract 11")]
    in_words: str
    number: Annotated[int, Field(description="of the last grade; 0: there is none")]
    version: Annotated[int, Field(description="of the newest labelling; 0: there is none")]
    hidden: Annotated[bool, Field(description="the caller is to grade it first, and blind")]
    levels: Annotated[list[LevelName], Field(description="on which the caller can grade it")]
    grades: Annotated[list[GradeAnswer], Field(description="empty where they are hidden")]


class WaitingAnswer(Answer):
    """A scan that waits for a grade."""

    scan: int
    scan_id: str
    disease: str
    patient: str
    acquired_on: date | None
    waits_since: datetime


class QueueAnswer(Answer):
    """The scans that wait for the caller's grade, those that wait longest first."""

    n_waiting: int
    rows: list[WaitingAnswer]


class NewGrade(Schema):
    """A grade, with what was there to see when it was decided on: `number` and `version`."""

    model_config = ConfigDict(extra="forbid")

    number: Annotated[int, Field(ge=0, le=2**31 - 1, description="of the scan's `StandingAnswer`")]
    version: Annotated[int, Field(ge=0, le=2**31 - 1, description="of the scan's `StandingAnswer`")]
    decision: Annotated[
        Literal["grade", "exclude", "confirm"],
        Field(description='"confirm" is the second\'s, of the grade before him as it is'),
    ]
    quality_grade: _Word = ""
    class_name: _Word = ""
    severity: _Word = ""
    reason: _Word = ""
    comment: Annotated[str, Field(max_length=500)] = ""
