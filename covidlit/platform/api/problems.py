"""Errors of the API as problem JSON (RFC 9457), each with what is wrong, where, how to mend it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from covidlit.errors import CovidlitError
from covidlit.platform.intake.receiving import WrongOffset
from covidlit.platform.trouble import trouble_of

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="covidlit"'


class ApiProblem(CovidlitError):  # noqa: N818 (what RFC 9457 calls it)
    """A refusal of the API.

    Args:
        status: of HTTP.
        what, where, fix: see `CovidlitError`.
        headers: of the answer.
    """

    def __init__(
        self, status: int, what: str, *, where: object = None, fix: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(what, where=where, fix=fix)
        self.status = status
        self.headers = headers or {}

    @classmethod
    def of(cls, status: int, error: CovidlitError) -> ApiProblem:
        """The refusal that says what an error says."""
        return cls(status, error.what, where=error.where, fix=error.fix)


def answer(
    status: int, error: CovidlitError, headers: dict[str, str] | None = None, **more: Any
) -> HttpResponse:
    """The answer that tells a client of an error.

    Args:
        status: of HTTP.
        error: with its three parts.
        headers: of the answer.
        more: further members of the problem.
    """
    problem = {
        "type": "about:blank", "title": HTTPStatus(status).phrase, "status": status,
        "detail": str(error), "what": error.what, "where": error.where, "fix": error.fix, **more,
    }  # fmt: skip
    return HttpResponse(
        json.dumps(problem), status=status, content_type=MEDIA_TYPE, headers=headers or {}
    )


NOT_THERE = CovidlitError(
    "there is nothing of this kind here that you may see.", where="the address",
    fix="look for it in the list that it belongs to.",
)  # fmt: skip
_NO_RIGHT = CovidlitError(
    "it is not yours to do this here.", where="your roles", fix="ask an administrator for the role."
)


def handle_errors(api: NinjaAPI) -> None:
    """Let the API answer all errors as problems."""
    handlers: dict[type[Exception], Callable[[HttpRequest, Any], HttpResponse]] = {
        ApiProblem: _of_api,
        WrongOffset: _wrong_offset,
        CovidlitError: lambda request, error: answer(400, error),
        Http404: lambda request, error: answer(404, NOT_THERE),
        PermissionDenied: lambda request, error: answer(403, _NO_RIGHT),
        ValidationError: _invalid,
        HttpError: _http,
        Exception: _fault,
    }
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)


def too_large() -> CovidlitError:
    """Of a body that is more than its operation takes."""
    return CovidlitError(
        "it is too large.", where="the body", fix="send less at a time; files go in pieces."
    )


def _of_api(request: HttpRequest, error: ApiProblem) -> HttpResponse:
    return answer(error.status, error, error.headers)


def _wrong_offset(request: HttpRequest, error: WrongOffset) -> HttpResponse:
    return answer(409, error, size=error.size)


def _http(request: HttpRequest, error: HttpError) -> HttpResponse:
    """What ninja itself refuses: a body that is no JSON, a caller whom nobody knows."""
    headers = {}
    fix = "see /api/v1/openapi.json."
    if error.status_code == 401:
        headers = {"WWW-Authenticate": CHALLENGE}
        fix = "send a token that lives: Authorization: Bearer ...; you make it on the page Tokens."
    where = "Authorization" if error.status_code == 401 else "the request"
    return answer(error.status_code, CovidlitError(f"{error}.", where=where, fix=fix), headers)


def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Say the first thing that is wrong, and list all, without what was sent."""
    wrong = [{"where": _place(each["loc"]), "what": str(each["msg"])} for each in error.errors]
    said = CovidlitError(
        f"{wrong[0]['what']}.", where=wrong[0]["where"],
        fix="see /api/v1/openapi.json for what it takes.",
    )  # fmt: skip
    return answer(422, said, errors=wrong)


def _place(parts: tuple[Any, ...]) -> str:
    return ".".join(str(part)[:80] for part in parts)


def _fault(request: HttpRequest, error: Exception) -> HttpResponse:
    status, said = trouble_of(error)
    # Without the address, which may hold whatever somebody typed.
    log.error("A fault of the API, answered by %d.", status, exc_info=error)
    return answer(status, said, {"Retry-After": "5"} if status == 503 else {})
