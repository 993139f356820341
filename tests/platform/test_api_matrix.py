"""Every operation of the API, as everybody: roles, foreign centres, tokens without the scope."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from api_calls import CALLS, OPERATIONS, ask, prepared, right_of, scope_of, token_of
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from platform_world import hospital
from sending_world import set_archives

from covidlit.platform.accounts.rights import RIGHTS, Right, Role
from covidlit.platform.api.models import TOKEN_SCOPES
from covidlit.platform.api.whole import ROOT
from covidlit.platform.audit.models import Entry
from covidlit.platform.intake.models import Upload
from covidlit.platform.jobs.models import Job
from covidlit.platform.pacs.settings import DicomwebArchive

pytestmark = pytest.mark.django_db

_ARCHIVE = DicomwebArchive(kind="dicomweb", name="pacs", url="http://127.0.0.1:9/dicom-web")


@pytest.fixture(autouse=True)
def archive(monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that results may be sent to."""
    set_archives(monkeypatch, _ARCHIVE)


def _content(answer: Any) -> str:
    if answer.streaming:
        answer.streaming_content = [b"".join(answer.streaming_content)]
    return str(answer.getvalue().decode("latin-1"))


def _leaks(answer: Any) -> bool:
    content = _content(answer) + str(answer.headers)
    return any(each in content for each in ("P-south", "S-P-south", "south-owner"))


def _names_somebody(answer: Any) -> bool:
    content = _content(answer)
    return "secret-" in content or "Secret^" in content or "1950-01-02" in content


def test_every_address_is_an_operation_with_its_right_and_is_asked_here() -> None:
    assert set(OPERATIONS) == set(CALLS)
    for name, each in OPERATIONS.items():
        rights = {callback.right for callback in each.auth_callbacks}
        assert [type(c).__name__ for c in each.auth_callbacks] == ["TokenAuth", "SessionAuth"]
        assert len(rights) == 1, name
        assert rights <= {None, *Right}
        assert len(each.methods) == 1
    (root,) = (p for p in get_resolver().url_patterns if str(p.pattern) == ROOT)
    assert isinstance(root, URLResolver)
    there = {p.name for p in root.url_patterns if isinstance(p, URLPattern)}
    assert there - {"api-root", None} == set(OPERATIONS)
    for address in (f"/{ROOT}", f"/{ROOT}nothing", f"/{ROOT}patients/"):
        assert Client().get(address).status_code == 404


@pytest.mark.parametrize("name", list(CALLS))
def test_an_operation_is_for_those_with_its_right_in_their_own_centre(name: str) -> None:
    own, foreign = hospital("north"), hospital("south")
    right = right_of(name)
    for role in Role:
        client = own.client(role)
        person = own.people[role]
        full = token_of(person, *TOKEN_SCOPES)
        for by in ({}, {"token": full}):
            caller = Client() if by else client
            well, other = ask(caller, name, own, **by), ask(caller, name, foreign, **by)
            if right is not None and right not in RIGHTS[role]:
                assert (well.status_code, other.status_code) == (403, 403), role
                continue
            assert well.status_code == CALLS[name].well, (role, well.content)
            if CALLS[name].names:
                assert other.status_code == 404, role
            elif CALLS[name].body is not None:
                assert other.status_code == 403, role
            else:
                assert other.status_code == CALLS[name].well, role
            assert not _leaks(well), role
            assert not _leaks(other) or other.status_code == 404, role
            assert _names_somebody(well) == (name == "identity")
            assert not _names_somebody(other)
        if right is not None:
            lacking = [scope for scope, each in TOKEN_SCOPES.items() if each is not right]
            refused = ask(Client(), name, own, token=token_of(person, *lacking))
            assert refused.status_code == 403, role
            said = refused.headers.get("WWW-Authenticate", "")
            assert ("insufficient_scope" in said) == (right in RIGHTS[role])
    assert foreign.job.state == "waiting"
    assert foreign.upload.job is None


@pytest.mark.parametrize("name", list(CALLS))
def test_nobody_calls_without_a_log_in(name: str) -> None:
    own = hospital("north")
    for token in ("", "covidlit_nothing", "\xff"):
        answer = ask(Client(), name, own, token)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["fix"]


@pytest.mark.parametrize("name", [n for n, o in OPERATIONS.items() if o.methods != ["GET"]])
def test_a_request_from_another_site_changes_nothing(name: str) -> None:
    own, right = hospital("north"), right_of(name)
    role = next(role for role in Role if right in RIGHTS[role])
    own.client(role)
    client = Client(enforce_csrf_checks=True)
    client.force_login(own.people[role])
    call = prepared(client, name, own)
    before = _counted()
    answer = call()
    assert answer.status_code == 403
    assert answer.json()["where"] == "X-CSRFToken"
    assert _counted() == before
    # A token of nobody does not open what the session would, and one of his needs no page.
    assert ask(client, name, own, token="covidlit_x").status_code == 401
    text = token_of(own.people[role], scope_of(name))
    assert ask(client, name, own, token=text).status_code == CALLS[name].well


def _counted() -> list[int]:
    """Of what calls change: something that was done is in the audit trail."""
    jobs = Job.objects.filter(state="waiting")
    return [Entry.objects.count(), jobs.count(), Upload.objects.count()]


def test_the_page_names_every_operation() -> None:
    own = hospital("north")
    page = own.client(Role.READER).get(reverse("api_page")).content.decode()
    schema = own.client(Role.READER).get(reverse("api:openapi")).json()
    for path, methods in schema["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in page


def test_what_a_person_may_nowhere_a_token_may_not_either() -> None:
    own = hospital("north")
    own.client(Role.READER)
    reader = own.people[Role.READER]
    text = token_of(reader, *TOKEN_SCOPES)
    rights = Client().get(reverse("api:me"), headers={"authorization": f"Bearer {text}"}).json()
    assert [each["right"] for each in rights["rights"]] == ["view"]
    assert rights["rights"][0]["centre"] == "north"
    assert datetime.fromisoformat(rights["token"]["expires_at"]) > datetime.now(UTC)
