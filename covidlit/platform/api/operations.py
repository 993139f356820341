"""How an operation of the API is registered: with its right, its answer, and nothing unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from django.http import HttpRequest
from ninja import Router
from ninja.constants import NOT_SET
from ninja.operation import Operation

from covidlit.errors import did_you_mean
from covidlit.platform.accounts.rights import Right
from covidlit.platform.api.authenticate import needs
from covidlit.platform.api.problems import ApiProblem

View = TypeVar("View", bound=Callable[..., Any])

MOST_JSON = 64 << 10
"""Bytes of a body that is JSON."""


def operation(
    router: Router,
    method: str,
    path: str,
    right: Right | None,
    answers: Any = NOT_SET,
    status: int = 200,
    extra: Mapping[str, Any] | None = None,
    in_schema: bool = True,
) -> Callable[[View], View]:
    """Register a function as an operation; its name is the operation's.

    Args:
        router: of its group.
        method: of HTTP.
        path: below `/api/v1`.
        right: without which it is refused (403); None: for whoever has an account.
        answers: schema of the answer; without, it makes its own `HttpResponse`.
        status: of the answer where all is well.
        extra: further members of its description (OpenAPI).
        in_schema: whether it is described there.
    """

    def register(view: View) -> View:
        name = view.__name__
        return router.api_operation(
            [method],
            path,
            auth=needs(right),
            response=NOT_SET if answers is NOT_SET else {status: answers},
            operation_id=name,
            url_name=name,
            summary=(view.__doc__ or "").split("\n")[0].rstrip("."),
            include_in_schema=in_schema,
            openapi_extra={"x-right": right.name.lower() if right else None, **(extra or {})},
        )(view)

    return register


def raw(media_type: str, **headers: str) -> dict[str, Any]:
    """The description of an answer that is no JSON.

    Args:
        media_type: of its body.
        headers: name, with `_` for `-`, and what it says.
    """
    said: dict[str, Any] = {
        "description": "OK",
        "content": {media_type: {"schema": {"type": "string", "format": "binary"}}},
    }
    if headers:
        said["headers"] = {
            key.replace("_", "-"): {"description": text, "schema": {"type": "string"}}
            for key, text in headers.items()
        }
    return {"responses": {200: said}}


def parameters_of(own: Operation) -> set[str]:
    """The parameters of an operation's query."""
    return {
        field
        for model in own.models
        if model.__ninja_param_source__ == "query"
        for field in getattr(model, "__ninja_flatten_map__", model.model_fields)
    }


def refuse_unknown(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let an operation refuse parameters that it does not know, where a typing error would pass.

    Args:
        view: of an operation of ninja's.
    """
    known = parameters_of(view._ninja_operation)  # type: ignore[attr-defined]

    @wraps(view)
    def checked(request: HttpRequest, **values: Any) -> Any:
        for each in request.GET:
            if each not in known:
                hint = did_you_mean(each, known)
                takes = ", ".join(sorted(known)) or "none"
                raise ApiProblem(
                    422, f"there is no parameter {each[:40]!r}.", where="query",
                    fix=f"{hint or 'leave it out.'} There are: {takes}.",
                )  # fmt: skip
        return view(request, **values)

    return checked
