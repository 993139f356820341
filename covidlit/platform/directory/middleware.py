"""Sessions of the directory's people: their groups are asked for again, and end with them."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from covidlit.platform.accounts.models import User
from covidlit.platform.directory.groups import apply_groups
from covidlit.platform.directory.kinds import Directory, Gone, Unreachable

CHECKED = "directory_checked_at"
PATIENCE = 3
"""So many times the interval a session goes on while the directory does not answer."""


class CheckedAgain:
    """Asks the directory every few minutes of a session whether the person is still there."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and request.user.directory:
            self._check(request, request.user)
        return self._get_response(request)

    def _check(self, request: HttpRequest, user: User) -> None:
        checked = confirmed_at(user, request, float(request.session.get(CHECKED, 0.0)))
        if checked is None:
            logout(request)
        elif checked != request.session.get(CHECKED, 0.0):
            request.session[CHECKED] = checked


def confirmed_at(user: User, request: HttpRequest, before: float) -> float | None:
    """When the directory confirmed a person, asked again where that is too long ago.

    Args:
        user: of a directory; gets the roles of his groups as they are now.
        request: in which it is asked.
        before: when it last did; seconds of the epoch.

    Returns:
        The same, or now; None: the person is there no more, has no role, or it was silent too long.
    """
    seconds = 60 * settings.FOLDER.settings.directory.check_minutes
    age = time.time() - before
    if age < seconds:
        return before
    directory = directory_of(user)
    try:
        if directory is None or not apply_groups(user, directory.groups_now(user, request)):
            return None
    except Gone:
        return None
    except Unreachable:
        return before if age <= PATIENCE * seconds else None
    return time.time()


def directory_of(user: User) -> Directory | None:
    """Where a person comes from; None from the platform itself, or where that is not set now."""
    place = settings.DIRECTORIES.get(user.directory)
    found: Directory | None = import_string(place)() if place else None
    return found
