"""Patients found by pseudonym, and by number or name among those whom one may know."""

from __future__ import annotations

from typing import NamedTuple

from django.db import transaction

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record
from covidlit.platform.registry.models import Identity, Patient
from covidlit.platform.registry.searched import beginning_with, name_searched, number_searched

MOST = 20
"""That a search shows: who has more is to type more."""

LEAST_OF_NAME = 2
"""Characters of a name; of one there are too many patients."""


class Found(NamedTuple):
    """What a search has found.

    Args:
        patients: by pseudonym; `MOST` at most of those by pseudonym, and of those by identity.
        is_all: there are no more.
    """

    patients: list[Patient]
    is_all: bool


def find(user: User, text: str) -> Found:
    """Patients whose pseudonym begins with a text, whose hospital number it is, or whose name
    begins with it; numbers and names of those alone whom the user may see and know.

    Whom it finds by number or name is in the audit trail, and never what was typed: that may be
    the name of somebody else.
    """
    own = Patient.objects.seen_by(user, Right.VIEW).select_related("centre")
    by_pseudonym: list[Patient] = []
    # As they are made: P, then small letters.
    for beginning in dict.fromkeys((text, text.capitalize())):
        if beginning and not by_pseudonym:
            by_pseudonym = list(beginning_with(own, "pseudonym", beginning)[: MOST + 1])
    known = _identified(user, text)
    by_identity = list(own.filter(pk__in=known[:MOST]))
    with transaction.atomic():
        for patient in by_identity:
            subject = f"patient {patient.pseudonym}"
            record(user, "found by number or name", subject, patient.centre.name)
    found = {each.pk: each for each in [*by_pseudonym[:MOST], *by_identity]}
    return Found(
        sorted(found.values(), key=lambda each: each.pseudonym),
        is_all=len(by_pseudonym) <= MOST and len(known) <= MOST,
    )


def _identified(user: User, text: str) -> list[int]:
    """Keys of the patients with this number, or else with a name that begins so: one too many."""
    rows = Identity.objects.seen_by(user, Right.IDENTIFY)
    number, name = number_searched(text), name_searched(text)
    found = list(rows.filter(number_searched=number)[: MOST + 1]) if number else []
    if not found and len(name) >= LEAST_OF_NAME:
        found = list(
            beginning_with(rows, "name_searched", name).order_by("name_searched", "pk")[: MOST + 1]
        )
    return [each.patient_id for each in found]
