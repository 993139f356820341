"""The audit trail: appended, chained, and refused any change by the database."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.audit.trail import first_broken, record

pytestmark = pytest.mark.django_db


def test_entries_follow_one_another() -> None:
    user = make_user("somebody", "a long enough phrase")
    give_role(user, Role.READER, by=user)
    record(user, "looked at", "P1", "north", {"scan": "a", "n": 2})
    told = [(e.username, e.action, e.subject) for e in Entry.objects.order_by("number")]
    assert told == [
        ("covidlit", "made the account", "somebody"),
        ("somebody", "gave the role", "somebody"),
        ("somebody", "looked at", "P1"),
    ]
    assert first_broken() is None


@pytest.mark.parametrize(
    "change", ["UPDATE audit_entry SET subject = 'P2'", "DELETE FROM audit_entry"]
)
def test_the_database_refuses_a_change(change: str) -> None:
    record(None, "looked at", "P1")
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(change)
    assert Entry.objects.get().subject == "P1"


@pytest.mark.parametrize("field", ["username", "action", "subject", "centre", "details", "at"])
def test_a_change_past_the_database_is_found(field: str) -> None:
    for number in range(5):
        record(None, "looked at", f"P{number}")
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER audit_entry_no_update")
        else:
            cursor.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
    other = {"details": {"a": 1}, "at": Entry.objects.get(number=1).at}
    Entry.objects.filter(number=3).update(**{field: other.get(field, "x")})
    assert first_broken() == 3


def test_what_is_undone_leaves_no_entry() -> None:
    with transaction.atomic():
        record(None, "looked at", "P1")
        transaction.set_rollback(True)
    record(None, "looked at", "P2")
    assert Entry.objects.get().number == 1
