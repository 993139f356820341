"""Whose turn a scan is, and how its graders compare, written down whenever either may change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from covidlit.platform.grading.models import Comparison, Grade, Level, Turn
from covidlit.platform.grading.standing import Standing, State, standings
from covidlit.platform.registry.models import Labelling, Scan

_WAITS_FOR = {
    State.UNGRADED: Level.FIRST,
    State.GRADED: Level.SECOND,
    State.OUTDATED: Level.SECOND,
}


def settle(scans: Sequence[Scan]) -> None:
    """Write down whose turn scans are, and comparisons that there were not before.

    Done again it changes nothing; of two at a time the later one knows what both have done.
    """
    keys = sorted(scan.pk for scan in scans)
    with transaction.atomic():
        list(Scan.objects.select_for_update().filter(pk__in=keys).order_by("pk").values("pk"))
        found = standings(scans)
        Turn.objects.filter(scan__in=keys).delete()
        Turn.objects.bulk_create(filter(None, map(_turn, found)))
        Comparison.objects.bulk_create(filter(None, map(_comparison, found)), ignore_conflicts=True)


def _turn(standing: Standing) -> Turn | None:
    level = _WAITS_FOR.get(standing.state)
    if level is None:
        return None
    last = standing.last
    since = standing.scan.added_at if last is None else last.made_at
    return Turn(scan=standing.scan, level=level, since=since)


def _comparison(standing: Standing) -> Comparison | None:
    if (both := standing.compared) is None:
        return None
    first, second = both
    return Comparison(
        scan=standing.scan, first=first, second=second, differs=first.grade != second.grade,
        made_at=second.made_at,
    )  # fmt: skip


@receiver(post_save, sender=Scan)
def follow_scan(instance: Scan, created: bool, raw: bool, **_: Any) -> None:
    """A scan that came waits for its first grade."""
    if created and not raw:
        settle([instance])


@receiver(post_save, sender=Labelling)
@receiver(post_save, sender=Grade)
def follow(instance: Labelling | Grade, created: bool, raw: bool, **_: Any) -> None:
    """A grade leads a scan on, and lesions measured anew bring it back."""
    if created and not raw:
        settle([instance.scan])
