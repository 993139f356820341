"""Sessions that end, accounts that are not ready yet, and pages that are not kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right

STARTED = "started_at"


class LimitedSessions:
    """Ends a session after its longest time, however busy it is; the idle time is Django's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            now = time.time()
            started = request.session.setdefault(STARTED, now)
            if now - started > settings.SESSION_LONGEST_SECONDS:
                logout(request)
        return self._get_response(request)


class AccountFirst:
    """Leads people whose account is not ready to the page that makes it so, from every other page.

    That is a password that somebody else chose, and a second factor that they must have.
    """

    _ALLOWED = ("account_change_password", "account_logout", "account_reauthenticate")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, view: Any, *_: Any) -> HttpResponse | None:
        """The page to go to first, if there is one."""
        name = request.resolver_match.url_name or "" if request.resolver_match else ""
        if not request.user.is_authenticated or getattr(view, "is_public", False):
            return None
        if name in self._ALLOWED:
            return None
        if person(request).password_is_first:
            messages.info(request, "Somebody else knows this password: choose one of your own.")
            return redirect("account_change_password")
        if not name.startswith("mfa_") and lacks_second_factor(person(request)):
            messages.info(request, "Your account needs a second factor: set it up first.")
            return redirect("mfa_activate_totp")
        return None


def lacks_second_factor(user: User) -> bool:
    """Whether the settings ask for a second factor that the person has not.

    Whoever logs in by the hospital's directory has the factors that it asks for.
    """
    asked = settings.FOLDER.settings.accounts.second_factor
    if asked == "optional" or user.directory:
        return False
    if asked == "administrators" and Right.MANAGE not in user.rights_anywhere():
        return False
    return not Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()


class NotStored:
    """Lets no browser keep a page, so that nobody reads it there after a log-out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if "Cache-Control" not in response:
            response["Cache-Control"] = "no-store"
        return response


class WithoutNulls:
    """Refuses texts with a null character, which PostgreSQL cannot hold, and nobody types."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _has_null(request):
            return HttpResponse(
                "A null character is no text.", status=400, content_type="text/plain"
            )
        return self._get_response(request)


def _has_null(request: HttpRequest) -> bool:
    if request.path.startswith("/api/"):  # which says itself what is wrong, and where
        return False
    if "\0" in request.path or "\0" in unquote(request.META.get("QUERY_STRING", "")):
        return True
    forms = ("application/x-www-form-urlencoded", "multipart/form-data")
    if request.method != "POST" or request.content_type not in forms:
        return False
    return any("\0" in text for name, texts in request.POST.lists() for text in (name, *texts))
