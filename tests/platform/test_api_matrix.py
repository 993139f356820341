"""Every operation of the API, as everybody: roles, foreign centres, tokens without the scope."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from platform_world import Hospital, hospital

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import RIGHTS, Right, Role
from covidlit.platform.api.models import TOKEN_SCOPES, Token
from covidlit.platform.api.tokens import find_token, make_token
from covidlit.platform.api.whole import ROOT, operations
from covidlit.platform.intake.models import Upload

pytestmark = pytest.mark.django_db


class Call(NamedTuple):
    """How an operation is called, in a hospital.

    Args:
        keys: what its address names; with a hospital's own objects.
        query: behind its address.
        body: sent along, as JSON.
        well: status where all is well.
    """

    keys: Callable[[Hospital], dict[str, Any]] = lambda h: {}
    query: str = ""
    body: Callable[[Hospital], dict[str, Any]] | None = None
    well: int = 200


def _patient(h: Hospital) -> dict[str, Any]:
    return {"pseudonym": h.patient.pseudonym}


def _scan(h: Hospital) -> dict[str, Any]:
    return {"pk": h.scans[0].pk}


def _labelling(h: Hospital) -> dict[str, Any]:
    return {"pk": h.scans[0].labellings.get(disease="covid-19").pk}


def _upload(h: Hospital) -> dict[str, Any]:
    return {"pk": h.upload.pk}


CALLS = {
    "me": Call(),
    "openapi": Call(),
    "patients": Call(),
    "patient": Call(_patient),
    "identity": Call(_patient),
    "scans_of_patient": Call(_patient),
    "trend": Call(_patient),
    "scan": Call(_scan),
    "labellings_of_scan": Call(_scan),
    "slice_of_scan": Call(lambda h: {**_scan(h), "index": 2}),
    "plane_of_scan": Call(lambda h: {**_scan(h), "index": 2}),
    "labelling": Call(_labelling),
    "lesions": Call(_labelling),
    "plane_of_labelling": Call(lambda h: {**_labelling(h), "index": 2}),
    "labels": Call(_labelling),
    "definitions": Call(),
    "diseases": Call(),
    "factors": Call(),
    "jobs": Call(),
    "job": Call(lambda h: {"pk": h.job.pk}),
    "job_again": Call(lambda h: {"pk": h.job.pk}),
    "cancel_job": Call(lambda h: {"pk": h.job.pk}),
    "measure": Call(_patient, well=202),
    "uploads": Call(),
    "new_upload": Call(
        body=lambda h: {"centre": h.centre.name, "study_group": h.group.name}, well=201
    ),
    "upload": Call(_upload),
    "received": Call(_upload, "?name=a"),
    "send_piece": Call(_upload, "?name=a"),
    "finish": Call(_upload),
    "trail": Call(),
}
"""A new operation has to be added here: the first test names those that are not."""

OWNERS = ("received", "send_piece", "finish")
"""What is done with an upload, for its owner alone."""

OPERATIONS = {each.operation_id: each for _, each in operations()}


def right_of(name: str) -> Right | None:
    """The right that an operation says it needs."""
    found: Right | None = OPERATIONS[name].auth_callbacks[0].right
    return found


def ask(client: Client, name: str, h: Hospital, token: str = "") -> Any:
    """Call an operation, by the client's session or by a token."""
    call = CALLS[name]
    keys = call.keys(h)
    if name in OWNERS:  # an upload of the caller himself, of this hospital
        mine = Upload.objects.filter(
            owner_id=client.session.get("_auth_user_id") or _owner_of(token), centre=h.centre
        )
        keys = {"pk": (mine.first() or h.upload).pk}
    address = reverse(f"api:{name}", kwargs=keys) + call.query
    extra: dict[str, Any] = {"headers": {"authorization": f"Bearer {token}"}} if token else {}
    if call.body is not None:
        extra |= {"data": call.body(h), "content_type": "application/json"}
    elif OPERATIONS[name].methods == ["PUT"]:
        extra["data"] = b"1"
    return getattr(client, OPERATIONS[name].methods[0].lower())(address, **extra)


def _owner_of(token: str) -> int | None:
    found = find_token(token) if token else None
    return found.owner_id if found else None


def token_of(user: User, *scopes: str) -> str:
    """The text of a token with these scopes, whatever the person may do."""
    rights = user.rights_anywhere()
    own = next(scope for scope, right in TOKEN_SCOPES.items() if right in rights)
    token, text = make_token(user, "test", [own], 1)
    Token.objects.filter(pk=token.pk).update(scopes=list(scopes))
    return text


def _leaks(answer: Any) -> bool:
    content = answer.content.decode("latin-1") + str(answer.headers)
    return any(each in content for each in ("P-south", "S-P-south", "south-owner"))


def _names_somebody(answer: Any) -> bool:
    content = answer.content.decode("latin-1")
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
    names_objects = bool(CALLS[name].keys(own))
    for role in Role:
        client = own.client(role)
        person = own.people[role]
        mine = Upload.objects.create(owner=person, centre=own.centre, study_group=own.group)
        Upload.objects.filter(pk=mine.pk).update(n_files=1)
        full = token_of(person, *TOKEN_SCOPES)
        for by in ({}, {"token": full}):
            caller = Client() if by else client
            well, other = ask(caller, name, own, **by), ask(caller, name, foreign, **by)
            if right is not None and right not in RIGHTS[role]:
                assert (well.status_code, other.status_code) == (403, 403), role
                continue
            assert well.status_code == CALLS[name].well, (role, well.content)
            if names_objects:
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
    own = hospital("north")
    own.client(Role.PHYSICIAN)
    person = own.people[Role.PHYSICIAN]
    mine = Upload.objects.create(owner=person, centre=own.centre, study_group=own.group, n_files=1)
    client = Client(enforce_csrf_checks=True)
    client.force_login(person)
    answer = ask(client, name, own)
    assert answer.status_code == 403
    assert answer.json()["where"] == "X-CSRFToken"
    own.job.refresh_from_db()
    mine.refresh_from_db()
    assert (own.job.state, mine.job, Upload.objects.count()) == ("waiting", None, 2)
    # A token of nobody does not open what the session would, and one of his needs no page.
    assert ask(client, name, own, token="covidlit_x").status_code == 401
    text = token_of(person, "upload")
    assert ask(client, name, own, token=text).status_code == CALLS[name].well


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
