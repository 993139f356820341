"""Giving a grade, so that of two persons at a time neither is lost nor counted twice."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.models import User
from covidlit.platform.audit.trail import record
from covidlit.platform.grading.models import Claim, Grade, Level
from covidlit.platform.grading.standing import Standing, standing_of
from covidlit.platform.registry.models import Scan


class GradeRefused(CovidlitError):  # noqa: N818 (a refusal, not a fault)
    """A grade that the person may not give."""


class Overtaken(GradeRefused):
    """Something happened to the scan since the person looked at it."""


class Seen(NamedTuple):
    """What a person had before him when he decided.

    Args:
        number: of the scan's last grade; 0: there was none.
        version: of the labelling; 0: there was none.
    """

    number: int
    version: int

    @classmethod
    def of(cls, standing: Standing) -> Seen:
        """What there is to see now."""
        return cls(
            standing.last.number if standing.last else 0,
            standing.newest.version if standing.newest else 0,
        )


class Judgement(NamedTuple):
    """What is said of a scan: it is excluded for a reason, or it has a quality grade and labels.

    Args:
        reason: why it is excluded; empty: it is not.
        quality_grade, class_name, severity: as [grading] in platform.toml lists them.
        comment: free text.
    """

    reason: str = ""
    quality_grade: str = ""
    class_name: str = ""
    severity: str = ""
    comment: str = ""


def refusal(standing: Standing, user: User, level: Level) -> str:
    """Why a person cannot grade a scan on a level; empty where he can."""
    first = standing.first
    if level == Level.FIRST:
        if first is not None and first.grader_id != user.pk:
            return f"{first.grader} has graded this scan as the first."
    elif first is None:
        return "This scan waits for its first grade."
    elif any(g.level == Level.FIRST and g.grader_id == user.pk for g in standing.grades):
        return "You have graded this scan as the first, so somebody else has to verify it."
    return ""


def levels_open_to(user: User, standing: Standing) -> list[Level]:
    """On which levels a person can grade a scan."""
    own = Scan.objects.filter(pk=standing.scan.pk)
    return [
        level
        for level in Level
        if level.right in user.rights_anywhere()
        and not refusal(standing, user, level)
        and own.seen_by(user, level.right, standing.disease).exists()
    ]


def give(scan: Scan, disease: str, user: User, level: Level, seen: Seen, said: Judgement) -> Grade:
    """Add a grade; said twice by the same click it is one.

    Args:
        scan: that the person may grade.
        disease: name of the one that it is graded for.
        user: the grader.
        level: of him.
        seen: on what he decided.
        said: as the form has checked it.

    Raises:
        Overtaken: another grade or another labelling came in between.
        GradeRefused: see `refusal`.
    """
    try:
        with transaction.atomic():
            return _add(scan, disease, user, level, seen, said)
    except IntegrityError as error:  # of two at a time the unique number lets one through
        raise _overtaken(seen, standing_of(scan, disease)) from error


def _add(scan: Scan, disease: str, user: User, level: Level, seen: Seen, said: Judgement) -> Grade:
    standing = standing_of(scan, disease)
    last = standing.last
    if last is not None and last.number == seen.number + 1 and _is(last, user, level, seen, said):
        return last
    if seen != Seen.of(standing):
        raise _overtaken(seen, standing)
    if why := refusal(standing, user, level):
        raise GradeRefused(why, where=str(scan), fix="grade another one.")
    grade = Grade.objects.create(
        scan=scan, disease=disease, number=seen.number + 1, level=level, grader=user,
        labelling=standing.newest, is_excluded=bool(said.reason), **said._asdict(),
    )  # fmt: skip
    Claim.objects.filter(scan=scan, disease=disease, level=level).delete()
    record(
        user, f"graded as the {level.label}", f"scan {scan.scan_id}", scan.patient.centre.name,
        {"disease": disease, "number": grade.number, "version": seen.version,
         "grade": grade.in_words},
    )  # fmt: skip
    return grade


def _is(grade: Grade, user: User, level: Level, seen: Seen, said: Judgement) -> bool:
    """Whether this is the grade that was sent: a second click, or a page sent again."""
    version = grade.labelling.version if grade.labelling else 0
    return (grade.grader_id, grade.level, version) == (user.pk, level, seen.version) and all(
        getattr(grade, name) == value for name, value in said._asdict().items()
    )


def _overtaken(seen: Seen, standing: Standing) -> Overtaken:
    last = standing.last
    what = "its lesions were measured anew"
    if last is not None and last.number != seen.number:
        what = f"{last.grader} graded it as the {Level(last.level).label}"
    return Overtaken(
        f"Not saved: meanwhile {what}.", where=str(standing.scan), fix="look again, then decide."
    )


def claim(scan: Scan, disease: str, user: User, level: Level) -> Claim | None:
    """Take a scan for a while, so that others are given another one.

    Returns:
        Who has it, where somebody else does; None: the person has it.
    """
    now = timezone.now()
    until = now + timedelta(minutes=settings.FOLDER.settings.grading.claim_minutes)
    with transaction.atomic():
        own = Claim.objects.filter(scan=scan, disease=disease, level=level)
        free = own.filter(Q(grader=user) | Q(until__lte=now))
        if free.update(grader=user, until=until):
            return None
        found, _ = own.select_related("grader").get_or_create(
            scan=scan, disease=disease, level=level, defaults={"grader": user, "until": until}
        )
    return None if found.grader_id == user.pk else found
