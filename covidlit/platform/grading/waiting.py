"""The queues: which scans wait for a grader, and which one he is given next."""

from __future__ import annotations

from collections.abc import Collection

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.utils import timezone

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.scoped import ScopedQuerySet
from covidlit.platform.grading.models import Claim, Grade, Level
from covidlit.platform.registry.models import Labelling, Scan


def waiting(user: User, level: Level, disease: str) -> ScopedQuerySet[Scan]:
    """Scans that wait for a grade of a person for a disease, those that wait longest first.

    For the first: without a grade. For the second: whose last grade is a first one, or was given
    for other lesions than the newest; never what he graded as the first.
    """
    scans = Scan.objects.seen_by(user, level.right, disease)
    grades = Grade.objects.filter(scan=OuterRef("pk"), disease=disease)
    if level == Level.FIRST:
        return (
            scans.filter(~Exists(grades))
            .annotate(waits_since=F("added_at"))
            .order_by("waits_since", "pk")
        )
    last = grades.order_by("-number")
    newest = Labelling.objects.filter(scan=OuterRef("pk"), disease=disease).order_by("-version")
    return (
        scans.annotate(
            waits_since=Subquery(last.values("made_at")[:1]),
            last_level=Subquery(last.values("level")[:1]),
            last_labelling=Subquery(last.values("labelling")[:1]),
            newest=Subquery(newest.values("pk")[:1]),
        )
        .filter(
            Q(last_level=Level.FIRST)
            | Q(last_level=Level.SECOND)
            & (
                Q(last_labelling__isnull=True, newest__isnull=False)
                | ~Q(last_labelling=F("newest"))
            )
        )
        .filter(~Exists(grades.filter(level=Level.FIRST, grader=user)))
        .order_by("waits_since", "pk")
    )


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
