"""People and their roles, as far as an administrator's own scope reaches."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from covidlit.errors import ConfigError
from covidlit.platform.accounts.access import (
    close_account,
    may_manage_account,
    open_account,
    renew_password,
)
from covidlit.platform.accounts.models import Centre, Membership, StudyGroup, User
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.people import give_role, make_user, may_manage, take_role
from covidlit.platform.accounts.rights import Right, Role, Scope

ALL = ""
"""In a form: all centres, or all study groups."""


@require_GET
@page(Right.MANAGE)
def people(request: HttpRequest) -> HttpResponse:
    """Accounts with the roles that one may give and take."""
    return _page(request)


@require_POST
@page(Right.MANAGE)
def add_person(request: HttpRequest) -> HttpResponse:
    """A new account, without a role yet."""
    try:
        user = make_user(
            request.POST.get("username", ""), request.POST.get("password", ""), by=person(request)
        )
    except ConfigError as error:
        messages.error(request, error.what)
    else:
        messages.success(request, f"{user.username} can log in, and sees nothing without a role.")
    return redirect("people")


@require_POST
@page(Right.MANAGE)
def give(request: HttpRequest) -> HttpResponse:
    """Give a role in a scope that lies within one's own."""
    user = get_object_or_404(User, username=request.POST.get("username", ""))
    role = {each.name: each for each in Role}.get(request.POST.get("role", ""))
    centre = _chosen(Centre, request.POST.get("centre", ALL))
    group = _chosen(StudyGroup, request.POST.get("study_group", ALL))
    scope = Scope(centre.pk if centre else None, group.pk if group else None)
    if role is None or not may_manage(person(request), scope):
        raise PermissionDenied
    given = give_role(user, role, centre, group, by=person(request))
    messages.success(request, f"{user.username} is now {given.words}.")
    return redirect("people")


@require_POST
@page(Right.MANAGE)
def take(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a role whose scope lies within one's own."""
    membership = get_object_or_404(Membership, pk=pk)
    if not _manages(request, membership):
        raise PermissionDenied
    try:
        take_role(membership, by=person(request))
    except ConfigError as error:
        messages.error(request, error.what)
    else:
        messages.success(request, f"{membership.user} is no longer {membership.words}.")
    return redirect("people")


@require_POST
@page(Right.MANAGE)
def renew(request: HttpRequest, pk: int) -> HttpResponse:
    """A new first password, which is shown on this answer and never again."""
    user = _account(request, pk)
    try:
        password = renew_password(user, by=person(request))
    except ConfigError as error:
        messages.error(request, f"{error.what} {error.fix}")
        return redirect("people")
    return _page(request, renewed=user, password=password)


@require_POST
@page(Right.MANAGE)
def close(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a person not log in any more."""
    user = _account(request, pk)
    try:
        close_account(user, by=person(request))
    except ConfigError as error:
        messages.error(request, error.what)
    else:
        messages.success(request, f"The account of {user} is closed.")
    return redirect("people")


@require_POST
@page(Right.MANAGE)
def open_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a person log in again."""
    user = _account(request, pk)
    open_account(user, by=person(request))
    messages.success(request, f"The account of {user} is open again.")
    return redirect("people")


def _page(request: HttpRequest, renewed: User | None = None, password: str = "") -> HttpResponse:
    memberships = Membership.objects.select_related("user", "centre", "study_group")
    users = User.objects.order_by("username").prefetch_related("memberships")
    return render(
        request,
        "people.html",
        {
            "renewed": renewed,
            "password": password,
            "memberships": [
                each for each in memberships.order_by("user__username") if _manages(request, each)
            ],
            "accounts": [each for each in users if may_manage_account(person(request), each)],
            "users": users,
            "roles": [(role.name, role.value) for role in Role],
            "centres": Centre.objects.all(),
            "study_groups": StudyGroup.objects.all(),
        },
    )


def _account(request: HttpRequest, pk: int) -> User:
    user = get_object_or_404(User, pk=pk)
    if not may_manage_account(person(request), user):
        raise Http404
    return user


def _chosen(model: type[Centre] | type[StudyGroup], name: str) -> Centre | StudyGroup | None:
    return None if name == ALL else get_object_or_404(model, name=name)


def _manages(request: HttpRequest, membership: Membership) -> bool:
    return may_manage(person(request), Scope(membership.centre_id, membership.study_group_id))
