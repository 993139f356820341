"""What the operations of correcting take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from covidlit.lesions.contours import MOST_POINTS
from covidlit.platform.api.schemas import Answer

Kind = Literal["new", "replace", "add", "cut", "clear", "remove", "reclassify"]
Leaves = Literal["lung", "background"]


class EditAnswer(Answer):
    """An edit of a draft; `left_out` says why it is not applied, on a newer version."""

    number: int
    kind: Kind
    lesion: int
    slice_index: int | None
    class_name: str | None
    in_words: str
    left_out: str


class DraftAnswer(Answer):
    """The caller's draft of a scan: what it begins with, and its edits."""

    id: int
    scan: int
    disease: str
    corrects: Annotated[int, Field(description="number of the labelling")]
    version: int
    is_old: Annotated[bool, Field(description="the scan has a newer version than it corrects")]
    began_at: datetime
    edits: list[EditAnswer]


class NewEdit(Schema):
    """An edit of one lesion.

    `new`, `replace`, `add` and `cut` take a contour on a slice, `clear` a slice alone, `remove` and
    `reclassify` none; `new` and `reclassify` take a class, all but `new` a lesion.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    lesion: Annotated[int | None, Field(ge=1, le=10**9)] = None
    slice_index: Annotated[int | None, Field(ge=0, le=10**6, description="from 0 at the feet")] = (
        None
    )
    contour: Annotated[
        list[Annotated[list[float], Field(min_length=2, max_length=2)]],
        Field(
            max_length=MOST_POINTS,
            description="(x, y) in pixels of the slice, from the upper left corner of the first, "
            "whose centre is at (0.5, 0.5)",
        ),
    ] = []  # noqa: RUF012 (pydantic copies it)
    class_name: Annotated[str | None, Field(max_length=40)] = None
    leaves: Annotated[
        Leaves | None, Field(description="what pixels become that are the lesion's no more")
    ] = None


class CorrectionAnswer(Answer):
    """How far the measurement of a scan's saved correction is; `state` is null where none waits."""

    scan: int
    disease: str
    version: Annotated[int | None, Field(description="of the scan's newest labelling")]
    by: str | None
    state: str | None
    progress: str
    message: str


class EffectAnswer(Answer):
    """What an edit did on its slice, in pixels: of its lesion, of others', outside the lung."""

    more: int
    less: int
    taken: int
    beside: int


class EditedAnswer(Answer):
    """An edit that was added; its effect is null where it is of all slices."""

    edit: EditAnswer
    effect: EffectAnswer | None
