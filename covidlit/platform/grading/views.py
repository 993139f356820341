"""The pages of graders, and the manifest of what they graded."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.diseases.disease import Disease
from covidlit.platform.grading.agreed import (
    MOST_COMPARED,
    agreement_rows,
    disagreements,
    pairs_of,
)
from covidlit.platform.grading.forms import form_of
from covidlit.platform.grading.giving import GradeRefused, Seen, claim, give, refusal
from covidlit.platform.grading.manifest import manifest_for
from covidlit.platform.grading.models import Comparison, Grade, Level
from covidlit.platform.grading.standing import standing_of, standings
from covidlit.platform.grading.waiting import (
    MOST_COUNTED,
    counted,
    hidden_from,
    next_scan,
    waiting,
)
from covidlit.platform.registry.followed import chosen, diseases_seen, diseases_worked_for
from covidlit.platform.registry.models import Scan
from covidlit.platform.viewing.seen import looked_at
from covidlit.platform.viewing.shown import notes_for, scan_shown
from covidlit.tables import csv_text

PER_PAGE = 50
N_MINE = 10
_SKIPPED = "skipped_scans"


@require_GET
@page(Right.VIEW)
def grading(request: HttpRequest) -> HttpResponse:
    """How many scans wait for one's grade, how far graders agree, and where they do not."""
    user = person(request)
    diseases = diseases_worked_for(user, Right.VIEW)
    disease = chosen(request.GET.get("disease", ""), diseases)
    compared = Comparison.objects.seen_by(user, Right.VIEW).filter(disease=disease.name)
    pairs = pairs_of(compared)
    told = disagreements(compared, hidden_from(user, disease.name))
    keys = told.values_list("scan_id", flat=True)[:MOST_COUNTED]
    shown = Paginator(keys, PER_PAGE).get_page(request.GET.get("page"))
    own = Scan.objects.filter(pk__in=list(shown)).select_related("patient")
    standing = {each.scan.pk: each for each in standings(own, disease.name)}
    return render(
        request,
        "grading.html",
        {
            "diseases": diseases,
            "disease": disease,
            "queues": [
                (level, counted(waiting(user, level, disease.name)))
                for level in Level
                if level.right in user.rights_anywhere()
            ],
            "agreement": agreement_rows(pairs),
            "shown": shown,
            "disagreements": [standing[pk] for pk in shown],
            "n_disagreements": counted(told),
            "most_compared": MOST_COMPARED if len(pairs) == MOST_COMPARED else None,
            "blind": settings.FOLDER.settings.grading.blind,
        },
    )


@require_GET
@page(Right.GRADE_FIRST)
def first_queue(request: HttpRequest) -> HttpResponse:
    """Scans that wait for a first grade."""
    return _queue(request, Level.FIRST)


@require_GET
@page(Right.GRADE_SECOND)
def second_queue(request: HttpRequest) -> HttpResponse:
    """Scans whose first grade waits to be verified or corrected."""
    return _queue(request, Level.SECOND)


@require_GET
@page(Right.GRADE_FIRST)
def next_first(request: HttpRequest) -> HttpResponse:
    """To the scan that waits longest for a first grade."""
    return _next(request, Level.FIRST)


@require_GET
@page(Right.GRADE_SECOND)
def next_second(request: HttpRequest) -> HttpResponse:
    """To the scan that waits longest for a second grade."""
    return _next(request, Level.SECOND)


@require_http_methods(["GET", "POST"])
@page(Right.GRADE_FIRST)
def grade_first(request: HttpRequest, pk: int) -> HttpResponse:
    """Grade a scan or exclude it, as the first."""
    return _grade(request, pk, Level.FIRST)


@require_http_methods(["GET", "POST"])
@page(Right.GRADE_SECOND)
def grade_second(request: HttpRequest, pk: int) -> HttpResponse:
    """Verify or correct what the first said."""
    return _grade(request, pk, Level.SECOND)


