"""Access that ends and begins anew: lost passwords and factors, accounts closed and opened."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from platform_world import PASSWORD

from covidlit.platform.accounts.access import restore_administrator
from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.api.tokens import find_token, make_token
from covidlit.platform.audit.models import Entry

pytestmark = pytest.mark.django_db


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


def _gets_in(client: Client) -> bool:
    return client.get("/").status_code == 200


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
