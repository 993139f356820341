"""Exports that people have asked for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models

from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.scoped import ScopedQuerySet
from covidlit.platform.jobs.models import Job


class Export(models.Model):
    """A training set of the corrected scans of a centre and a study group."""

    to_patient: ClassVar[None] = None

    owner = models.ForeignKey(User, models.PROTECT, related_name="exports")
    centre = models.ForeignKey(Centre, models.PROTECT)
    study_group = models.ForeignKey(StudyGroup, models.PROTECT)
    job = models.OneToOneField(Job, models.PROTECT, null=True, related_name="export")
    made_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    n_scans = models.PositiveIntegerField(default=0)
    n_bytes = models.PositiveBigIntegerField(default=0)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("-made_at",)

    def __str__(self) -> str:
        return f"export {self.pk}"

    @property
    def until(self) -> datetime | None:
        """When its file is removed."""
        if self.finished_at is None:
            return None
        return self.finished_at + timedelta(days=settings.FOLDER.settings.exports.keep_days)
