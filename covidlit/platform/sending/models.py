"""What was confirmed to be sent where, and what became of each object."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.scoped import ScopedQuerySet
from covidlit.platform.jobs.models import Job
from covidlit.platform.registry.models import Labelling


class SentState(models.TextChoices):
    """Where an object stands."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class Sending(models.Model):
    """Objects of a labelling that a person has confirmed for an archive."""

    to_patient: ClassVar[str] = "labelling__scan__patient"
    to_disease: ClassVar[str] = "labelling__disease"

    labelling = models.ForeignKey(Labelling, models.PROTECT, related_name="sendings")
    archive = models.CharField(max_length=80, help_text="its name in platform.toml")
    address = models.CharField(max_length=300, help_text="of it, when it was confirmed")
    confirmed_by = models.ForeignKey(User, models.PROTECT, related_name="sendings")
    confirmed_at = models.DateTimeField(auto_now_add=True)
    job = models.OneToOneField(Job, models.PROTECT, null=True, related_name="sending")

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("-confirmed_at",)

    def __str__(self) -> str:
        return f"sending {self.pk}"


class SentObject(models.Model):
    """A DICOM object of a sending."""

    to_patient: ClassVar[str] = "sending__labelling__scan__patient"
    to_disease: ClassVar[str] = "sending__labelling__disease"

    sending = models.ForeignKey(Sending, models.CASCADE, related_name="parts")
    file = models.CharField(max_length=100, help_text="in the labelling's folder of objects")
    kind = models.CharField(max_length=100, help_text="name of the SOP class")
    sop_instance_uid = models.CharField(max_length=64)
    sha256 = models.CharField(max_length=64, help_text="of the file, when it was confirmed")
    n_bytes = models.PositiveBigIntegerField()
    state = models.CharField(max_length=10, choices=SentState.choices, default=SentState.WAITING)
    said = models.TextField(blank=True, help_text="why it failed, or what the archive remarked")
    tried_at = models.DateTimeField(null=True, help_text="for the last time")

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("sending", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=("sending", "sop_instance_uid"), name="one_sent_object_of_a_uid"
            ),
        )

    def __str__(self) -> str:
        return f"{self.file} of {self.sending_id}"
