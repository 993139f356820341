"""Whose turn a scan is, and how its graders compare, written down whenever either may change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.signals import m2m_changed, post_save
from django.dispatch import receiver

from covidlit.platform.accounts.models import StudyGroup
from covidlit.platform.grading.models import Comparison, Grade, Level, Turn
from covidlit.platform.grading.standing import Standing, State, standings
from covidlit.platform.registry.models import Labelling, Patient, Scan

_WAITS_FOR = {
    State.UNGRADED: Level.FIRST,
    State.GRADED: Level.SECOND,
    State.OUTDATED: Level.SECOND,
}


_AT_A_TIME = 500


def settle(scans: Sequence[Scan]) -> None:
    """Write down whose turn scans are, and comparisons that there were not before.

    For each disease that study groups of their patients follow. Done again it changes nothing; of
    two at a time the later one knows what both have done.
    """
    keys = sorted(scan.pk for scan in scans)
    with transaction.atomic():
        list(Scan.objects.select_for_update().filter(pk__in=keys).order_by("pk").values("pk"))
        Turn.objects.filter(scan__in=keys).delete()
        for disease, own in _followed(scans).items():
            found = standings(own, disease)
            Turn.objects.bulk_create(filter(None, map(_turn, found)))
            Comparison.objects.bulk_create(
                filter(None, map(_comparison, found)), ignore_conflicts=True
            )


def settle_many(scans: QuerySet[Scan]) -> None:
    """`settle` of any number of scans."""
    own = scans.order_by("pk")
    last = 0
    while some := list(own.filter(pk__gt=last)[:_AT_A_TIME]):
        settle(some)
        last = some[-1].pk


def _followed(scans: Sequence[Scan]) -> dict[str, list[Scan]]:
    """The scans by each disease that study groups of their patients follow."""
    members = Patient.study_groups.through.objects.filter(
        patient_id__in={scan.patient_id for scan in scans}
    )
    diseases: dict[int, set[str]] = {}
    for patient, disease in members.values_list("patient_id", "studygroup__disease"):
        diseases.setdefault(patient, set()).add(disease)
    found: dict[str, list[Scan]] = {}
    for scan in scans:
        for disease in sorted(diseases.get(scan.patient_id, ())):
            found.setdefault(disease, []).append(scan)
    return found


def _turn(standing: Standing) -> Turn | None:
    level = _WAITS_FOR.get(standing.state)
    if level is None:
        return None
    last = standing.last
    since = standing.scan.added_at if last is None else last.made_at
    return Turn(scan=standing.scan, disease=standing.disease, level=level, since=since)


def _comparison(standing: Standing) -> Comparison | None:
    if (both := standing.compared) is None:
        return None
    first, second = both
    return Comparison(
        scan=standing.scan, disease=standing.disease, first=first, second=second,
        differs=first.grade != second.grade, made_at=second.made_at,
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


@receiver(m2m_changed, sender=Patient.study_groups.through)
def follow_membership(
    instance: Patient | StudyGroup, action: str, reverse: bool, pk_set: set[int] | None, **_: Any
) -> None:
    """A patient who comes into a study group, or leaves one, waits for what that follows."""
    if action not in ("post_add", "post_remove", "post_clear"):
        return
    patients = pk_set or set() if reverse else {instance.pk}
    settle_many(Scan.objects.filter(patient__in=patients))


@receiver(post_save, sender=StudyGroup)
def follow_study_group(instance: StudyGroup, created: bool, raw: bool, **_: Any) -> None:
    """A study group that follows another disease has its scans graded for that."""
    if not created and not raw:
        settle_many(Scan.objects.filter(patient__study_groups=instance))
