"""Rows of the database that a person may see: the way through which every page gets its objects."""

from __future__ import annotations

from typing import Any, TypeVar

from django.apps import apps
from django.db import models
from django.db.models import Q
from django.http import Http404

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Right

Row = TypeVar("Row", bound=models.Model)


class ScopedQuerySet(models.QuerySet[Row]):
    """Rows that lie in a centre and in study groups.

    A model says by `to_patient` how its rows lead to a patient, as "scan__patient"; of patients
    themselves it is empty.
    """

    def seen_by(self, user: User, right: Right) -> ScopedQuerySet[Row]:
        """Those for which the user has the right; none without any."""
        patients = apps.get_model("registry", "Patient").objects.all()
        wanted = Q(pk__in=[])
        for scope in user.scopes_with(right):
            own = Q(pk__isnull=False)
            if scope.centre_id is not None:
                own &= Q(centre_id=scope.centre_id)
            if scope.study_group_id is not None:
                own &= Q(study_groups=scope.study_group_id)
            # A subquery for each scope: joins to several study groups would double the rows.
            wanted |= Q(pk__in=patients.filter(own).values("pk"))
        path: str = self.model.to_patient  # type: ignore[attr-defined]
        if not path:
            return self.filter(wanted)
        return self.filter(**{f"{path}__in": patients.filter(wanted).values("pk")})


def one_seen_by(rows: ScopedQuerySet[Row], user: User, right: Right, **key: Any) -> Row:
    """The row of a key.

    Raises:
        Http404: there is none, or the user has not the right: nobody learns which.
    """
    found = rows.seen_by(user, right).filter(**key).first()
    if found is None:
        raise Http404
    return found
