"""Factors: what each one is, and the table of all scans."""

from __future__ import annotations

from dataclasses import asdict

from django.http import HttpRequest
from ninja import Router

from covidlit.cohort.factor_definitions import DEFINITIONS
from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.api.operations import operation
from covidlit.platform.api.schemas import (
    Before,
    DefinitionAnswer,
    DiseaseAnswer,
    FactorRow,
    Limit,
    Name,
    Of,
    PageOf,
)
from covidlit.platform.registry.followed import chosen, diseases_worked_for, newest_labellings
from covidlit.platform.registry.models import Scan
from covidlit.platform.viewing.seen import noted

router = Router(tags=["factors"])


@operation(router, "GET", "/factors/definitions", Right.VIEW, list[DefinitionAnswer])
def definitions(request: HttpRequest) -> list[DefinitionAnswer]:
    """What each factor is: unit, formula, source, and how others define it."""
    return [DefinitionAnswer(**asdict(each)) for each in DEFINITIONS]


@operation(router, "GET", "/diseases", Right.VIEW, list[DiseaseAnswer])
def diseases(request: HttpRequest) -> list[DiseaseAnswer]:
    """The diseases that the caller's study groups follow: their classes, factors and words."""
    return [
        DiseaseAnswer(
            name=each.name, title=each.title, about=each.wording.about, classes=each.classes,
            factors=list(each.factors.shown), followed=each.factors.followed,
        )
        for each in diseases_worked_for(person(request), Right.VIEW)
    ]  # fmt: skip


@operation(router, "GET", "/factors", Right.EXPORT, PageOf[FactorRow])
def factors(
    request: HttpRequest,
    centre: Name = None,
    disease: Of = None,
    after: Before = None,
    limit: Limit = 100,
) -> PageOf[FactorRow]:
    """The factors of all scans measured for a disease (contract 8), a page at a time; an export."""
    own = chosen(disease or "", diseases_worked_for(person(request), Right.EXPORT)).name
    rows = Scan.objects.seen_by(person(request), Right.EXPORT, own)
    rows = rows.select_related("patient__centre")
    if centre is not None:
        rows = rows.filter(patient__centre__name=centre)
    if after is not None:
        rows = rows.filter(pk__gt=after)
    found = list(rows.order_by("pk")[: limit + 1])
    shown = found[:limit]
    newest = newest_labellings(shown, own)
    for name in sorted({each.patient.centre.name for each in shown}):
        noted(request, "exported", "table of factors", name)
    return PageOf[FactorRow](
        rows=[
            FactorRow(
                patient_id=each.patient.pseudonym, scan_id=each.scan_id, disease=own,
                acquisition_date=each.acquired_on, labelling=newest[each.pk].pk,
                version=newest[each.pk].version, factors=newest[each.pk].factors,
            )
            for each in shown
            if each.pk in newest
        ],
        next=str(shown[-1].pk) if len(found) > limit else None,
    )  # fmt: skip
