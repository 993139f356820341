"""The addresses of the API, all of which answer errors as problems."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path, re_path
from django.views.decorators.csrf import csrf_exempt

from covidlit.errors import CovidlitError
from covidlit.platform.api.operations import MOST_JSON
from covidlit.platform.api.problems import NOT_THERE, answer, too_large
from covidlit.platform.api.whole import ROOT, api
from covidlit.platform.intake.form_files import MOST_BYTES
from covidlit.platform.intake.receiving import MOST_PIECE

FORMS = ("clinical/tables",)
"""Addresses that take forms with files."""

_LENGTHLESS = CovidlitError(
    "it does not say how long it is.", where="Content-Length", fix="send it with its length."
)


def _gated(
    view: Callable[..., HttpResponseBase], most_posted: int
) -> Callable[..., HttpResponseBase]:
    """An address of the API: its operations know their callers themselves, by token or session.

    Bodies beyond what any operation takes are refused before they are read.

    Args:
        view: of ninja's.
        most_posted: bytes of a body by POST.
    """

    @csrf_exempt  # asked of sessions by `SessionAuth`, and of tokens not
    @login_not_required  # asked by `needs`, which each operation has
    @wraps(view)
    def gated(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.headers.get("transfer-encoding"):
            return answer(411, _LENGTHLESS)
        length = request.headers.get("content-length") or "0"
        most = MOST_PIECE if request.method == "PUT" else most_posted
        if not length.isdecimal() or int(length[:18]) > most:
            return answer(413, too_large())
        response = view(request, *args, **kwargs)
        if response.status_code == 405:
            allowed = response.headers.get("Allow", "")
            wrong = CovidlitError(
                f"this address does not take {request.method}.", where="the method",
                fix=f"use {allowed}.",
            )  # fmt: skip
            return answer(405, wrong, {"Allow": allowed})
        return response

    gated.is_public = True  # to what leads people to other pages
    return gated


@csrf_exempt
@login_not_required
def _not_there(request: HttpRequest) -> HttpResponse:
    """Any other address below the API's."""
    return answer(404, NOT_THERE)


def _patterns() -> list[URLPattern]:
    found = []
    for each in api.urls[0]:
        if not isinstance(each, URLPattern) or each.name == "api-root":
            continue
        most = MOST_BYTES if str(each.pattern) in FORMS else MOST_JSON
        each.callback = _gated(each.callback, most)
        found.append(each)
    return found


app_name = "api"
urlpatterns = [
    *_patterns(),
    path("", _not_there, name="api-root"),
    re_path("^.+$", _not_there),
]
"""Below `ROOT`; the root is what ninja derives the addresses in its description from."""

__all__ = ["ROOT", "app_name", "urlpatterns"]
