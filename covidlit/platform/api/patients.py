"""Patients by pseudonym, who they are, and their course."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from ninja import Router

from covidlit.platform.accounts.models import StudyGroup, User
from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import ScopedQuerySet, one_seen_by
from covidlit.platform.api.operations import operation, raw
from covidlit.platform.api.scans import disease_asked, scan_answers
from covidlit.platform.api.schemas import (
    After,
    Beginning,
    IdentityAnswer,
    Limit,
    Name,
    Of,
    PageOf,
    PatientAnswer,
    Pseudonym,
    ScanAnswer,
    TrendAnswer,
)
from covidlit.platform.patients.report import report_shown
from covidlit.platform.registry.followed import diseases_seen_of, newest_labellings
from covidlit.platform.registry.models import Identity, Patient
from covidlit.platform.registry.searched import beginning_with
from covidlit.platform.viewing.seen import looked_at
from covidlit.platform.viewing.trend import trend_rows

router = Router(tags=["patients"])


@operation(router, "GET", "/patients", Right.VIEW, PageOf[PatientAnswer])
def patients(
    request: HttpRequest,
    search: Beginning = None,
    centre: Name = None,
    study_group: Name = None,
    after: After = None,
    limit: Limit = 50,
) -> PageOf[PatientAnswer]:
    """Patients by pseudonym, a page at a time.

    A page begins behind the pseudonym `after`, so that patients who come in meanwhile neither
    double nor hide others, and the last page takes no longer than the first.
    """
    user = person(request)
    rows = Patient.objects.seen_by(user, Right.VIEW)
    if centre is not None:
        rows = rows.filter(centre__name=centre)
    if study_group is not None:
        rows = _of_group(rows, user, study_group)
    if search is not None:
        rows = beginning_with(rows, "pseudonym", search)
    if after is not None:
        rows = rows.filter(pseudonym__gt=after)
    found = list(rows.select_related("centre").order_by("pseudonym")[: limit + 1])
    return PageOf[PatientAnswer](
        rows=_answers(found[:limit], user),
        next=found[limit - 1].pseudonym if len(found) > limit else None,
    )


@operation(router, "GET", "/patients/{pseudonym}", Right.VIEW, PatientAnswer)
def patient(request: HttpRequest, pseudonym: Pseudonym) -> PatientAnswer:
    """A patient."""
    return _answers([_seen(request, pseudonym)], person(request))[0]


@operation(router, "GET", "/patients/{pseudonym}/identity", Right.IDENTIFY, IdentityAnswer)
def identity(request: HttpRequest, pseudonym: Pseudonym) -> IdentityAnswer:
    """Who a patient is; each look is in the audit trail."""
    found = one_seen_by(
        Identity.objects.select_related("patient__centre"), person(request), Right.IDENTIFY,
        patient__pseudonym=pseudonym,
    )  # fmt: skip
    looked_at(request, f"identity of {pseudonym}", found.patient)
    return IdentityAnswer(
        pseudonym=pseudonym, hospital_id=found.hospital_id, name=found.name,
        birth_date=found.birth_date,
    )  # fmt: skip


@operation(router, "GET", "/patients/{pseudonym}/scans", Right.VIEW, list[ScanAnswer])
def scans_of_patient(
    request: HttpRequest, pseudonym: Pseudonym, disease: Of = None
) -> list[ScanAnswer]:
    """The scans of a patient by day, each with its newest labelling of a disease."""
    scans = _seen(request, pseudonym).scans.select_related("patient")
    return scan_answers(request, list(scans), disease)


@operation(router, "GET", "/patients/{pseudonym}/trend", Right.VIEW, list[TrendAnswer])
def trend(request: HttpRequest, pseudonym: Pseudonym, disease: Of = None) -> list[TrendAnswer]:
    """What changed from scan to scan, as `covidlit trend` says it; measured scans alone."""
    found = _seen(request, pseudonym)
    scans = list(found.scans.all())
    newest = newest_labellings(scans, disease_asked(request, found, disease).name)
    by_id = {each.scan_id: each for each in scans}
    return [
        TrendAnswer(
            scan=by_id[row["scan_id"]].pk,
            scan_id=row["scan_id"],
            acquired_on=by_id[row["scan_id"]].acquired_on,
            changes=newest[by_id[row["scan_id"]].pk].changes,
            **{name: _defined(row[name]) for name in _TREND},
        )
        for row in trend_rows([(each, newest.get(each.pk)) for each in scans])
    ]


@operation(router, "GET", "/patients/{pseudonym}/report.html", Right.VIEW, extra=raw("text/html"))
def report_of_patient(
    request: HttpRequest, pseudonym: Pseudonym, disease: Of = None
) -> HttpResponse:
    """The patient's page of a disease as `covidlit quantify` writes it, which works offline."""
    rows = Patient.objects.select_related("centre")
    found = one_seen_by(rows, person(request), Right.VIEW, pseudonym=pseudonym)
    own = disease_asked(request, found, disease)
    response = report_shown(request, found, own)
    response["Content-Disposition"] = f'attachment; filename="{pseudonym}.{own.name}.html"'
    return response


_TREND = (
    "days", "n_lesions", "total_volume_ml", "volume_change_ml", "volume_change", "note",
)  # fmt: skip


def _seen(request: HttpRequest, pseudonym: str) -> Patient:
    """A patient whom the caller may see, and now has looked at."""
    found = one_seen_by(
        Patient.objects.select_related("centre"), person(request), Right.VIEW, pseudonym=pseudonym
    )
    looked_at(request, f"patient {pseudonym}", found)
    return found


def _of_group(rows: ScopedQuerySet[Patient], user: User, name: str) -> ScopedQuerySet[Patient]:
    """Patients of a study group, where the user works for it: else nobody learns who is in it."""
    group = StudyGroup.objects.filter(name=name).first()
    scopes = [
        scope
        for scope in user.scopes_with(Right.VIEW)
        if group is not None and scope.study_group_id in (None, group.pk)
    ]
    if not scopes:
        return rows.none()
    if not any(scope.centre_id is None for scope in scopes):
        rows = rows.filter(centre__in={scope.centre_id for scope in scopes})
    return rows.filter(study_groups=group)


def _answers(found: Sequence[Patient], user: User) -> list[PatientAnswer]:
    """Counted and joined for these rows alone."""
    keys = [each.pk for each in found]
    counted = Patient.objects.filter(pk__in=keys).order_by()
    facts = {
        each.pk: each
        for each in counted.annotate(n_scans=Count("scans"), latest=Max("scans__acquired_on"))
    }
    groups: dict[int, list[str]] = {key: [] for key in keys}
    centres = {each.pk: each.centre_id for each in found}
    scopes = user.scopes_with(Right.VIEW)
    joined = counted.order_by("study_groups__name").values_list(
        "pk", "study_groups__pk", "study_groups__name"
    )
    for key, group, name in joined:
        if any(
            scope.centre_id in (None, centres[key]) and scope.study_group_id in (None, group)
            for scope in scopes
        ) and name is not None:  # fmt: skip
            groups[key].append(name)
    diseases = diseases_seen_of(user, Right.VIEW, found)
    return [
        PatientAnswer(
            pseudonym=each.pseudonym, centre=each.centre.name, study_groups=groups[each.pk],
            diseases=[own.name for own in diseases[each.pk]],
            n_scans=facts[each.pk].n_scans, latest=facts[each.pk].latest,
        )
        for each in found
    ]  # fmt: skip


def _defined(value: Any) -> Any:
    """A value as JSON has it: undefined ones are null."""
    return None if pd.isna(value) else value
