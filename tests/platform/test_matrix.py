"""Every address, as everybody: own centre and foreign, with and without the right, logged out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import matrix_objects
import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from platform_world import Hospital, hospital
from sending_world import sending_of, set_archives, with_objects

from covidlit.lesions.report import DOCUMENT
from covidlit.platform.accounts.models import Membership, User
from covidlit.platform.accounts.rights import RIGHTS, Right, Role
from covidlit.platform.api.models import Token
from covidlit.platform.correcting.models import Correction
from covidlit.platform.exporting.models import Export
from covidlit.platform.grading.giving import Judgement, Seen, give
from covidlit.platform.grading.models import Level
from covidlit.platform.grading.standing import standing_of
from covidlit.platform.patients.report import report_path

pytestmark = pytest.mark.django_db


class Page(NamedTuple):
    """How a page is asked for, in a hospital.

    Args:
        method: of HTTP.
        keys: what its address names; with a hospital's own objects.
        data: sent along.
        well: statuses of one who may.
        is_of_object: whether the address names something of one centre.
        has: gives whoever asks something of the hospital, own or foreign.
    """

    method: str
    keys: Callable[[Hospital], dict[str, Any]] = lambda h: {}
    data: Callable[[Hospital], dict[str, Any]] = lambda h: {}
    well: tuple[int, ...] = (200,)
    is_of_object: bool = False
    has: Callable[[Hospital, User], None] = lambda h, user: None


def _scan_of(h: Hospital) -> dict[str, Any]:
    return {"pk": h.scans[0].pk}


def _export_of(h: Hospital) -> dict[str, Any]:
    found = Export.objects.filter(centre=h.centre).order_by("pk").last()
    return {"pk": found.pk if found else 0}


def _role_of(h: Hospital) -> dict[str, Any]:
    user = h.upload.owner
    found, _ = Membership.objects.get_or_create(
        user=user, role="READER", centre=h.centre, study_group=h.group
    )
    return {"pk": found.pk}


def _account_of(h: Hospital) -> dict[str, Any]:
    _role_of(h)  # by which it is one of the hospital's alone
    return {"pk": h.upload.owner.pk}


def _token_of(h: Hospital) -> dict[str, Any]:
    _role_of(h)  # an administrator of the hospital may revoke it, and nobody else
    found, _ = Token.objects.get_or_create(
        owner=h.upload.owner, digest=h.centre.name, expires_at=datetime(2100, 1, 1, tzinfo=UTC)
    )
    return {"pk": found.pk}


def _first_graded(h: Hospital) -> dict[str, Any]:
    scan = h.scans[1]
    if not scan.grades.exists():
        give(
            scan,
            "covid-19",
            h.upload.owner,
            Level.FIRST,
            Seen.of(standing_of(scan, "covid-19")),
            Judgement("", "good"),
        )
    return {"pk": scan.pk}


def _grade(number: int) -> Callable[[Hospital], dict[str, Any]]:
    said = {"decision": "grade", "quality_grade": "good", "class_name": "covid"}
    return lambda h: {**said, "number": number, "version": 1}


def _scan_with_objects(h: Hospital) -> dict[str, Any]:
    return {"pk": with_objects(h.scans[0]).scan_id}


def _reported(h: Hospital) -> dict[str, Any]:
    for ending in (".html", DOCUMENT):
        path = report_path(h.patient, settings.FOLDER.diseases["covid-19"], ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"report of {h.patient.pseudonym}")
    return {"pseudonym": h.patient.pseudonym}


def _fetch_of(h: Hospital) -> dict[str, str]:
    place = {"archive": "pacs", "centre": h.centre.name, "study_group": h.group.name}
    return {**place, "patient_id": "of somebody", "series": "1.2/1.3"}


PAGES = {
    "patients": Page("get"),
    "find_patients": Page("post", data=lambda h: {"search": f"secret-{h.centre.name}"}),
    "patient": Page("get", lambda h: {"pseudonym": h.patient.pseudonym}, is_of_object=True),
    "report": Page("get", _reported, is_of_object=True),
    "report_pdf": Page("get", _reported, is_of_object=True),
    "scan": Page("get", lambda h: {"pk": h.scans[0].pk}, is_of_object=True),
    "slice": Page("get", lambda h: {"pk": h.scans[0].pk, "index": 2}, is_of_object=True),
    "plane": Page(
        "get", lambda h: {"pk": h.scans[0].pk, "axis": "coronal", "index": 2}, is_of_object=True
    ),
    "positions": Page("get", _scan_of, is_of_object=True),
    "volume": Page("get", lambda h: {**_scan_of(h), "size": 128}, is_of_object=True),
    "volume_labels": Page(
        "get", lambda h: {**_scan_of(h), "version": 1, "size": 128}, is_of_object=True
    ),
    "volume_surfaces": Page("get", lambda h: {**_scan_of(h), "version": 1}, is_of_object=True),
    "correct": Page("get", _scan_of, is_of_object=True),
    "begin_correction": Page("post", _scan_of, well=(302,), is_of_object=True),
    "draft_slice": Page(
        "get", lambda h: {**_scan_of(h), "index": 2}, is_of_object=True, has=matrix_objects.draft
    ),
    "edit_lesion": Page("post", _scan_of, well=(400,), is_of_object=True),
    "undo_edit": Page("post", _scan_of, well=(302,), is_of_object=True),
    "drop_correction": Page("post", _scan_of, well=(302,), is_of_object=True),
    "renew_correction": Page("post", _scan_of, well=(302,), is_of_object=True),
    "save_correction": Page("post", _scan_of, well=(400,), is_of_object=True),
    "measure_correction": Page("post", _scan_of, well=(302,), is_of_object=True),
    "reopen_correction": Page("post", _scan_of, well=(302,), is_of_object=True),
    "correction_state": Page("get", _scan_of, is_of_object=True),
    "exports": Page("get"),
    "begin_export": Page(
        "post", data=lambda h: {"centre": h.centre.name, "study_group": h.group.name}, well=(302,)
    ),
    "download_export": Page("get", _export_of, is_of_object=True, has=matrix_objects.made_export),
    "send": Page("get", lambda h: _scan_with_objects(h), is_of_object=True),
    "confirm_sending": Page(
        "post", lambda h: _scan_with_objects(h), well=(302,), is_of_object=True
    ),
    "objects": Page("get", lambda h: {**_scan_with_objects(h), "version": 1}, is_of_object=True),
    "object": Page(
        "get",
        lambda h: {**_scan_with_objects(h), "version": 1, "name": "report.dcm"},
        is_of_object=True,
    ),
    "fhir_report": Page("get", lambda h: _scan_with_objects(h), is_of_object=True),
    "fhir_study": Page("get", lambda h: _scan_with_objects(h), is_of_object=True),
    "sendings": Page("get"),
    "sending": Page("get", lambda h: {"pk": sending_of(h).pk}, is_of_object=True),
    "send_again": Page("post", lambda h: {"pk": sending_of(h).pk}, well=(302,), is_of_object=True),
    "uploads": Page("get"),
    "fetch": Page("get"),
    "search_archive": Page("post", data=lambda h: _fetch_of(h)),
    "begin_fetch": Page("post", data=lambda h: _fetch_of(h), well=(302,)),
    "begin_upload": Page(
        "post", data=lambda h: {"centre": h.centre.name, "study_group": h.group.name}, well=(302,)
    ),
    "upload": Page("get", lambda h: {"pk": h.upload.pk}, is_of_object=True),
    "finish_upload": Page(
        "post",
        lambda h: {"pk": h.upload.pk},
        well=(302,),
        is_of_object=True,
        has=matrix_objects.begun_upload,
    ),
    "drop_upload": Page(
        "post",
        lambda h: {"pk": h.upload.pk},
        well=(302,),
        is_of_object=True,
        has=matrix_objects.begun_upload,
    ),
    "clinical_tables": Page("get"),
    "add_clinical_table": Page(
        "post", data=lambda h: {"centre": h.centre.name, "study_group": h.group.name}, well=(302,)
    ),
    "clinical_table": Page("get", lambda h: {"pk": h.table.pk}, is_of_object=True),
    "withdraw_clinical_table": Page(
        "post",
        lambda h: {"pk": h.table.pk},
        well=(302,),
        is_of_object=True,
        has=matrix_objects.read_table,
    ),
    "jobs": Page("get"),
    "end_job": Page("post", lambda h: {"pk": h.job.pk}, well=(302,), is_of_object=True),
    "job_again": Page("post", lambda h: {"pk": h.job.pk}, well=(302,), is_of_object=True),
    "grading": Page("get"),
    "first_queue": Page("get"),
    "next_first": Page("get", well=(302,)),
    "grade_first": Page(
        "post", lambda h: {"pk": h.scans[0].pk}, _grade(0), well=(302,), is_of_object=True
    ),
    "second_queue": Page("get"),
    "next_second": Page("get", well=(302,)),
    "grade_second": Page("post", _first_graded, _grade(1), well=(302,), is_of_object=True),
    "grading_manifest": Page("get"),
    "people": Page("get"),
    "add_person": Page("post", well=(302,)),
    "renew_password": Page("post", _account_of, is_of_object=True),
    "close_account": Page("post", _account_of, well=(302,), is_of_object=True),
    "open_account": Page("post", _account_of, well=(302,), is_of_object=True),
    "give_role": Page(
        "post",
        data=lambda h: {
            "username": h.upload.owner.username,
            "role": "READER",
            "centre": h.centre.name,
            "study_group": h.group.name,
        },
        well=(302,),
    ),
    "take_role": Page("post", _role_of, well=(302,)),
    "places": Page("get"),
    "add_centre": Page("post", data=lambda h: {"name": "new"}, well=(403,)),
    "add_study_group": Page("post", data=lambda h: {"name": "new"}, well=(403,)),
    "follow_disease": Page(
        "post", lambda h: {"pk": h.group.pk}, lambda h: {"disease": "fibrosis"}, well=(403,)
    ),
    "trail": Page("get"),
    "tokens": Page("get"),
    "add_token": Page("post", data=lambda h: {"name": "a", "scopes": "read", "days": "90"}),
    "revoke_token": Page("post", _token_of, well=(302, 404), is_of_object=True),
    "revoke_tokens": Page("post", well=(302,)),
    "api_page": Page("get"),
}
"""A new page has to be added here: the first test names those that are not. Centres and study
groups are made by whoever manages everywhere. What is included from elsewhere has tests of its own:
the API's operations name their rights, and test_api_matrix.py asks them."""

