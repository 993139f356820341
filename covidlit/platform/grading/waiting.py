"""The queues: which scans wait for a grader, and which one he is given next."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.scoped import ScopedQuerySet
from covidlit.platform.grading.models import Claim, Grade, Level
from covidlit.platform.registry.models import Scan

MOST_COUNTED = 1000


def waiting(user: User, level: Level, disease: str) -> ScopedQuerySet[Scan]:
    """Scans that wait for a grade of a person for a disease, those that wait longest first.

    For the first: without a grade. For the second: whose last grade is a first one, or was given
    for other lesions than the newest; never what he graded as the first.
    """
    scans = (
        Scan.objects.seen_by(user, level.right, disease)
        .filter(turns__level=level, turns__disease=disease)
        .annotate(waits_since=F("turns__since"))
        .order_by("waits_since", "pk")
    )
    if level == Level.FIRST:
        return scans
    own = Grade.objects.filter(scan=OuterRef("pk"), disease=disease, level=Level.FIRST, grader=user)
    return scans.filter(~Exists(own))


class Counted(NamedTuple):
    """How many there are, as far as it is counted.

    Args:
        n: `MOST_COUNTED` at most.
        is_all: there are no more.
    """

    n: int
    is_all: bool

    def __str__(self) -> str:
        return f"{self.n:,}" if self.is_all else f"more than {self.n:,}"


def counted(rows: QuerySet[Any]) -> Counted:
    """How many rows there are; of very many that alone is said, which takes no time."""
    n = rows.order_by()[: MOST_COUNTED + 1].count()
    return Counted(min(n, MOST_COUNTED), n <= MOST_COUNTED)


def hidden_from(user: User, disease: str) -> ScopedQuerySet[Scan]:
    """Scans whose grades for a disease are kept from a person: the second, who is to be blind."""
    if not settings.FOLDER.settings.grading.blind:
        return Scan.objects.none()
    mine = Grade.objects.filter(scan=OuterRef("pk"), disease=disease, grader=user)
    return waiting(user, Level.SECOND, disease).filter(~Exists(mine))


def next_scan(user: User, level: Level, disease: str, skipped: Collection[int]) -> Scan | None:
    """The scan that waits longest, is not skipped, and that nobody else has open."""
    taken = Claim.objects.filter(
        ~Q(grader=user), scan=OuterRef("pk"), disease=disease, level=level, until__gt=timezone.now()
    )
    return waiting(user, level, disease).filter(~Exists(taken)).exclude(pk__in=skipped).first()
