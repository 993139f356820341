"""The pages of clinical tables."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.places import choices_of, places_with
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.clinical.bringing import bring_table, withdraw_table
from covidlit.platform.clinical.mappings import known_mappings
from covidlit.platform.clinical.models import ClinicalTable
from covidlit.platform.intake.receiving import UploadRefused

PER_PAGE = 50


@require_GET
@page(Right.UPLOAD)
def tables(request: HttpRequest) -> HttpResponse:
    """Tables of the scopes in which one may upload, and a form for a new one."""
    rows = ClinicalTable.objects.seen_by(person(request), Right.UPLOAD)
    rows = rows.select_related("owner", "centre", "study_group", "job")
    return render(
        request,
        "clinical_tables.html",
        {
            "shown": Paginator(rows, PER_PAGE).get_page(request.GET.get("page")),
            **choices_of(places_with(person(request), Right.UPLOAD)),
            "mappings": known_mappings(),
        },
    )


@require_POST
@page(Right.UPLOAD)
def add_table(request: HttpRequest) -> HttpResponse:
    """A new table, for a centre and a study group in which one may; a job reads it."""
    sent = request.POST
    try:
        table = bring_table(
            person(request), sent.get("centre", ""), sent.get("study_group", ""),
            sent.get("mapping", ""), request.FILES.get("table"), request.FILES.getlist("patients"),
        )  # fmt: skip
    except UploadRefused as error:
        messages.error(request, str(error))
        return redirect("clinical_tables")
    return redirect("clinical_table", pk=table.pk)


@require_GET
@page(Right.UPLOAD)
def table(request: HttpRequest, pk: int) -> HttpResponse:
    """What of a table was taken; what its reader says of it for its owner alone."""
    found = one_seen_by(ClinicalTable.objects.all(), person(request), Right.UPLOAD, pk=pk)
    own = found.owner_id == person(request).pk
    return render(request, "clinical_table.html", {"table": found, "is_own": own})


@require_POST
@page(Right.UPLOAD)
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a table count no more, as one with wrong values: what it says is kept, and not used."""
    found = one_seen_by(ClinicalTable.objects.all(), person(request), Right.UPLOAD, pk=pk)
    if not withdraw_table(found, person(request)):
        raise Http404
    return redirect("clinical_table", pk=pk)
