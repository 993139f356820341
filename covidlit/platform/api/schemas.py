"""What the API takes and answers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Generic, TypeVar

from ninja import Path, Query, Schema
from pydantic import ConfigDict, Field

LARGEST_KEY = 2**63 - 1
MOST_ROWS = 200
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

Key = Annotated[int, Path(ge=0, le=LARGEST_KEY)]
Pseudonym = Annotated[str, Path(max_length=64, pattern=_NAME)]
Plane = Annotated[int, Path(ge=0, le=10**6)]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="rows of a page")]
Before = Annotated[int | None, Query(ge=0, le=LARGEST_KEY, description="`next` of the page before")]
Name = Annotated[str | None, Query(max_length=80, pattern=_NAME)]
Beginning = Annotated[
    str | None, Query(max_length=64, pattern=_NAME, description="what the pseudonym begins with")
]
After = Annotated[
    str | None, Query(max_length=64, pattern=_NAME, description="`next` of the page before")
]
Of = Annotated[
    str | None,
    Query(max_length=80, pattern=_NAME, description="name of a disease; by default the first one"),
]
Value = float | int | str | bool | None
Row = TypeVar("Row")


class Answer(Schema):
    """Something that is answered: nothing stands in it that is not said here."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


class PageOf(Answer, Generic[Row]):
    """Some rows of a list.

    Args:
        rows: of it.
        next: what the next page is asked with; null: this is the last.
    """

    rows: list[Row]
    next: str | None


class RightAnswer(Answer):
    """Something that the caller may do, and where; null: everywhere."""

    right: str
    centre: str | None
    study_group: str | None


class TokenAnswer(Answer):
    """The token of a call."""

    name: str
    scopes: list[str]
    expires_at: datetime


class Me(Answer):
    """Who calls; `token` is null in a browser's session."""

    username: str
    rights: list[RightAnswer]
    token: TokenAnswer | None
    version: str


class PatientAnswer(Answer):
    """A patient by pseudonym, with the study groups that the caller works for.

    `diseases` are those that the caller may see labellings of, the first one first.
    """

    pseudonym: str
    centre: str
    study_groups: list[str]
    diseases: list[str]
    n_scans: int
    latest: date | None


class IdentityAnswer(Answer):
    """Who a patient is."""

    pseudonym: str
    hospital_id: str
    name: str
    birth_date: date | None


class LabellingAnswer(Answer):
    """Lungs and lesions of a scan as one model or person saw them.

    Of each disease the highest version is shown.
    """

    id: int
    scan: int
    disease: str
    version: int
    labelled_by: str
    corrected_by: str | None
    corrects: int | None
    made_at: datetime
    factors: dict[str, Value]
    changes: list[dict[str, Any]]


class LesionAnswer(Answer):
    """A lesion; `number` is its value in the planes and volumes of instances."""

    number: int
    kind: str
    slice_index: int
    factors: dict[str, Value]


class ScanAnswer(Answer):
    """A CT series, with its newest labelling of a disease; null where it is not measured yet."""

    id: int
    scan_id: str
    patient: str
    acquired_on: date | None
    modality: str
    n_slices: int
    spacing_mm: Annotated[list[float], Field(description="(z, y, x)")]
    notes: str
    added_at: datetime
    labelling: LabellingAnswer | None


class TrendAnswer(Answer):
    """A scan in the course of its patient; `volume_change` says more, less or within limits."""

    scan: int
    scan_id: str
    acquired_on: date | None
    days: int | None
    n_lesions: int | None
    total_volume_ml: float | None
    volume_change_ml: float | None
    volume_change: str | None
    note: str | None
    changes: list[dict[str, Any]]


class FactorRow(Answer):
    """The factors of a scan by its newest labelling of a disease (contract 8)."""

    patient_id: str
    scan_id: str
    disease: str
    acquisition_date: date | None
    labelling: int
    version: int
    factors: dict[str, Value]


class DiseaseAnswer(Answer):
    """What patients are followed for.

    `classes` gives the words for each class of lesions that is its own, `factors` what is shown of
    it, `followed` which of these over time.
    """

    name: str
    title: str
    about: str
    classes: dict[str, str]
    factors: list[str]
    followed: str


class DefinitionAnswer(Answer):
    """What a factor is; `lesion` is empty where it is of a scan alone."""

    column: str
    name: str
    unit: str
    scan: str
    lesion: str
    source: str
    beside: str


class JobAnswer(Answer):
    """Long work and how far it is."""

    id: int
    kind: str
    owner: str | None
    centre: str
    study_group: str
    state: str
    progress: str
    share_done: float
    message: str
    is_over: bool
    n_before: int | None
    made_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class RefusedAnswer(Answer):
    """A series or file of an upload that was not taken, and why."""

    place: str
    reason: str


class UploadAnswer(Answer):
    """Files that come in; `job` takes them in, once all have come."""

    id: int
    owner: str
    centre: str
    study_group: str
    made_at: datetime
    finished_at: datetime | None
    n_files: int
    n_bytes: int
    n_taken: int
    n_known: int
    most_piece: Annotated[int, Field(description="bytes that a piece may have")]
    job: JobAnswer | None
    refused: list[RefusedAnswer]


class NewUpload(Schema):
    """Whom files are brought in for."""

    model_config = ConfigDict(extra="forbid")

    centre: Annotated[str, Field(max_length=80, pattern=_NAME)]
    study_group: Annotated[str, Field(max_length=80, pattern=_NAME)]


class Received(Answer):
    """Bytes of a file that have come."""

    size: int


class EntryAnswer(Answer):
    """Something that somebody did."""

    number: int
    at: datetime
    username: str
    action: str
    subject: str
    centre: str
    details: dict[str, Any]
    chain: str
