"""Every address of DICOMweb, as everybody: own and foreign centre, and who may know a name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from api_calls import token_of
from dicomweb_world import ct_slices, names, new_uid, stored_dicom, write
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from platform_world import hospital
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless
from stow_bodies import KIND, body_of

from covidlit.platform.accounts.rights import RIGHTS, Right, Role
from covidlit.platform.api.models import TOKEN_SCOPES
from covidlit.platform.audit.models import Entry
from covidlit.platform.dicomweb.deidentify import shown_uid
from covidlit.platform.dicomweb.index import look_into
from covidlit.platform.dicomweb.models import StoredSeries
from covidlit.platform.intake.models import Upload
from covidlit.platform.registry.models import Scan

pytestmark = pytest.mark.django_db

STAR = 'multipart/related; type="application/dicom"; transfer-syntax=*'
ACCEPTED = ("*/*", STAR)
"""With which each address is asked."""


def _addresses() -> dict[str, dict[str, Any]]:
    (root,) = (p for p in get_resolver().url_patterns if str(p.pattern) == "dicom-web/")
    found = {}
    for pattern in root.url_patterns:  # type: ignore[union-attr]
        assert isinstance(pattern, URLPattern)
        if pattern.name:
            found[pattern.name] = pattern.callback.views
    return found


ADDRESSES = _addresses()
CALLS = [(name, method) for name, views in ADDRESSES.items() for method in views]


def _keys(name: str, series: StoredSeries, identified: bool) -> dict[str, str]:
    """What an address names, as somebody sees it who may know the patient or not."""

    def shown(uid: str) -> str:
        return uid if identified else shown_uid(uid)

    own = {
        "study": shown(series.study_uid), "series": shown(series.series_uid),
        "instance": shown(series.instances[0].uid), "frames": "1", "frame": "1",
    }  # fmt: skip
    wanted = {"studies": (), "all_series": (), "study": ("study",), "study_metadata": ("study",),
              "series_of_study": ("study",), "instances_of_study": ("study",)}  # fmt: skip
    keys = wanted.get(name)
    if keys is None:
        keys = ("study", "series") if name in ("series", "series_metadata", "instances") else (
            "study", "series", "instance")  # fmt: skip
        keys += {"frames": ("frames",), "rendered_frame": ("frame",)}.get(name, ())
    return {key: own[key] for key in keys}


def ask(
    client: Client, name: str, method: str, keys: dict[str, str], token: str = "",
    accept: str = "*/*",
) -> Any:  # fmt: skip
    headers = {"accept": accept} | ({"authorization": f"Bearer {token}"} if token else {})
    address = reverse(f"dicomweb:{name}", kwargs=keys)
    if method == "POST":
        study = keys.get("study", new_uid())
        body = body_of(ct_slices("north", study, new_uid(), n=2))
        headers["accept"] = "*/*"
        return client.post(
            f"{address}?study_group=clinic", body, content_type=KIND, headers=headers
        )
    return client.get(address, headers=headers)


def content_of(answer: Any) -> bytes:
    content = answer.getvalue() if answer.streaming else answer.content
    return content + str(answer.headers).encode()


def _series_of(scan: Scan) -> list[StoredSeries]:
    look_into(scan)
    return list(scan.series.select_related("scan__patient", "labelling"))


def test_every_address_has_a_service_with_its_right() -> None:
    assert len(CALLS) == 16
    for name, method in CALLS:
        right = ADDRESSES[name][method].right
        assert right is (Right.UPLOAD if method == "POST" else Right.VIEW)
    for address in ("/dicom-web/", "/dicom-web/nothing", "/dicom-web/studies/", "/dicom-web/x/y"):
        answer = Client().get(address)
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert Client().delete("/dicom-web/studies").status_code == 405
    assert Client().post("/dicom-web/studies", {"a": 1}).status_code == 415


@pytest.mark.parametrize(("name", "method"), CALLS)
def test_an_address_is_for_those_with_its_right_in_their_own_centre(name: str, method: str) -> None:
    own, foreign = hospital("north"), hospital("south")
    mine, other = (_series_of(stored_dicom(h))[0] for h in (own, foreign))
    right = ADDRESSES[name][method].right
    for role in Role:
        client = own.client(role)
        identified = Right.IDENTIFY in RIGHTS[role]
        full = token_of(own.people[role], *TOKEN_SCOPES)
        for token in ("", full):
            caller = Client() if token else client
            well = ask(caller, name, method, _keys(name, mine, identified), token)
            if right not in RIGHTS[role]:
                assert well.status_code == 403, role
                continue
            assert well.status_code == (202 if method == "POST" else 200), (role, well.content)
            content = content_of(well)
            assert b"P-south" not in content
            assert b"secret-south" not in content
            assert identified or not names(content), role
            keys = _keys(name, other, identified)
            for foreign_keys in (keys, _keys(name, other, not identified)):
                if keys and method == "GET":
                    refused = ask(caller, name, method, foreign_keys, token)
                    assert refused.status_code == 404, role
            if keys and method == "GET":  # UIDs of the others' kind open nothing either
                odd = ask(caller, name, method, _keys(name, mine, not identified), token)
                assert odd.status_code == 404, role
        if right in RIGHTS[role]:
            lacking = [scope for scope, each in TOKEN_SCOPES.items() if each is not right]
            scopes = token_of(own.people[role], *lacking)
            refused = ask(Client(), name, method, _keys(name, mine, identified), scopes)
            assert refused.status_code == 403, role
    assert not Upload.objects.filter(centre=foreign.centre, n_files__gt=0).exists()


@pytest.mark.parametrize(("name", "method"), CALLS)
def test_nobody_is_answered_without_a_log_in(name: str, method: str) -> None:
    keys = _keys(name, _series_of(stored_dicom(hospital("north")))[0], False)
    for token in ("", "covidlit_nothing"):
        answer = ask(Client(), name, method, keys, token)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")
    client = Client(enforce_csrf_checks=True)
    own = hospital("west")
    own.client(Role.PHYSICIAN)
    client.force_login(own.people[Role.PHYSICIAN])
    answer = ask(client, name, method, keys)
    assert answer.status_code == (403 if method == "POST" else 200 if not keys else 404)


def _asked(client: Client, series: StoredSeries, identified: bool, token: str) -> Iterator[Any]:
    """Every GET address of every object of a series, in every media type."""
    for name, method in CALLS:
        if method == "GET":
            for accept in ACCEPTED:
                keys = _keys(name, series, identified)
                answer = ask(client, name, method, keys, token, accept)
                yield name, accept, answer


@pytest.mark.parametrize("kind", [None, ImplicitVRLittleEndian, JPEG2000Lossless])
def test_no_byte_of_any_answer_tells_strangers_who_a_patient_is(kind: str | None) -> None:
    own = hospital("north")
    scan = stored_dicom(own, kind) if kind else stored_dicom(own)
    series = _series_of(scan)
    assert {each.modality for each in series} == {"CT", "OT"}
    strangers = [role for role in Role if Right.IDENTIFY not in RIGHTS[role]]
    own.client(Role.PHYSICIAN)
    unnamed = token_of(own.people[Role.PHYSICIAN], "read", "upload")
    n_told = 0
    for role, token in [*((role, "") for role in strangers), (Role.PHYSICIAN, unnamed)]:
        client = Client() if token else own.client(role)
        for each in series:
            for name, accept, answer in _asked(client, each, False, token):
                assert not names(content_of(answer)), (role, name, accept)
                n_told += answer.status_code == 200
                may = role is not Role.DEVICE and each.modality == "CT"
                if may and (accept == "*/*" or name == "instance"):
                    assert answer.status_code == 200, (role, name, accept)
    assert n_told > 200
    # The same asked by one who may know: the names were there to be told.
    told = [content_of(a) for _, _, a in _asked(own.client(Role.PHYSICIAN), series[0], True, "")]
    assert sum(map(names, told)) >= 6
    assert Entry.objects.filter(action="read by DICOMweb", centre="north").exists()


def test_what_names_its_patient_whatever_is_done_is_for_those_who_may_know() -> None:
    own = hospital("north")
    series = _series_of(stored_dicom(own))
    (pdf,) = (each for each in series if each.names_patient)
    for role, there in ((Role.READER, False), (Role.PHYSICIAN, True)):
        keys = _keys("instance", pdf, there)
        status = ask(own.client(role), "instance", "GET", keys).status_code
        assert status == (200 if there else 404)
        listed = ask(own.client(role), "all_series", "GET", {})
        uids = [each["0020000E"]["Value"][0] for each in json.loads(listed.content)]
        assert (keys["series"] in uids) == there
        assert len(uids) == len(series) - (not there)


def test_a_study_of_two_centres_shows_each_its_own() -> None:
    own, foreign = hospital("north"), hospital("south")
    study, series = new_uid(), new_uid()
    for h in (own, foreign):
        scan = stored_dicom(h)
        folder = settings.FOLDER.scans / scan.folder / "dicom"
        for number, each in enumerate(ct_slices(h.centre.name, study, series), start=1):
            write(each, folder / f"{number:05}.dcm")
        look_into(scan)
    answer = ask(own.client(Role.PHYSICIAN), "study", "GET", {"study": study})
    content = content_of(answer)
    assert content.count(b"Content-Type: application/dicom") == 6
    assert b"secret-south" not in content


def test_a_right_that_is_taken_ends_with_the_next_call() -> None:
    own = hospital("north")
    keys = _keys("instance", _series_of(stored_dicom(own))[0], False)
    client = own.client(Role.READER)
    token = token_of(own.people[Role.READER], "read")
    assert ask(client, "instance", "GET", keys).status_code == 200
    own.patient.study_groups.clear()
    assert ask(client, "instance", "GET", keys).status_code == 404
    own.people[Role.READER].memberships.all().delete()
    assert ask(client, "instance", "GET", keys).status_code == 403
    assert ask(Client(), "instance", "GET", keys, token).status_code == 403
