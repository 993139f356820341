"""What the operations of sendings and training sets take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from ninja import Schema
from pydantic import ConfigDict, Field

from covidlit.platform.api.schemas import _NAME, LARGEST_KEY, Answer, JobAnswer

_Uid = Annotated[str, Field(max_length=64, pattern=r"^[0-9.]+$")]
_Sum = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ArchiveAnswer(Answer):
    """An archive that results of a scan may be sent to."""

    name: str
    address: str


class ObjectAnswer(Answer):
    """A DICOM object that can be sent."""

    name: str
    kind: str
    sop_instance_uid: str
    sha256: Annotated[str, Field(description="of the file")]
    n_bytes: int


class SendableAnswer(Answer):
    """What of a scan can be sent, and where to; `labelling` is null where it is not measured."""

    scan: int
    patient: str
    labelling: int | None
    version: int | None
    objects: list[ObjectAnswer]
    archives: list[ArchiveAnswer]


class ChosenObject(Schema):
    """An object as it was seen: another file of this UID is not sent."""

    model_config = ConfigDict(extra="forbid")

    sop_instance_uid: _Uid
    sha256: _Sum


class NewSending(Schema):
    """What a person confirms to be sent, as `SendableAnswer` showed it to him."""

    model_config = ConfigDict(extra="forbid")

    labelling: Annotated[int, Field(ge=0, le=LARGEST_KEY)]
    archive: Annotated[str, Field(min_length=1, max_length=80)]
    objects: Annotated[list[ChosenObject], Field(min_length=1, max_length=100)]


class SentObjectAnswer(Answer):
    """An object of a sending; `state` is waiting, sent (the archive keeps it) or failed."""

    name: str
    kind: str
    sop_instance_uid: str
    sha256: Annotated[str, Field(description="of the file when it was confirmed")]
    n_bytes: int
    state: str
    said: str
    tried_at: datetime | None


class SendingAnswer(Answer):
    """Objects of a labelling that a person has confirmed for an archive."""

    id: int
    scan: int
    patient: str
    labelling: int
    version: int
    archive: str
    address: str
    confirmed_by: str
    confirmed_at: datetime
    objects: list[SentObjectAnswer]
    job: JobAnswer | None


class NewExport(Schema):
    """Whose corrected scans make a training set."""

    model_config = ConfigDict(extra="forbid")

    centre: Annotated[str, Field(max_length=80, pattern=_NAME)]
    study_group: Annotated[str, Field(max_length=80, pattern=_NAME)]


class ExportAnswer(Answer):
    """A training set that the caller has asked for."""

    id: int
    centre: str
    study_group: str
    made_at: datetime
    finished_at: datetime | None
    until: Annotated[datetime | None, Field(description="when its file is removed")]
    n_scans: int
    n_bytes: int
    is_ready: Annotated[bool, Field(description="its file can be downloaded")]
    job: JobAnswer | None
