"""Writing into the audit trail, and checking that nobody has changed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from django.db import connection, transaction
from django.utils import timezone

from covidlit.platform.audit.models import Entry

FIRST = "0" * 64
"""What the first entry is chained to."""

SYSTEM = "covidlit"
"""Who does what no person asked for."""

_LOCK = 0x636F766964


class Person(Protocol):
    """Somebody with an account."""

    def get_username(self) -> str: ...


def record(
    who: Person | None,
    action: str,
    subject: str,
    centre: str = "",
    details: Mapping[str, Any] | None = None,
) -> Entry:
    """Append an entry, in the transaction of what it tells of: both are kept, or neither.

    Args:
        who: did it; None: the platform itself.
        action: a verb, such as "looked at".
        subject: pseudonym, scan or account; never a name of a patient.
        centre: whose administrators see the entry; empty: those of all centres.
        details: plain values.
    """
    with transaction.atomic():
        _one_at_a_time()
        last = Entry.objects.order_by("-number").first()
        entry = Entry(
            number=last.number + 1 if last else 1,
            at=timezone.now(),
            username=who.get_username() if who else SYSTEM,
            action=action,
            subject=subject,
            centre=centre,
            details=dict(details or {}),
        )
        entry.chain = entry.hash_after(last.chain if last else FIRST)
        entry.save(force_insert=True)
    return entry


def first_broken() -> int | None:
    """The number of the first entry that does not follow from those before; None: all do.

    Entries removed from the end are not seen: keep the last `chain` elsewhere (backups do).
    """
    before = FIRST
    for number, entry in enumerate(Entry.objects.order_by("number").iterator(), start=1):
        if entry.number != number or entry.chain != entry.hash_after(before):
            return number
        before = entry.chain
    return None


def _one_at_a_time() -> None:
    """Let two transactions not append at once; SQLite's have the lock from their start."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