BY_SCOPE = (
    "give_role", "take_role", "begin_upload", "begin_export", "add_clinical_table",
    "search_archive", "begin_fetch",
)  # fmt: skip
"""Pages that refuse a foreign centre by 403: what they name is no secret."""

OF_ONE = ("draft_slice", "download_export", "finish_upload", "drop_upload")
"""Pages of what is one person's alone, and of no colleague's."""

NAMED = ("patient", "send", "objects", "object", "fhir_report", "fhir_study")
"""Pages on which those with the right to it see who a patient is."""


def _own_pages() -> Iterator[URLPattern]:
    for pattern in get_resolver().url_patterns:
        if not isinstance(pattern, URLResolver):
            yield pattern


def _ask(client: Client, name: str, h: Hospital, whose: User | None = None) -> Any:
    """The answer to somebody, about something of his own, or of another one's."""
    page = PAGES[name]
    if whose is None and "_auth_user_id" in client.session:
        whose = User.objects.get(pk=client.session["_auth_user_id"])
    if whose is not None:
        page.has(h, whose)
    send = getattr(client, page.method)
    address = reverse(name, kwargs=page.keys(h))
    return send(address, page.data(h))


def test_every_page_says_its_right_and_is_asked_here() -> None:
    named = set()
    for pattern in _own_pages():
        if getattr(pattern.callback, "is_public", False):
            continue
        assert isinstance(getattr(pattern.callback, "right", None), Right), pattern
        named.add(pattern.name)
    assert named == set(PAGES)


