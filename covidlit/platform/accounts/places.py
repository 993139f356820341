"""Where a person may do something, as pairs of a centre and a study group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from django.core.exceptions import PermissionDenied

from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.rights import Right

Place = tuple[Centre, StudyGroup]


class Choices(TypedDict):
    """What a form offers to choose a place from."""

    centres: list[Centre]
    study_groups: list[StudyGroup]


def places_with(user: User, right: Right) -> list[Place]:
    """Centres and study groups in which a person has a right."""
    scopes = user.scopes_with(right)
    return [
        (centre, group)
        for centre in Centre.objects.all()
        for group in StudyGroup.objects.all()
        if any(
            scope.centre_id in (None, centre.pk) and scope.study_group_id in (None, group.pk)
            for scope in scopes
        )
    ]


def choices_of(places: Iterable[Place]) -> Choices:
    """The centres and study groups among places, for a form."""
    known = list(places)
    return {
        "centres": list(dict.fromkeys(centre for centre, _ in known)),
        "study_groups": list(dict.fromkeys(group for _, group in known)),
    }


def place_named(user: User, right: Right, centre: str, study_group: str) -> Place:
    """A place by its names.

    Raises:
        PermissionDenied: the person has not the right there, or there is no such place.
    """
    for place in places_with(user, right):
        if (place[0].name, place[1].name) == (centre, study_group):
            return place
    raise PermissionDenied
