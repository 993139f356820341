"""Tokens: made, shown once, no more than their owner, ended; and what calls leave in the trail."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from platform_world import PASSWORD, Hospital, hospital

from covidlit.errors import ConfigError
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.api.authenticate import MOST_WRONG
from covidlit.platform.api.models import Look, Token
from covidlit.platform.api.tokens import MOST_TOKENS, make_token
from covidlit.platform.audit.models import Entry
from covidlit.platform.directory import middleware
from covidlit.platform.directory.kinds import Gone
from covidlit.platform.registry.models import Scan

pytestmark = pytest.mark.django_db

NEW = "another phrase that is long enough"


@pytest.fixture(autouse=True)
def _nobody_has_tried() -> None:
    cache.clear()


@pytest.fixture
def own() -> Hospital:
    own = hospital("north")
    own.client(Role.PHYSICIAN)
    return own


@pytest.fixture
def physician(own: Hospital) -> User:
    return own.people[Role.PHYSICIAN]


def call(text: str, path: str = "patients", **more: Any) -> Any:
    headers = {"authorization": f"Bearer {text}"}
    return Client().get(f"/api/v1/{path}", headers=headers, **more)


def test_a_token_is_shown_once_and_kept_as_a_hash(own: Hospital, physician: User) -> None:
    client = own.client(Role.PHYSICIAN)
    data = {"name": "my script", "scopes": ["read", "export"], "days": "90"}
    page = client.post(reverse("add_token"), data)
    text = re.search(r'value="(covidlit_[\w-]{43})"', page.content.decode())[1]  # type: ignore[index]
    assert page["Cache-Control"] == "no-store"
    assert call(text).json()["rows"][0]["pseudonym"] == "P-north"
    again = client.get(reverse("tokens")).content.decode()
    assert "my script" in again
    assert text not in again
    token = Token.objects.get()
    assert token.digest == hashlib.sha256(text.encode()).hexdigest()
    assert text.removeprefix("covidlit_") not in str(Token.objects.values().get())
    assert timedelta(89) < token.expires_at - timezone.now() <= timedelta(90)
    entry = Entry.objects.filter(action="made").get()
    assert (entry.username, entry.details) == (
        physician.username, {"scopes": ["read", "export"], "days": 90},
    )  # fmt: skip
    assert "my script" not in str(Entry.objects.values())  # typed by a person: may be anything


@pytest.mark.parametrize(
    ("name", "scopes", "days"),
    [("", ["read"], 1), ("x" * 81, ["read"], 1), ("a\nb", ["read"], 1), ("a", [], 1),
     ("a", ["audit"], 1), ("a", ["manage"], 1), ("a", ["read"], 0), ("a", ["read"], 366)],
)  # fmt: skip
def test_a_token_that_cannot_be_is_refused(
    name: str, scopes: list[str], days: int, own: Hospital, physician: User
) -> None:
    with pytest.raises(ConfigError, match="token of"):
        make_token(physician, name, scopes, days)
    data = {"name": name, "scopes": scopes, "days": days}
    assert own.client(Role.PHYSICIAN).post(reverse("add_token"), data).status_code == 302
    assert not Token.objects.exists()


def test_there_are_not_endlessly_many(physician: User) -> None:
    for _ in range(MOST_TOKENS):
        make_token(physician, "a", ["read"], 1)
    with pytest.raises(ConfigError, match="already"):
        make_token(physician, "a", ["read"], 1)
    Token.objects.update(revoked_at=timezone.now())
    make_token(physician, "a", ["read"], 1)


def _end(token: Token) -> None:
    Token.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def _revoke(token: Token) -> None:
    client = Client()
    client.force_login(token.owner)
    assert client.post(reverse("revoke_token", kwargs={"pk": token.pk})).status_code == 302


def _send_away(token: Token) -> None:
    User.objects.filter(pk=token.owner_id).update(is_active=False)


def _revoke_all(token: Token) -> None:
    client = Client()
    client.force_login(token.owner)
    page = client.get(reverse("tokens")).content.decode()
    assert "Revoke all of them (1)" in page
    assert client.post(reverse("revoke_tokens")).status_code == 302
    assert "Revoke all" not in client.get(reverse("tokens")).content.decode()


def _change_password(token: Token) -> None:
    client = Client()
    data = {"login": token.owner.username, "password": PASSWORD}
    assert client.post(reverse("account_login"), data).status_code == 302
    change = reverse("account_change_password")
    assert "so do all of your" in client.get(change).content.decode()
    wrong = {"oldpassword": "not this one", "password1": NEW, "password2": NEW}
    client.post(change, wrong)
    assert Token.objects.get(pk=token.pk).is_alive  # nothing was changed
    client.post(change, {**wrong, "oldpassword": PASSWORD})
    assert User.objects.get(pk=token.owner_id).check_password(NEW)


def _give_first_password(token: Token) -> None:
    boss = make_user("boss", PASSWORD)
    give_role(boss, Role.ADMINISTRATOR)
    client = Client()
    client.force_login(boss)
    assert client.post(reverse("renew_password", kwargs={"pk": token.owner_id})).status_code == 200


@pytest.mark.parametrize(
    ("end", "entry"),
    [
        (_revoke_all, ("revoked all tokens", "tokens")),
        (_change_password, ("changed the password", "tokens")),
        (_give_first_password, ("gave a new first password", "tokens")),
    ],
)
def test_all_tokens_end_and_the_trail_says_how_many(
    end: Callable[[Token], None], entry: tuple[str, str], own: Hospital, physician: User
) -> None:
    other = own.upload.owner
    give_role(other, Role.READER, own.centre, own.group)
    _, foreign = make_token(other, "of somebody else", ["read"], 1)
    before, _ = make_token(physician, "ended before", ["read"], 1)
    _revoke(before)
    at = Token.objects.get(pk=before.pk).revoked_at
    token, text = make_token(physician, "a", ["read"], 1)
    end(token)
    assert call(text).status_code == 401
    assert call(foreign).status_code == 200
    assert Token.objects.get(pk=before.pk).revoked_at == at
    action, key = entry
    assert Entry.objects.get(action=action, subject=physician.username).details[key] == 1


@pytest.mark.parametrize("end", [_end, _revoke, _send_away])
def test_a_token_that_is_over_opens_nothing(end: Callable[[Token], None], physician: User) -> None:
    token, text = make_token(physician, "a", ["read"], 1)
    assert call(text).status_code == 200
    end(token)
    assert call(text).status_code == 401


def test_a_token_is_no_more_than_its_owner_at_the_moment(own: Hospital, physician: User) -> None:
    _, text = make_token(physician, "a", ["read", "identify", "export"], 1)
    identity = f"patients/{own.patient.pseudonym}/identity"
    assert call(text, identity).json()["name"] == "Secret^north"
    physician.memberships.all().delete()
    assert call(text).status_code == 403
    give_role(physician, Role.READER, own.centre, own.group)  # a role reduced
    assert call(text).status_code == 200
    assert call(text, identity).status_code == 403
    assert call(text, "factors").status_code == 403
    own.patient.study_groups.clear()
    assert call(text).json()["rows"] == []


def test_a_token_ends_with_its_owner_in_the_hospitals_directory(
    own: Hospital, physician: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Directory:
        """Answers what the test says, and counts how often it is asked."""

        groups: list[str] | Exception = []  # noqa: RUF012
        asked = 0

        def groups_now(self, user: User, request: Any) -> list[str]:
            Directory.asked += 1
            if isinstance(Directory.groups, Exception):
                raise Directory.groups
            return Directory.groups

    monkeypatch.setattr(middleware, "directory_of", lambda user: Directory())
    _, text = make_token(physician, "a", ["read"], 1)
    User.objects.filter(pk=physician.pk).update(directory=User.LDAP)
    assert [call(text).status_code for _ in range(3)] == [200] * 3
    assert Directory.asked == 1
    Token.objects.update(checked_at=0.0)
    Directory.groups = Gone()
    assert call(text).status_code == 401
    Directory.groups = []
    assert call(text).status_code == 200
    physician.memberships.update(of_directory=True)  # of a group that he has left since
    Token.objects.update(checked_at=0.0)
    assert call(text).status_code == 401
    assert not physician.memberships.exists()


def test_an_account_that_is_not_ready_opens_nothing(
    own: Hospital, physician: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = make_token(physician, "a", ["read"], 1)
    by_session = own.client(Role.PHYSICIAN)
    User.objects.filter(pk=physician.pk).update(password_is_first=True)
    for answer in (call(text), by_session.get("/api/v1/patients")):
        assert (answer.status_code, answer.json()["where"]) == (403, "your account")
    User.objects.filter(pk=physician.pk).update(password_is_first=False)
    assert call(text).status_code == 200
    whole = settings.FOLDER.settings
    asked = whole.accounts.model_copy(update={"second_factor": "everybody"})
    monkeypatch.setattr(settings.FOLDER, "settings", whole.model_copy(update={"accounts": asked}))
    assert call(text).json()["where"] == "your account"


def test_notes_that_may_name_files_are_for_those_who_bring_scans_in(
    own: Hospital, physician: User
) -> None:
    Scan.objects.update(notes="read from doe.dcm")
    scan = f"scans/{own.scans[0].pk}"
    for scopes, told in ((["read"], False), (["read", "upload"], True)):
        text = make_token(physician, "a", scopes, 1)[1]
        for path in (scan, "patients/P-north/scans"):
            assert ("doe.dcm" in call(text, path).content.decode()) is told
    reader = own.client(Role.READER)
    assert "doe.dcm" not in reader.get(f"/api/v1/{scan}").content.decode()


def test_a_body_that_takes_long_does_not_outlive_the_token(
    own: Hospital, physician: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from covidlit.platform.api import uploads
    from covidlit.platform.intake.models import Upload

    token, text = make_token(physician, "a", ["upload"], 1)
    mine = Upload.objects.create(owner=physician, centre=own.centre, study_group=own.group)
    asked = uploads.again

    def while_it_came(*arguments: Any) -> Any:
        Token.objects.filter(pk=token.pk).update(revoked_at=timezone.now())
        return asked(*arguments)

    monkeypatch.setattr(uploads, "again", while_it_came)
    answer = Client().put(
        f"/api/v1/uploads/{mine.pk}/file?name=a", b"1", headers={"authorization": f"Bearer {text}"}
    )
    assert answer.status_code == 401
    mine.refresh_from_db()
    assert mine.n_files == 0


def test_administrators_see_and_revoke_tokens_of_their_people_alone(
    own: Hospital, physician: User
) -> None:
    foreign = hospital("south")
    make_token(physician, "of the physician", ["read"], 1)
    pk = Token.objects.get().pk
    address = reverse("revoke_token", kwargs={"pk": pk})
    for client in (foreign.client(Role.ADMINISTRATOR), own.client(Role.READER)):
        assert "of the physician" not in client.get(reverse("tokens")).content.decode()
        assert client.post(address).status_code == 404
    boss = own.client(Role.ADMINISTRATOR)
    assert "of the physician" in boss.get(reverse("tokens")).content.decode()
    assert boss.post(address).status_code == 302
    assert boss.post(address).status_code == 302
    entry = Entry.objects.get(action="revoked")  # done twice, it is told once
    assert (entry.username, entry.subject) == (
        "north-administrator", f"token {pk} of north-physician",
    )  # fmt: skip


def test_guesses_are_throttled_and_do_not_keep_others_out(physician: User) -> None:
    _, text = make_token(physician, "a", ["read"], 1)
    codes = [call(f"covidlit_{number}").status_code for number in range(MOST_WRONG + 5)]
    assert codes[0] == 401
    assert codes[-1] == 429
    assert call("covidlit_x")["Retry-After"]
    assert call(text).status_code == 200
    assert call("covidlit_x", REMOTE_ADDR="10.1.2.3").status_code == 401


def test_looks_are_told_once_for_a_token_and_hour(own: Hospital, physician: User) -> None:
    token, text = make_token(physician, "a", ["read", "identify"], 1)
    scan = own.scans[0]

    def told() -> list[str]:
        rows = Entry.objects.filter(action="looked at").order_by("number")
        return [entry.subject for entry in rows]

    for _ in range(2):
        call(text, f"scans/{scan.pk}/planes/0")
        call(text, f"scans/{scan.pk}/slices/1.png")
        call(text, f"patients/{own.patient.pseudonym}/identity")
    assert told() == [f"scan {scan.scan_id}", "identity of P-north"]
    entry = Entry.objects.filter(action="looked at").first()
    assert entry is not None
    assert (entry.username, entry.centre, entry.details) == (
        "north-physician", "north", {"token": token.pk},
    )  # fmt: skip
    Look.objects.update(at=timezone.now() - timedelta(hours=2))
    call(text, f"scans/{scan.pk}/planes/0")
    assert told()[-1] == f"scan {scan.scan_id}"
    assert len(told()) == 3
    _, other = make_token(physician, "b", ["read"], 1)
    call(other, f"scans/{scan.pk}/planes/0")
    assert len(told()) == 4


def test_calls_by_a_token_leave_no_session_and_a_last_use(own: Hospital, physician: User) -> None:
    token, text = make_token(physician, "a", ["read"], 1)
    answer = call(text, f"patients/{own.patient.pseudonym}")
    assert not answer.cookies
    token.refresh_from_db()
    assert token.used_at is not None
    used = token.used_at
    call(text)
    token.refresh_from_db()
    assert token.used_at == used  # not each call waits for the database's lock


def test_who_is_logged_in_calls_as_himself_alone(own: Hospital, physician: User) -> None:
    give_role(physician, Role.READER)  # sees all centres; the reader of north does not
    hospital("south")
    _, text = make_token(physician, "a", ["read"], 1)
    client = own.client(Role.READER)
    assert len(client.get("/api/v1/patients").json()["rows"]) == 1
    answer = client.get("/api/v1/patients", headers={"authorization": f"Bearer {text}"})
    assert len(answer.json()["rows"]) == 2
    wrong = client.get("/api/v1/patients", headers={"authorization": "Basic bWU6cGhyYXNl"})
    assert wrong.status_code == 401
