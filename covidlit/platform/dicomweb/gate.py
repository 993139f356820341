"""The door to each address: who calls, with which right; errors as those of the API."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from ninja.errors import AuthenticationError

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.rights import Right
from covidlit.platform.api.authenticate import Caller, needs
from covidlit.platform.api.problems import NOT_THERE, answer
from covidlit.platform.api.whole import api

_NO_PARTS = CovidlitError(
    "it is no multipart/related.", where="Content-Type",
    fix='send objects as multipart/related; type="application/dicom".',
)  # fmt: skip
View = Callable[..., HttpResponseBase]


def service(right: Right) -> Callable[[View], View]:
    """A view that gets its caller, who has a right somewhere; what he sees is `seen`'s matter.

    Args:
        right: without which it is refused (403).
    """

    def needing(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                caller = _caller(request, right)
                request.auth = caller  # as operations have it
                return view(request, caller, *args, **kwargs)
            except Exception as error:
                return api.on_exception(request, error)

        checked.right = right  # type: ignore[attr-defined]
        return checked

    return needing


def by_method(**views: View) -> View:
    """An address whose methods are views of their own.

    Args:
        views: of `service`, by the method of HTTP.
    """

    @csrf_exempt  # asked of sessions by `SessionAuth`, and of tokens not
    @login_not_required  # asked by `service`
    def chosen(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        view = views.get(request.method or "")
        if request.method == "POST" and request.content_type != "multipart/related":
            # Before anybody is asked who he is: forms would be read for it.
            return answer(415, _NO_PARTS)
        if view is not None:
            return view(request, *args, **kwargs)
        allowed = ", ".join(views)
        wrong = CovidlitError(
            f"this address does not take {request.method}.", where="the method",
            fix=f"use {allowed}.",
        )  # fmt: skip
        return answer(405, wrong, {"Allow": allowed})

    chosen.views = views
    chosen.is_public = True  # to what leads people to other pages
    return chosen


@csrf_exempt
@login_not_required
def nothing(request: HttpRequest) -> HttpResponseBase:
    """Any other address below that of DICOMweb."""
    return answer(404, NOT_THERE)


def _caller(request: HttpRequest, right: Right) -> Caller:
    """By a token before a session, never one for another."""
    for way in needs(right):
        caller = way(request)
        if isinstance(caller, Caller):
            return caller
    raise AuthenticationError
