"""Uploads, and what of them was refused."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.scoped import ScopedQuerySet
from covidlit.platform.jobs.models import Job


class Upload(models.Model):
    """Files that a person brings in for a centre and a study group."""

    to_patient: ClassVar[None] = None

    owner = models.ForeignKey(User, models.PROTECT, related_name="uploads")
    centre = models.ForeignKey(Centre, models.PROTECT)
    study_group = models.ForeignKey(StudyGroup, models.PROTECT)
    batch = models.CharField(
        max_length=32, null=True, unique=True, help_text="that the receiver got by C-STORE"
    )
    made_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, help_text="when all files had come")
    job = models.OneToOneField(Job, models.PROTECT, null=True, related_name="upload")
    n_files = models.PositiveIntegerField(default=0, help_text="that have come, at least in part")
    n_bytes = models.PositiveBigIntegerField(default=0, help_text="that have come")
    n_taken = models.PositiveIntegerField(default=0, help_text="scans that are new")
    n_known = models.PositiveIntegerField(default=0, help_text="scans that were here before")

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("-made_at",)

    def __str__(self) -> str:
        return f"upload {self.pk}"


class RefusedSeries(models.Model):
    """A series or file of an upload that cannot be used, and why."""

    upload = models.ForeignKey(Upload, models.CASCADE, related_name="refused")
    place = models.CharField(max_length=300, help_text="within the upload")
    reason = models.TextField()

    class Meta:
        ordering = ("upload", "place")

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"
