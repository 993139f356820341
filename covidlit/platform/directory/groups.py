"""Roles that follow from the groups of the hospital's directory."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction

from covidlit.platform.accounts.models import Centre, Membership, StudyGroup, User
from covidlit.platform.audit.trail import record


class Place(NamedTuple):
    """A role where it holds; an empty name stands for all."""

    role: str
    centre: str
    study_group: str


def places_of(groups: Iterable[str]) -> set[Place]:
    """What `[[group_roles]]` of `platform.toml` gives to people of these groups."""
    own = {each.casefold() for each in groups}
    return {
        Place(each.role.name, each.centre, each.study_group)
        for each in settings.FOLDER.settings.group_roles
        if each.group.casefold() in own
    }


def apply_groups(user: User, groups: Collection[str]) -> bool:
    """Give and take the roles that follow from groups; whether any is left.

    Roles that an administrator of the platform gave stay as they are.
    """
    wanted = places_of(groups)
    with transaction.atomic():
        # One after the other: two requests of a person may come at once.
        User.objects.select_for_update().get(pk=user.pk)
        for each in user.memberships.filter(of_directory=True):
            if (place := _place_of(each)) in wanted:
                wanted.remove(place)
                continue
            each.delete()
            record(None, "took the role", user.username, place.centre, _told(place))
        for place in sorted(wanted):
            _, new = Membership.objects.get_or_create(
                user=user, role=place.role, centre=_named(Centre, place.centre),
                study_group=_named(StudyGroup, place.study_group),
                defaults={"of_directory": True},
            )  # fmt: skip
            if new:
                record(None, "gave the role", user.username, place.centre, _told(place))
    user.forget_memberships()
    return user.memberships.exists()


def _place_of(membership: Membership) -> Place:
    return Place(membership.role, str(membership.centre or ""), str(membership.study_group or ""))


def _named(model: Any, name: str) -> Any:
    """The centre or study group that the settings name; whoever wrote it there wants it to be."""
    return model.objects.get_or_create(name=name)[0] if name else None


def _told(place: Place) -> dict[str, str]:
    return {
        "role": place.role, "centre": place.centre or "all",
        "study_group": place.study_group or "all", "by": "the directory's groups",
    }  # fmt: skip
