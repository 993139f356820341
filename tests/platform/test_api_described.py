"""The API's description is valid, and what it answers fits it, whatever it is sent."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import schemathesis
from api_calls import CALLS
from django.core.cache import cache
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import validate
from platform_world import Hospital, hospital
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from covidlit.platform.accounts.people import give_role
from covidlit.platform.accounts.rights import Role
from covidlit.platform.api.models import TOKEN_SCOPES
from covidlit.platform.api.scans import Window
from covidlit.platform.api.tokens import make_token
from covidlit.platform.api.whole import operations
from covidlit.platform.intake.models import Upload
from covidlit.platform.viewing.drawing import WINDOWS
from covidlit.platform.wsgi import application

pytestmark = pytest.mark.django_db

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_headers_conformance, response_schema_conformance,
]  # fmt: skip
NAMES = {
    f"{each.methods[0]} /api/v1{path.replace('int:', '')}": str(each.operation_id)
    for path, each in operations()
    if each.include_in_schema
}
LABELS = sorted(NAMES)
EXAMPLES = 12


@pytest.fixture
def own() -> Hospital:
    cache.clear()
    return hospital("north")


@pytest.fixture
def headers(own: Hospital) -> dict[str, str]:
    """Of somebody who may do all that a token can be given."""
    user = own.upload.owner
    for role in Role:
        give_role(user, role)
    Upload.objects.filter(pk=own.upload.pk).update(n_files=1)
    return {"Authorization": f"Bearer {make_token(user, 'test', list(TOKEN_SCOPES), 1)[1]}"}


def test_the_description_is_valid_and_says_what_each_operation_needs(
    headers: dict[str, str],
) -> None:
    described = Client().get("/api/v1/openapi.json", headers=headers).json()
    validate(described)
    assert set(described["components"]["securitySchemes"]) == {"TokenAuth", "SessionAuth"}
    found = [
        f"{method.upper()} {path}" for path, own in described["paths"].items() for method in own
    ]
    assert sorted(found) == LABELS
    for own in described["paths"].values():
        for each in own.values():
            assert each["summary"]
            assert "x-right" in each
            assert "application/problem+json" in each["responses"]["default"]["content"]


def test_windows_are_those_that_are_drawn() -> None:
    assert set(get_args(Window)) == set(WINDOWS)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("label", LABELS)
def test_whatever_is_sent_is_answered_as_described(
    label: str, mode: GenerationMode, own: Hospital, headers: dict[str, str]
) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application, headers=headers)
    operation = schema.find_operation_by_label(label)
    assert operation is not None
    there = _there(label, own)
    try:
        cases = operation.as_strategy(generation_mode=mode)
    except Exception as error:  # nothing about it can be wrong
        pytest.skip(f"{type(error).__name__}: {error}"[:80])
    statuses = set()

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(case=cases)
    def sent(case: Any) -> None:
        if mode is GenerationMode.POSITIVE:  # else hardly a number would be one that is there
            case.path_parameters = {**(case.path_parameters or {}), **there}
        answer = case.call(headers={**dict(case.headers or {}), **headers})
        statuses.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    sent()
    assert not any(status >= 500 for status in statuses)
    if mode is GenerationMode.POSITIVE and label not in UNLIKELY:
        assert any(200 <= status < 300 for status in statuses), statuses


UNLIKELY = (
    "POST /api/v1/uploads", "PUT /api/v1/uploads/{pk}/file", "POST /api/v1/exports",
    "POST /api/v1/clinical/tables", "POST /api/v1/scans/{pk}/sendings",
    "POST /api/v1/scans/{pk}/grades/first", "POST /api/v1/scans/{pk}/grades/second",
    "POST /api/v1/scans/{pk}/draft/edits", "POST /api/v1/scans/{pk}/draft/drop",
    "POST /api/v1/scans/{pk}/draft/save",
)  # fmt: skip
"""What chance hardly makes well: names of centres that are there, an offset where a file ends, the
number of the last grade, hashes of objects; or what is well once alone."""


def _there(label: str, own: Hospital) -> dict[str, Any]:
    return CALLS[NAMES[label]].keys(own, own.upload.owner)