@pytest.mark.parametrize("name", list(PAGES))
def test_a_page_is_for_those_with_its_right_in_their_own_centre(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in ("search_archive", "begin_fetch"):
        set_archives(monkeypatch, matrix_objects.archive())
    own, foreign = hospital("north"), hospital("south")
    right = next(p.callback.right for p in _own_pages() if p.name == name)
    page, colleague = PAGES[name], own.upload.owner
    for role in Role:
        client = own.client(role)
        mine = _ask(client, name, own)
        other = _ask(client, name, foreign)
        if right not in RIGHTS[role]:
            assert (mine.status_code, other.status_code) == (403, 403), role
            continue
        assert mine.status_code in page.well, role
        if page.is_of_object:
            assert other.status_code == 404, role
        elif name in BY_SCOPE:
            assert other.status_code == 403, role
        if name in OF_ONE:
            Correction.objects.all().delete()
            of_another = _ask(client, name, own, whose=colleague)
            assert of_another.status_code == 404, role
        for answer in (mine, other):
            content = (answer.getvalue()).decode("latin-1") + str(answer.headers)
            assert "P-south" not in content, role
            assert ("secret-north" in content or "Secret^north" in content) == (
                name in NAMED and answer is mine and Right.IDENTIFY in RIGHTS[role]
            )
    assert foreign.job.state == "waiting"


@pytest.mark.parametrize("name", list(PAGES))
def test_nobody_sees_anything_logged_out(name: str) -> None:
    own = hospital("north")
    answer = _ask(Client(), name, own)
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("account_login"))


def test_a_right_that_is_taken_ends_with_the_next_click() -> None:
    own = hospital("north")
    client = own.client(Role.READER)
    assert _ask(client, "scan", own).status_code == 200
    own.people[Role.READER].memberships.all().delete()
    assert _ask(client, "scan", own).status_code == 403
    own.people[Role.READER].is_active = False
    own.people[Role.READER].save()
    assert _ask(client, "scan", own).status_code == 302


def test_a_patient_of_another_study_group_is_not_seen() -> None:
    own = hospital("north")
    client = own.client(Role.PHYSICIAN)
    own.patient.study_groups.clear()
    assert _ask(client, "patient", own).status_code == 404
    assert own.patient.pseudonym not in client.get("/").content.decode()


def test_a_form_from_elsewhere_is_refused() -> None:
    own = hospital("north")
    user = own.client(Role.ADMINISTRATOR).session["_auth_user_id"]
    client = Client(enforce_csrf_checks=True)
    client.force_login(own.people[Role.ADMINISTRATOR])
    assert user
    for name, page in PAGES.items():
        if page.method != "get":
            assert _ask(client, name, own).status_code == 403, name


def test_a_role_beyond_ones_own_scope_cannot_be_given() -> None:
    own = hospital("north")
    client = own.client(Role.ADMINISTRATOR)
    data = {"username": own.upload.owner.username, "role": "ADMINISTRATOR"}
    for scope in ({}, {"centre": "north"}, {"study_group": "clinic"}):
        assert client.post(reverse("give_role"), {**data, **scope}).status_code == 403
    assert not own.upload.owner.memberships.filter(role="ADMINISTRATOR").exists()
