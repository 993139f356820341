"""A job: what is to be done, how far it is, and how it ended."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.scoped import ScopedQuerySet

MOST_ATTEMPTS = 3
"""So often a job is begun whose worker was lost; what fails by itself is not begun again."""


class JobState(models.TextChoices):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (JobState.WAITING, JobState.RUNNING)
"""States of jobs that are not over."""


class Job(models.Model):
    """Work that takes longer than a page: doing it twice is as doing it once."""

    to_patient: ClassVar[None] = None

    kind = models.CharField(max_length=40)
    arguments = models.JSONField(default=dict)
    owner = models.ForeignKey(User, models.PROTECT, null=True, related_name="jobs")
    centre = models.ForeignKey(Centre, models.PROTECT)
    study_group = models.ForeignKey(StudyGroup, models.PROTECT)
    state = models.CharField(
        max_length=10, choices=JobState.choices, default=JobState.WAITING, db_index=True
    )
    progress = models.CharField(max_length=200, blank=True, help_text="what it is at")
    share_done = models.FloatField(default=0.0, help_text="0 to 1")
    message = models.TextField(blank=True, help_text="why it failed, or what there is to say")
    attempts = models.PositiveIntegerField(default=0)
    cancel_asked = models.BooleanField(default=False)
    priority = models.SmallIntegerField(default=0, help_text="a higher one is done before")
    made_at = models.DateTimeField(auto_now_add=True)
    waits_since = models.DateTimeField(
        default=timezone.now, help_text="when it was given to the workers last"
    )
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    ORDER: ClassVar = ("-priority", "waits_since", "pk")
    """In which those that wait are done."""

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("-made_at",)
        # How many are done before one, and which has waited longest, is found without the others.
        indexes = (models.Index(fields=("state", "-priority", "waits_since")),)

    def __str__(self) -> str:
        return f"job {self.pk}, {self.kind}"

    @property
    def n_before(self) -> int | None:
        """How many jobs are done before it, whosever they are; None: it does not wait.

        A number of all alike tells nobody whose they are; of many jobs see `priorities.places`.
        """
        if self.state != JobState.WAITING:
            return None
        same = Q(priority=self.priority)
        before = (
            Q(priority__gt=self.priority)
            | same & Q(waits_since__lt=self.waits_since)
            | same & Q(waits_since=self.waits_since, pk__lt=self.pk)
        )
        return Job.objects.filter(before, state=JobState.WAITING).count()

    @property
    def can_go_again(self) -> bool:
        """Whether it ended without being done."""
        return self.state in (JobState.FAILED, JobState.CANCELLED)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen with it."""
        return self.state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)
