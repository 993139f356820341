"""What a role may do; the one table that every page, download and job asks."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Right(Enum):
    """Something that a person may do with what lies in a scope."""

    VIEW = "see scans, lesions, factors and trends"
    UPLOAD = "bring scans in"
    GRADE_FIRST = "grade quality and labels as the first"
    GRADE_SECOND = "verify or correct grades as the second"
    CORRECT = "correct lesions"
    IDENTIFY = "see who a patient is"
    SEND = "confirm that results are sent out"
    EXPORT = "export tables and training sets"
    MANAGE = "give people roles"
    AUDIT = "see who did what"


class Role(Enum):
    """What a person is, in a scope."""

    READER = "reader"
    ANNOTATOR = "annotator"
    GRADER_FIRST = "grader of first level"
    GRADER_SECOND = "grader of second level"
    PHYSICIAN = "physician"
    ADMINISTRATOR = "administrator"
    DEVICE = "device that sends scans"


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.READER: frozenset({Right.VIEW}),
    Role.ANNOTATOR: frozenset({Right.VIEW, Right.CORRECT}),
    Role.GRADER_FIRST: frozenset({Right.VIEW, Right.GRADE_FIRST}),
    Role.GRADER_SECOND: frozenset({Right.VIEW, Right.GRADE_SECOND, Right.CORRECT}),
    Role.PHYSICIAN: frozenset({Right.VIEW, Right.UPLOAD, Right.IDENTIFY, Right.SEND, Right.EXPORT}),
    Role.ADMINISTRATOR: frozenset(
        {Right.VIEW, Right.UPLOAD, Right.EXPORT, Right.MANAGE, Right.AUDIT}
    ),
    Role.DEVICE: frozenset({Right.UPLOAD}),
}
"""An administrator gives roles, and cannot see who a patient is without one that lets him."""


class Scope(NamedTuple):
    """Where a right holds: a centre and a study group; None: all of them."""

    centre_id: int | None
    study_group_id: int | None


def roles_with(right: Right) -> list[Role]:
    """The roles that have a right."""
    return [role for role, rights in RIGHTS.items() if right in rights]
