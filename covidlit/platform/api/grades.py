"""Grades of scans: where a scan stands, which ones wait, a grade given, the manifest of all."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.api.authenticate import Caller
from covidlit.platform.api.grading_schemas import (
    ChoicesAnswer,
    GradeAnswer,
    LevelName,
    NewGrade,
    QueueAnswer,
    StandingAnswer,
    WaitingAnswer,
)
from covidlit.platform.api.operations import operation, raw
from covidlit.platform.api.problems import ApiProblem
from covidlit.platform.api.scans import disease_asked
from covidlit.platform.api.schemas import Key, Limit, Of
from covidlit.platform.grading.forms import OTHER, form_of
from covidlit.platform.grading.giving import GradeRefused, Seen, give, levels_open_to
from covidlit.platform.grading.manifest import manifest_for
from covidlit.platform.grading.models import Grade, Level
from covidlit.platform.grading.standing import standing_of
from covidlit.platform.grading.waiting import hidden_from, waiting
from covidlit.platform.registry.followed import chosen, diseases_worked_for
from covidlit.platform.registry.models import Scan
from covidlit.platform.viewing.seen import looked_at
from covidlit.tables import csv_text

router = Router(tags=["grading"])


@operation(router, "GET", "/grading/choices", Right.VIEW, ChoicesAnswer)
def grading_choices(request: HttpRequest) -> ChoicesAnswer:
    """The words that graders of this platform choose from."""
    own = settings.FOLDER.settings.grading
    return ChoicesAnswer(
        quality_grades=own.quality_grades, classes=own.classes, severities=own.severities,
        exclusion_reasons=list(dict.fromkeys([*own.exclusion_reasons, OTHER])), blind=own.blind,
    )  # fmt: skip


@operation(router, "GET", "/grading/first/queue", Right.GRADE_FIRST, QueueAnswer)
def first_queue(request: HttpRequest, disease: Of = None, limit: Limit = 50) -> QueueAnswer:
    """Scans that wait for a first grade."""
    return _queue(person(request), Level.FIRST, disease, limit)


@operation(router, "GET", "/grading/second/queue", Right.GRADE_SECOND, QueueAnswer)
def second_queue(request: HttpRequest, disease: Of = None, limit: Limit = 50) -> QueueAnswer:
    """Scans whose first grade waits to be verified or corrected by the caller."""
    return _queue(person(request), Level.SECOND, disease, limit)


@operation(router, "GET", "/grading/manifest.csv", Right.EXPORT, extra=raw("text/csv"))
def grading_manifest(request: HttpRequest, disease: Of = None) -> HttpResponse:
    """The manifest of a disease's scans that the caller may export, with their grades."""
    user = person(request)
    among = diseases_worked_for(user, Right.EXPORT)
    try:
        table = manifest_for(user, chosen(disease or "", among).name)
    except CovidlitError as error:
        raise ApiProblem(409, error.what, where=error.where, fix=error.fix) from error
    return HttpResponse(
        csv_text(table), content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="manifest.csv"'},
    )  # fmt: skip


@operation(router, "GET", "/scans/{int:pk}/grades", Right.VIEW, StandingAnswer)
def grades_of_scan(request: HttpRequest, pk: Key, disease: Of = None) -> StandingAnswer:
    """Where a scan stands between its graders for a disease, and what they said."""
    scan = _seen(request, pk, Right.VIEW)
    return _answer(request, scan, disease_asked(request, scan.patient, disease).name)


@operation(
    router, "POST", "/scans/{int:pk}/grades/first", Right.GRADE_FIRST, StandingAnswer, status=201
)
def grade_first(
    request: HttpRequest, pk: Key, body: NewGrade, disease: Of = None
) -> StandingAnswer:
    """Grade a scan or exclude it, as the first; sent twice it is one grade.

    Refused (409) where another grade or another labelling came in between: look again, then decide.
    """
    return _grade(request, pk, Level.FIRST, body, disease)


@operation(
    router, "POST", "/scans/{int:pk}/grades/second", Right.GRADE_SECOND, StandingAnswer, status=201
)
def grade_second(
    request: HttpRequest, pk: Key, body: NewGrade, disease: Of = None
) -> StandingAnswer:
    """Verify or correct what the first said; nobody verifies himself (409)."""
    return _grade(request, pk, Level.SECOND, body, disease)


def _grade(
    request: HttpRequest, pk: int, level: Level, body: NewGrade, disease: str | None
) -> StandingAnswer:
    """Give a grade by the form of the page, which asks the same of people.

    Raises:
        ApiProblem: 422 where it lacks something, 409 where it may not be given now.
    """
    user = person(request)
    scan = _seen(request, pk, level.right)
    own = disease_asked(request, scan.patient, disease, level.right).name
    said = {name: str(value) for name, value in body.dict().items()}
    form = form_of(said, user, standing_of(scan, own), level)
    if not form.is_valid():
        name, why = next(iter(form.errors.items()))
        raise ApiProblem(422, str(why[0]), where=f"body.{name}", fix="see /api/v1/grading/choices.")
    try:
        give(scan, own, user, level, form.seen, form.judgement)
    except GradeRefused as error:
        raise ApiProblem(409, error.what, where=error.where, fix=error.fix) from error
    return _answer(request, scan, own)


def _queue(user: User, level: Level, disease: str | None, limit: int) -> QueueAnswer:
    own = chosen(disease or "", diseases_worked_for(user, level.right)).name
    rows = waiting(user, level, own)
    return QueueAnswer(
        n_waiting=rows.count(),
        rows=[
            WaitingAnswer(
                scan=each.pk, scan_id=each.scan_id, disease=own, patient=each.patient.pseudonym,
                acquired_on=each.acquired_on, waits_since=getattr(each, "waits_since"),  # noqa: B009
            )
            for each in rows.select_related("patient")[:limit]
        ],
    )  # fmt: skip


def _answer(request: HttpRequest, scan: Scan, disease: str) -> StandingAnswer:
    """What a page shows of a scan's grades; what is hidden there is not told here either."""
    caller: Caller = request.auth
    standing, rights = standing_of(scan, disease), caller.rights()
    hidden = hidden_from(caller.user, disease).filter(pk=scan.pk).exists()
    levels = [each for each in levels_open_to(caller.user, standing) if each.right in rights]
    return StandingAnswer(
        scan=scan.pk, disease=disease, state=standing.state.value, in_words=standing.in_words,
        hidden=hidden,
        levels=[_name(each) for each in levels],
        grades=[] if hidden else [_grade_answer(each) for each in standing.grades],
        **Seen.of(standing)._asdict(),
    )  # fmt: skip


def _grade_answer(row: Grade) -> GradeAnswer:
    return GradeAnswer(
        number=row.number, level=_name(Level(row.level)), grader=row.grader.get_username(),
        made_at=row.made_at, version=row.labelling.version if row.labelling else None,
        is_excluded=row.is_excluded, reason=row.reason, quality_grade=row.quality_grade,
        class_name=row.class_name, severity=row.severity, comment=row.comment,
    )  # fmt: skip


def _name(level: Level) -> LevelName:
    return "first" if level is Level.FIRST else "second"


def _seen(request: HttpRequest, pk: int, right: Right) -> Scan:
    """A scan that the caller may see or grade, and now has looked at."""
    rows = Scan.objects.select_related("patient__centre")
    found = one_seen_by(rows, person(request), right, pk=pk)
    looked_at(request, f"scan {found.scan_id}", found.patient)
    return found
