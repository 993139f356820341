"""The API as a whole: its operations, its errors, its description."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import NinjaAPI, Router
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from covidlit.platform.accounts.rights import Right
from covidlit.platform.api import (
    account,
    clinical,
    corrections,
    exports,
    factors,
    grades,
    jobs,
    labellings,
    patients,
    scans,
    sendings,
    trail,
    uploads,
)
from covidlit.platform.api.operations import operation, refuse_unknown
from covidlit.platform.api.problems import MEDIA_TYPE, handle_errors
from covidlit.platform.api.schemas import Answer
from covidlit.version import __version__

ROOT = "api/v1/"


class Problem(Answer):
    """An error (RFC 9457): `detail` is the whole sentence, then what, where, and how to mend it."""

    type: str
    title: str
    status: int
    detail: str
    what: str
    where: str | None
    fix: str | None
    errors: list[dict[str, str]] = []  # noqa: RUF012 (pydantic copies it)
    size: int | None = None


class PlatformApi(NinjaAPI):
    """Ninja's API, whose description says what errors look like."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        """The description (OpenAPI 3.1)."""
        schema = super().get_openapi_schema(**options)
        schema["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        for path in schema["paths"].values():
            for each in path.values():
                each["responses"]["default"] = {"description": "refused", "content": content}
        return schema


api = PlatformApi(
    title="covidlit platform",
    version=__version__,
    description="Patients by pseudonym, scans, lesions, factors and trends, as far as the owner "
    "of the token may see them. Tokens are made on the page Tokens; `x-right` of an operation is "
    "the right that it needs.",
    urls_namespace="api",
    openapi_url=None,
    docs_url=None,
)
handle_errors(api)
api.add_decorator(refuse_unknown, mode="operation")
_description = Router()
_ROOMS = (
    account, patients, scans, labellings, factors, clinical, grades, corrections, sendings, exports,
    jobs, uploads, trail,
)  # fmt: skip
_ROUTERS = [
    *(room.router for room in _ROOMS),
    _description,
]


@operation(_description, "GET", "/openapi.json", None, in_schema=False)
def openapi(request: HttpRequest) -> dict[str, Any]:
    """The description of this API (OpenAPI 3.1)."""
    return dict(api.get_openapi_schema())


for _router in _ROUTERS:
    api.add_router("", _router)


def right_of(own: Operation) -> Right | None:
    """The right that an operation needs; None: whoever has an account."""
    found: Right | None = getattr(own.auth_callbacks[0], "right")  # noqa: B009 (of `needs`)
    return found


def operations() -> list[tuple[str, Operation]]:
    """All operations with their path; each is of one method."""
    return [
        (path, each)
        for router in _ROUTERS
        for path, view in router.path_operations.items()
        for each in view.operations
    ]
