"""What the operations of clinical tables and of severity take and answer."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from ninja import Schema
from pydantic import ConfigDict, Field

from covidlit.platform.api.schemas import _NAME, Answer, JobAnswer


class ClinicalTableAnswer(Answer):
    """A hospital's table that was brought in; `said` of its reader is for its owner alone."""

    id: int
    owner: str
    centre: str
    study_group: str
    mapping: Annotated[str, Field(description="empty: contract 9")]
    made_at: datetime
    read_at: datetime | None
    withdrawn_at: datetime | None
    n_rows: int
    n_patients: int
    n_unknown: Annotated[int, Field(description="patients of it who have no scan here")]
    said: str | None
    job: JobAnswer | None


class NewClinicalTable(Schema):
    """Whose patients a table tells of; `mapping` is empty for one of `covidlit clinical`."""

    model_config = ConfigDict(extra="forbid")

    centre: Annotated[str, Field(max_length=80, pattern=_NAME)]
    study_group: Annotated[str, Field(max_length=80, pattern=_NAME)]
    mapping: Annotated[str, Field(max_length=120)] = ""


class DayValue(Answer):
    """A value of a day."""

    day: date
    value: float


class CourseAnswer(Answer):
    """A laboratory value over time."""

    feature: str
    name: str
    unit: str
    values: list[DayValue]


class ClinicalEvent(Answer):
    """Something that happened on a day."""

    day: date
    what: str


class ClinicalAnswer(Answer):
    """What all tables that count say of a patient; empty where they say nothing."""

    about: Annotated[list[str], Field(description="age, sex and the like")]
    courses: list[CourseAnswer]
    events: list[ClinicalEvent]


class ScoredValueAnswer(Answer):
    """A value that a score was made from."""

    feature: str
    label: str
    unit: str
    value: float | None
    place: Annotated[
        float | None, Field(description="share of the training part with a smaller value")
    ]
    outside: Annotated[str, Field(description="said where it lies outside the training part")]
    contribution: Annotated[float, Field(description="to the log odds of the score")]
    attention: float | None


class SeverityAnswer(Answer):
    """How ill the model of the platform says the patient was at a scan, and what made the score."""

    scan: int
    labelling: int
    version: int
    made_at: datetime
    score: float | None
    low: Annotated[float | None, Field(description="lowest score of the model's members")]
    high: Annotated[float | None, Field(description="highest of them")]
    operating_point: float | None
    called: Annotated[str, Field(description="by the operating point, or why there is no call")]
    positive: Annotated[str, Field(description="what the score is the probability of")]
    model: str
    reference_score: Annotated[
        float | None, Field(description="of a patient with the training part's medians")
    ]
    row: Annotated[dict[str, Any], Field(description="as `covidlit predict` writes it")]
    values: list[ScoredValueAnswer]
    missing: list[str]
    notes: list[str]
