"""Rows of the database that a person may see: the way through which every page gets its objects."""

from __future__ import annotations

from typing import Any, TypeVar

from django.apps import apps
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.http import Http404

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Right, Scope

Row = TypeVar("Row", bound=models.Model)


class ScopedQuerySet(models.QuerySet[Row]):
    """Rows that lie in a centre and in study groups.

    A model says by `to_patient` how its rows lead to a patient, as "scan__patient"; of patients
    themselves it is empty. Where it is None, rows have a `centre` and a `study_group` of their own.

    A row of a disease says by `to_disease` how it leads to that, as "labelling__disease". Whoever
    has a right in a study group has it over rows of the disease that this one follows, and over
    none of another; whoever has it in all study groups has it over rows of every disease, also of
    one that is not followed any more.
    """

    def seen_by(self, user: User, right: Right, disease: str | None = None) -> ScopedQuerySet[Row]:
        """Those for which the user has the right; none without any.

        Args:
            user: who asks.
            right: that he must have.
            disease: name of one: rows of patients alone whom a study group follows for it in which
                the user has the right.
        """
        path: str | None = self.model.to_patient
        scopes = user.scopes_with(right)
        if path is None:
            return self.filter(_any_of([_own(scope) for scope in scopes]))
        own: str | None = getattr(self.model, "to_disease", None)
        return self.filter(_any_of([_of_patient(scope, path, own, disease) for scope in scopes]))


def _own(scope: Scope) -> Q:
    found = Q(pk__isnull=False)
    if scope.centre_id is not None:
        found &= Q(centre_id=scope.centre_id)
    if scope.study_group_id is not None:
        found &= Q(study_group_id=scope.study_group_id)
    return found


def _of_patient(scope: Scope, path: str, to_disease: str | None, disease: str | None) -> Q:
    """Rows of the patients of a scope, asked row by row: the others are not gone through for it."""
    found = Q(pk__isnull=False)
    if scope.centre_id is not None:
        found &= Q(**{f"{path}__centre_id" if path else "centre_id": scope.centre_id})
    if scope.study_group_id is None and disease is None:
        return found
    # No join, which would double the rows of patients in several study groups.
    members = apps.get_model("registry", "Patient").study_groups.through.objects
    own = members.filter(patient_id=OuterRef(path or "pk"))
    if scope.study_group_id is not None:
        own = own.filter(studygroup_id=scope.study_group_id)
        if to_disease is not None:
            own = own.filter(studygroup__disease=OuterRef(to_disease))
    if disease is not None:
        own = own.filter(studygroup__disease=disease)
    return found & Q(Exists(own))


def _any_of(conditions: list[Q]) -> Q:
    found = Q(pk__in=[])
    for each in conditions:
        found |= each
    return found


def one_seen_by(rows: ScopedQuerySet[Row], user: User, right: Right, **key: Any) -> Row:
    """The row of a key.

    Raises:
        Http404: there is none, or the user has not the right: nobody learns which.
    """
    found = rows.seen_by(user, right).filter(**key).first()
    if found is None:
        raise Http404
    return found
