"""Access that ends and begins anew: lost passwords and factors, accounts closed and opened."""

from __future__ import annotations

import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from platform_world import PASSWORD

from covidlit.errors import ConfigError
from covidlit.platform.accounts.access import close_account, open_account, restore_administrator
from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.api.tokens import find_token, make_token
from covidlit.platform.audit.models import Entry

pytestmark = pytest.mark.django_db

DEEDS = ("renew_password", "close_account", "open_account")


@pytest.fixture(autouse=True)
def _nobody_has_tried() -> None:
    cache.clear()


def _logged_in(username: str, password: str = PASSWORD) -> Client:
    client = Client()
    client.post(reverse("account_login"), {"login": username, "password": password})
    return client


def _person(name: str, role: Role, centre: str = "", group: str = "") -> User:
    user = make_user(name, PASSWORD)
    own_centre = Centre.objects.get_or_create(name=centre)[0] if centre else None
    own_group = StudyGroup.objects.get_or_create(name=group)[0] if group else None
    give_role(user, role, own_centre, own_group)
    return user


def _do(client: Client, deed: str, user: User) -> Any:
    return client.post(reverse(deed, args=[user.pk]), follow=True)


def _gets_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def test_whoever_lost_password_and_factor_gets_a_first_password_that_is_shown_once() -> None:
    _person("boss", Role.ADMINISTRATOR, "north")
    user = _person("reader", Role.READER, "north", "clinic")
    bystander = _person("bystander", Role.READER, "north")
    boss, before, other = (_logged_in(name) for name in ("boss", "reader", "bystander"))
    token, others_token = (make_token(who, "a", ["read"], 9)[1] for who in (user, bystander))
    TOTP.activate(user, generate_totp_secret())
    assert _gets_in(before)
    page = _do(boss, "renew_password", user).content.decode()
    found = re.search(r'class="secret"[^>]* value="([^"]+)"', page)
    assert found
    assert found[1] not in boss.get(reverse("people")).content.decode()
    assert not Authenticator.objects.filter(user=user).exists()
    assert not _gets_in(before)
    assert find_token(token) is None
    assert not _gets_in(_logged_in("reader"))
    own = _logged_in("reader", found[1])
    assert own.get("/")["Location"] == reverse("account_change_password")
    assert _gets_in(other)
    assert find_token(others_token)
    entry = Entry.objects.get(action="gave a new first password")
    assert (entry.username, entry.subject, entry.centre) == ("boss", "reader", "north")
    assert entry.details == {"sessions": 1, "tokens": 1}
    assert found[1] not in str(list(Entry.objects.values()))


def test_two_new_first_passwords_differ() -> None:
    _person("boss", Role.ADMINISTRATOR)
    user, boss = _person("reader", Role.READER), _logged_in("boss")
    pages = [_do(boss, "renew_password", user).content.decode() for _ in range(2)]
    shown = [re.findall(r'class="secret"[^>]* value="([^"]+)"', page)[0] for page in pages]
    assert shown[0] != shown[1]
    assert not _gets_in(_logged_in("reader", shown[0]))


def test_a_closed_account_ends_at_once_and_opens_with_its_roles_but_no_old_session() -> None:
    _person("boss", Role.ADMINISTRATOR)
    user = _person("reader", Role.READER, "north")
    boss, before = _logged_in("boss"), _logged_in("reader")
    token = make_token(user, "a", ["read"], 9)[1]
    for _ in range(2):
        assert "is closed" in _do(boss, "close_account", user).content.decode()
    assert not _gets_in(before)
    assert not _gets_in(_logged_in("reader"))
    for _ in range(2):
        assert "is open again" in _do(boss, "open_account", user).content.decode()
    assert not _gets_in(before)
    assert find_token(token) is None
    assert _gets_in(_logged_in("reader"))
    told = Entry.objects.filter(subject="reader", username="boss").order_by("number")
    assert [each.action for each in told] == ["closed the account", "opened the account"]


@pytest.mark.parametrize("deed", DEEDS)
def test_an_account_is_managed_by_those_whose_scope_holds_all_of_its_roles(deed: str) -> None:
    _person("boss", Role.ADMINISTRATOR)
    north = _person("north-boss", Role.ADMINISTRATOR, "north")
    _person("group-boss", Role.ADMINISTRATOR, "north", "clinic")
    inside = _person("inside", Role.READER, "north", "clinic")
    both = _person("both", Role.READER, "north", "clinic")
    give_role(both, Role.READER, Centre.objects.create(name="south"))
    everywhere = _person("everywhere", Role.READER)
    without = make_user("without", PASSWORD)
    may = {
        "boss": {"inside", "both", "everywhere", "without", "north-boss"},
        "north-boss": {"inside"},
        "group-boss": {"inside"},
    }
    for who, whom in may.items():
        client = _logged_in(who)
        page = client.get(reverse("people")).content.decode()
        himself = User.objects.get(username=who)
        for user in (inside, both, everywhere, without, north, himself):
            address = reverse("renew_password", args=[user.pk])
            assert (address in page) is (user.username in whom), (who, user)
            if user != north:  # who is needed in the next round
                status = _do(client, deed, user).status_code
                assert status == (200 if user.username in whom else 404), (who, user)


def test_a_password_of_the_directory_is_not_the_platforms_to_give() -> None:
    _person("boss", Role.ADMINISTRATOR)
    user = _person("reader", Role.READER)
    User.objects.filter(pk=user.pk).update(directory=User.LDAP)
    boss = _logged_in("boss")
    people = boss.get(reverse("people")).content.decode()
    assert reverse("renew_password", args=[user.pk]) not in people
    assert reverse("close_account", args=[user.pk]) in people
    before = User.objects.get(pk=user.pk).password
    assert "directory" in _do(boss, "renew_password", user).content.decode()
    assert User.objects.get(pk=user.pk).password == before


def test_the_last_administrator_of_all_centres_is_not_closed() -> None:
    boss, deputy = _person("boss", Role.ADMINISTRATOR), _person("deputy", Role.ADMINISTRATOR)
    close_account(deputy, by=boss)
    with pytest.raises(ConfigError, match="last administrator"):
        close_account(boss, by=deputy)
    assert User.objects.get(username="boss").is_active
    open_account(deputy, by=boss)
    close_account(boss, by=deputy)
    assert not User.objects.get(username="boss").is_active


def test_a_restored_administrator_has_no_session_or_token_of_before() -> None:
    user = _person("boss", Role.ADMINISTRATOR)
    _person("reader", Role.READER)
    before, other = _logged_in("boss"), _logged_in("reader")
    token = make_token(user, "a", ["read"], 9)[1]
    restore_administrator("boss", PASSWORD)
    assert not _gets_in(before)
    assert find_token(token) is None
    assert _gets_in(other)
    assert _gets_in(_logged_in("boss"))
    assert Entry.objects.get(action="restored the account").details == {"sessions": 1, "tokens": 1}