@require_GET
@page(Right.EXPORT)
def grading_manifest(request: HttpRequest) -> HttpResponse:
    """The manifest of the scans that one may export, with their grades."""
    try:
        table = manifest_for(person(request), _worked_for(request, Right.EXPORT).name)
    except CovidlitError as error:
        messages.error(request, f"No manifest could be made: {error}")
        return redirect("grading")
    response = HttpResponse(csv_text(table), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="manifest.csv"'
    return response


def _queue(request: HttpRequest, level: Level) -> HttpResponse:
    user = person(request)
    diseases = diseases_worked_for(user, level.right)
    disease = _worked_for(request, level.right)
    wait = waiting(user, level, disease.name)
    rows = wait.select_related("patient__centre")[:MOST_COUNTED]
    # The last ones first: a database may go through all of them where it is asked for both at once.
    last = Grade.objects.filter(grader=user, level=level, disease=disease.name)
    last = last.order_by("-made_at", "-pk")
    keys = list(last.values_list("pk", flat=True)[: 10 * N_MINE])
    mine = Grade.objects.seen_by(user, level.right).filter(pk__in=keys)
    return render(
        request,
        "grading_queue.html",
        {
            **_pages(level),
            "n_waiting": counted(wait),
            "diseases": diseases,
            "disease": disease,
            "shown": Paginator(rows, PER_PAGE).get_page(request.GET.get("page")),
            "mine": mine.select_related("scan__patient").order_by("-made_at", "-pk")[:N_MINE],
        },
    )


def _next(request: HttpRequest, level: Level) -> HttpResponse:
    user = person(request)
    disease = _worked_for(request, level.right).name
    key = f"{_SKIPPED} {disease}"
    skipped = request.session.get(key, [])
    skip = request.GET.get("skip", "")
    if skip.isdecimal() and len(skip) < 19 and int(skip) not in skipped:
        skipped = request.session[key] = [*skipped, int(skip)][-500:]
    found = next_scan(user, level, disease, skipped)
    if found is not None:
        return redirect(_address(request, f"grade_{level.label}", pk=found.pk))
    request.session.pop(key, None)
    left = waiting(user, level, disease).exists()
    messages.info(
        request,
        "Of the scans that wait you have skipped all, or colleagues have them open."
        if left
        else f"No scan waits for your {level.label} grade.",
    )
    return redirect(_address(request, f"{level.label}_queue"))


def _grade(request: HttpRequest, pk: int, level: Level) -> HttpResponse:
    user = person(request)
    scan = one_seen_by(Scan.objects.select_related("patient__centre"), user, level.right, pk=pk)
    looked_at(request, f"scan {scan.scan_id}", scan.patient)
    among = diseases_seen(user, level.right, scan.patient)
    disease = chosen(request.GET.get("disease", ""), among)
    standing = standing_of(scan, disease.name)
    sent = request.POST if request.method == "POST" else None
    form = form_of(sent, user, standing, level)
    status = 200 if sent is None else 400
    if sent is not None and form.is_valid():
        try:
            give(scan, disease.name, user, level, form.seen, form.judgement)
        except GradeRefused as error:
            status = 409
            messages.error(request, error.what)
            standing = standing_of(scan, disease.name)
            # What was chosen stays, beside what is there now.
            now = {name: str(value) for name, value in Seen.of(standing)._asdict().items()}
            form = form_of({**sent.dict(), **now}, user, standing, level)
        else:
            messages.success(request, f"Saved: {scan.patient}, {_day(scan)}.")
            return redirect(_address(request, f"next_{level.label}"))
    why_not = refusal(standing, user, level)
    return render(
        request,
        "grading_scan.html",
        {
            **scan_shown(scan, standing.newest, disease),
            "diseases": among,
            "notes": notes_for(user, scan),
            **_pages(level),
            "form": form,
            "standing": standing,
            "hidden": hidden_from(user, disease.name).filter(pk=scan.pk).exists(),
            "why_not": why_not,
            "holder": None if why_not else claim(scan, disease.name, user, level),
            "left": counted(waiting(user, level, disease.name)),
        },
        status=status,
    )


def _worked_for(request: HttpRequest, right: Right) -> Disease:
    """The disease of `?disease=`, or the first of the study groups in which one has the right."""
    among = diseases_worked_for(person(request), right)
    return chosen(request.GET.get("disease", ""), among)


def _address(request: HttpRequest, name: str, **keys: Any) -> str:
    """A page, of the disease that the request is of, where it names one."""
    asked = request.GET.get("disease", "")
    return reverse(name, kwargs=keys) + (f"?{urlencode({'disease': asked})}" if asked else "")


def _pages(level: Level) -> dict[str, Any]:
    """The level, and the names of its pages."""
    return {
        "level": level,
        "queue_page": f"{level.label}_queue",
        "grade_page": f"grade_{level.label}",
        "next_page": f"next_{level.label}",
    }


def _day(scan: Scan) -> str:
    return scan.acquired_on.isoformat() if scan.acquired_on else "no date"
