"""Clinical tables brought in and withdrawn, what they say of a patient, and severity of scans."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from django.http import HttpRequest
from ninja import File, Form, Router
from ninja.files import UploadedFile

from covidlit.lesions.report.severity import Severity, severity_section
from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.api.clinical_schemas import (
    ClinicalAnswer,
    ClinicalEvent,
    ClinicalTableAnswer,
    CourseAnswer,
    DayValue,
    NewClinicalTable,
    ScoredValueAnswer,
    SeverityAnswer,
)
from covidlit.platform.api.jobs import job_answer
from covidlit.platform.api.operations import operation
from covidlit.platform.api.problems import ApiProblem
from covidlit.platform.api.scans import disease_asked
from covidlit.platform.api.schemas import Before, Key, Limit, Of, PageOf, Pseudonym
from covidlit.platform.clinical.bringing import bring_table, withdraw_table
from covidlit.platform.clinical.mappings import known_mappings
from covidlit.platform.clinical.models import ClinicalTable
from covidlit.platform.clinical.shown import clinical_of, newest_scores
from covidlit.platform.registry.followed import newest_labelling
from covidlit.platform.registry.models import Patient, Scan
from covidlit.platform.viewing.seen import looked_at

router = Router(tags=["clinical"])
_WITH = ("owner", "centre", "study_group", "job__owner", "job__centre", "job__study_group")


@operation(router, "GET", "/clinical/mappings", Right.UPLOAD, list[str])
def mappings(request: HttpRequest) -> list[str]:
    """Names of the mappings by which hospitals' own tables are read."""
    return known_mappings()


@operation(router, "GET", "/clinical/tables", Right.UPLOAD, PageOf[ClinicalTableAnswer])
def clinical_tables(
    request: HttpRequest, before: Before = None, limit: Limit = 50
) -> PageOf[ClinicalTableAnswer]:
    """Clinical tables, the newest first, a page at a time."""
    rows = ClinicalTable.objects.seen_by(person(request), Right.UPLOAD).select_related(*_WITH)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: limit + 1])
    return PageOf[ClinicalTableAnswer](
        rows=[_answer(request, each) for each in found[:limit]],
        next=str(found[limit - 1].pk) if len(found) > limit else None,
    )


@operation(router, "POST", "/clinical/tables", Right.UPLOAD, ClinicalTableAnswer, status=201)
def new_clinical_table(
    request: HttpRequest,
    about: Form[NewClinicalTable],
    table: File[UploadedFile],
    patients: File[list[UploadedFile]] = [],  # noqa: B006 (ninja copies it)
) -> ClinicalTableAnswer:
    """Bring a clinical table in, with the files that its mapping names; a job reads it.

    It is .csv, .xlsx or .parquet; the whole form has at most 64 MiB.
    """
    made = bring_table(
        person(request), about.centre, about.study_group, about.mapping, table, patients
    )
    return _answer(request, ClinicalTable.objects.select_related(*_WITH).get(pk=made.pk))


@operation(router, "GET", "/clinical/tables/{int:pk}", Right.UPLOAD, ClinicalTableAnswer)
def clinical_table(request: HttpRequest, pk: Key) -> ClinicalTableAnswer:
    """What of a clinical table was taken."""
    return _answer(request, _seen(request, pk))


@operation(router, "POST", "/clinical/tables/{int:pk}/withdraw", Right.UPLOAD, ClinicalTableAnswer)
def withdraw_clinical_table(request: HttpRequest, pk: Key) -> ClinicalTableAnswer:
    """Let a table count no more; what it says is kept, and not used."""
    if not withdraw_table(_seen(request, pk), person(request)):
        raise ApiProblem(
            409, "it is being read.", where=f"clinical table {pk}", fix="wait, or end its job."
        )
    return _answer(request, _seen(request, pk))


@operation(router, "GET", "/patients/{pseudonym}/clinical", Right.VIEW, ClinicalAnswer)
def clinical_of_patient(request: HttpRequest, pseudonym: Pseudonym) -> ClinicalAnswer:
    """Laboratory values of a patient over time, and events."""
    rows = Patient.objects.select_related("centre")
    found = one_seen_by(rows, person(request), Right.VIEW, pseudonym=pseudonym)
    looked_at(request, f"patient {pseudonym}", found)
    known = clinical_of(found)
    if known is None:
        return ClinicalAnswer(about=[], courses=[], events=[])
    return ClinicalAnswer(
        about=list(known.about),
        courses=[
            CourseAnswer(
                feature=each.feature, name=each.name, unit=each.unit,
                values=[DayValue(day=value.day, value=value.value) for value in each.values],
            )
            for each in known.courses
        ],
        events=[ClinicalEvent(day=each.day, what=each.text) for each in known.events],
    )  # fmt: skip


@operation(router, "GET", "/scans/{int:pk}/severity", Right.VIEW, SeverityAnswer | None)
def severity_of_scan(request: HttpRequest, pk: Key, disease: Of = None) -> SeverityAnswer | None:
    """How ill the model says the patient was at a scan; null where it says nothing.

    Of the newest labelling of a disease, by all that is known of the patient now.
    """
    rows = Scan.objects.select_related("patient__centre")
    scan = one_seen_by(rows, person(request), Right.VIEW, pk=pk)
    looked_at(request, f"scan {scan.scan_id}", scan.patient)
    labelling = newest_labelling(scan, disease_asked(request, scan.patient, disease).name)
    kept = newest_scores([labelling]).get(scan.pk) if labelling else None
    severity = Severity.of_plain(kept.severity) if kept else None
    section = severity_section(severity)
    if labelling is None or kept is None or severity is None or section is None:
        return None
    row = {str(name): _defined(value) for name, value in severity.row.items()}
    return SeverityAnswer(
        scan=scan.pk, labelling=labelling.pk, version=labelling.version, made_at=kept.made_at,
        score=row.get("score"), low=row.get("score_low"), high=row.get("score_high"),
        operating_point=row.get("operating_point"), called=section.called,
        positive=severity.positive, model=severity.model,
        reference_score=severity.reference_score, row=row,
        values=[ScoredValueAnswer(**asdict(each)) for each in severity.values],
        missing=list(section.missing), notes=list(section.notes),
    )  # fmt: skip


def _seen(request: HttpRequest, pk: int) -> ClinicalTable:
    rows = ClinicalTable.objects.select_related(*_WITH)
    return one_seen_by(rows, person(request), Right.UPLOAD, pk=pk)


def _answer(request: HttpRequest, row: ClinicalTable) -> ClinicalTableAnswer:
    is_own = row.owner_id == person(request).pk
    return ClinicalTableAnswer(
        id=row.pk, owner=row.owner.get_username(), centre=row.centre.name,
        study_group=row.study_group.name, mapping=row.mapping, made_at=row.made_at,
        read_at=row.read_at, withdrawn_at=row.withdrawn_at, n_rows=row.n_rows,
        n_patients=row.n_patients, n_unknown=row.n_unknown, said=row.said if is_own else None,
        job=job_answer(row.job) if row.job else None,
    )  # fmt: skip


def _defined(value: Any) -> Any:
    """A value as JSON has it: undefined ones are null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
