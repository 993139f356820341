"""The page of centres and study groups: what there is, new ones, and what a study group follows."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from covidlit.errors import ConfigError
from covidlit.platform.accounts.models import Centre, StudyGroup
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.people import may_manage
from covidlit.platform.accounts.rights import Right, Scope
from covidlit.platform.registry import study_groups

_EVERYWHERE = Scope(None, None)


@require_GET
@page(Right.MANAGE)
def places(request: HttpRequest) -> HttpResponse:
    """Centres and study groups, and the diseases that these can follow."""
    user = person(request)
    scopes = user.scopes_with(Right.MANAGE)
    centres = Centre.objects.all()
    groups = StudyGroup.objects.all()
    if not any(scope.centre_id is None for scope in scopes):
        centres = centres.filter(pk__in=[scope.centre_id for scope in scopes])
    if not any(scope.study_group_id is None for scope in scopes):
        groups = groups.filter(pk__in=[scope.study_group_id for scope in scopes])
    return render(
        request,
        "places.html",
        {
            "centres": centres,
            "study_groups": [
                (
                    group,
                    settings.FOLDER.diseases.get(group.disease, group.disease),
                )
                for group in groups
            ],
            "diseases": list(settings.FOLDER.diseases.values()),
            "may_make": may_manage(user, _EVERYWHERE),
        },
    )


@require_POST
@page(Right.MANAGE)
def add_centre(request: HttpRequest) -> HttpResponse:
    """A new centre, by those who manage everywhere."""
    _require(request, _EVERYWHERE)
    try:
        centre = study_groups.make_centre(request.POST.get("name", ""), by=person(request))
    except ConfigError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"The centre {centre} is there.")
    return redirect("places")


@require_POST
@page(Right.MANAGE)
def add_study_group(request: HttpRequest) -> HttpResponse:
    """A new study group, by those who manage everywhere."""
    _require(request, _EVERYWHERE)
    name, disease = request.POST.get("name", ""), request.POST.get("disease", "")
    try:
        group = study_groups.make_study_group(name, disease, by=person(request))
    except ConfigError as error:
        messages.error(request, str(error))
    else:
        title = settings.FOLDER.diseases[disease].title
        messages.success(request, f"The study group {group} follows {title}.")
    return redirect("places")


@require_POST
@page(Right.MANAGE)
def follow(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a study group follow another disease, by those who manage everywhere.

    Its people then see what people of other study groups have labelled for that disease.
    """
    group = get_object_or_404(StudyGroup, pk=pk)
    _require(request, _EVERYWHERE)
    try:
        n = study_groups.follow(group, request.POST.get("disease", ""), by=person(request))
    except ConfigError as error:
        messages.error(request, str(error))
    else:
        told = f" {n} patient{'' if n == 1 else 's'} will be measured for it." if n else ""
        messages.success(request, f"Saved.{told}")
    return redirect("places")


def _require(request: HttpRequest, scope: Scope) -> None:
    if not may_manage(person(request), scope):
        raise PermissionDenied
