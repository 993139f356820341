"""What every page says of itself: the right that it needs, read from the addresses by a test."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Right

View = Callable[..., HttpResponseBase]


def page(right: Right) -> Callable[[View], View]:
    """A view for people who have a right somewhere; which rows they see is `seen_by`'s matter.

    Args:
        right: without which the page is refused (403).
    """

    def needing(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if right not in person(request).rights_anywhere():
                raise PermissionDenied
            return view(request, *args, **kwargs)

        checked.right = right  # type: ignore[attr-defined]
        return checked

    return needing


def person(request: HttpRequest) -> User:
    """Who asks; pages are for people who have logged in."""
    return cast("User", request.user)
