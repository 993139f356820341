"""Grades of scans, and who has which scan open for grading."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from django.db import models
from django.db.models import Q

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import ScopedQuerySet
from covidlit.platform.diseases.disease import LARGEST_NAME
from covidlit.platform.registry.models import Labelling, Scan


class Level(IntEnum):
    """Of a grader."""

    FIRST = 1
    SECOND = 2

    @property
    def label(self) -> str:
        """In words, and in the names of pages."""
        return self.name.lower()

    @property
    def right(self) -> Right:
        """Without which nobody grades on this level."""
        return Right.GRADE_FIRST if self is Level.FIRST else Right.GRADE_SECOND


_LEVELS = [(level.value, level.label) for level in Level]


class Grade(models.Model):
    """What a person thinks of a scan for a disease; never changed, never removed (by a trigger).

    The `number` among the scan's grades for the disease is what two persons at a time cannot both
    have.
    """

    to_patient: ClassVar[str] = "scan__patient"
    to_disease: ClassVar[str] = "disease"

    scan = models.ForeignKey(Scan, models.PROTECT, related_name="grades")
    disease = models.CharField(max_length=LARGEST_NAME, help_text="that it is graded for")
    number = models.PositiveIntegerField(
        help_text="among the scan's grades for the disease, from 1"
    )
    level = models.PositiveSmallIntegerField(choices=_LEVELS)
    grader = models.ForeignKey(User, models.PROTECT, related_name="grades")
    made_at = models.DateTimeField(auto_now_add=True)
    labelling = models.ForeignKey(
        Labelling, models.PROTECT, null=True, help_text="that was seen; null: none was there"
    )
    is_excluded = models.BooleanField(default=False)
    reason = models.CharField(max_length=80, blank=True, help_text="why it is excluded")
    quality_grade = models.CharField(max_length=80, blank=True, help_text="contract 11")
    class_name = models.CharField(max_length=128, blank=True, help_text="contract 2")
    severity = models.CharField(max_length=80, blank=True, help_text="contract 2")
    comment = models.TextField(blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("scan", "number")
        # What somebody has graded last is found without what he graded before.
        indexes = (models.Index(fields=("grader", "level", "-made_at", "-id")),)
        constraints = (
            models.UniqueConstraint(
                fields=("scan", "disease", "number"), name="one_grade_of_a_number"
            ),
            models.CheckConstraint(condition=Q(level__in=[1, 2]), name="a_level_of_two"),
            models.CheckConstraint(
                condition=Q(is_excluded=True, quality_grade="", class_name="", severity="")
                & ~Q(reason="")
                | Q(is_excluded=False, reason="") & ~Q(quality_grade=""),
                name="graded_or_excluded_with_a_reason",
            ),
        )

    def __str__(self) -> str:
        return f"grade {self.number} of {self.scan_id}"

    @property
    def grade(self) -> str:
        """What two graders are compared by: quality, class and severity, or that it is excluded."""
        said = (self.quality_grade, self.class_name, self.severity)
        return "excluded" if self.is_excluded else ", ".join(each for each in said if each)

    @property
    def in_words(self) -> str:
        """The grade, with the reason of an exclusion."""
        return f"excluded: {self.reason}" if self.is_excluded else self.grade


class Turn(models.Model):
    """Whose grade a scan waits for, for a disease; without a row it waits for none.

    Follows from grades and labellings (`grading.turns`), so that a queue is found without those
    that are through.
    """

    to_patient: ClassVar[str] = "scan__patient"
    to_disease: ClassVar[str] = "disease"

    scan = models.ForeignKey(Scan, models.CASCADE, related_name="turns")
    disease = models.CharField(max_length=LARGEST_NAME)
    level = models.PositiveSmallIntegerField(choices=_LEVELS)
    since = models.DateTimeField()

    objects = ScopedQuerySet.as_manager()

    class Meta:
        indexes = (models.Index(fields=("disease", "level", "since", "scan")),)
        constraints = (
            models.UniqueConstraint(fields=("scan", "disease"), name="one_turn_of_a_scan"),
        )

    def __str__(self) -> str:
        return f"{self.scan_id} waits for the {Level(self.level).label} grade"


class Comparison(models.Model):
    """The first grade of a scan that was verified for a disease, and the second's first answer.

    What either changed later, having seen the other's, does not count: a row never changes.
    """

    to_patient: ClassVar[str] = "scan__patient"
    to_disease: ClassVar[str] = "disease"

    scan = models.ForeignKey(Scan, models.PROTECT, related_name="comparisons")
    disease = models.CharField(max_length=LARGEST_NAME)
    first = models.OneToOneField(Grade, models.PROTECT, related_name="+")
    second = models.OneToOneField(Grade, models.PROTECT, related_name="+")
    differs = models.BooleanField()
    made_at = models.DateTimeField(help_text="of the second grade")

    objects = ScopedQuerySet.as_manager()

    class Meta:
        indexes = (
            models.Index(fields=("disease", "-made_at", "-scan")),
            models.Index(fields=("disease", "differs", "-made_at", "-scan")),
        )
        constraints = (
            models.UniqueConstraint(fields=("scan", "disease"), name="one_comparison_of_a_scan"),
        )

    def __str__(self) -> str:
        return f"first and second grade of {self.scan_id}"


class Claim(models.Model):
    """Who has a scan open for grading, so that others are given another one; it expires.

    A courtesy: whose grade is taken the number of the grade decides.
    """

    to_patient: ClassVar[str] = "scan__patient"
    to_disease: ClassVar[str] = "disease"

    scan = models.ForeignKey(Scan, models.CASCADE, related_name="claims")
    disease = models.CharField(max_length=LARGEST_NAME)
    level = models.PositiveSmallIntegerField(choices=_LEVELS)
    grader = models.ForeignKey(User, models.CASCADE)
    until = models.DateTimeField()

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("scan", "disease", "level"), name="one_claim_of_a_level"
            ),
        )

    def __str__(self) -> str:
        return f"{self.scan_id} is claimed until {self.until:%H:%M}"
