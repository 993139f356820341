"""Where a person may do something, as pairs of a centre and a study group."""

from __future__ import annotations

from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.rights import Right


def places_with(user: User, right: Right) -> list[tuple[Centre, StudyGroup]]:
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
