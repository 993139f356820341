"""Clinical tables that people bring in, their rows by patient and date, and scores of scans.

Nothing is written over: of two tables the newer one counts, and one that is withdrawn counts no
more; a scan that is scored again gets a further score.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.scoped import ScopedQuerySet
from covidlit.platform.jobs.models import Job
from covidlit.platform.registry.models import Labelling, Patient


class ClinicalTable(models.Model):
    """A hospital's table of laboratory values and patients, as it was brought in."""

    to_patient: ClassVar[None] = None

    owner = models.ForeignKey(User, models.PROTECT, related_name="clinical_tables")
    centre = models.ForeignKey(Centre, models.PROTECT)
    study_group = models.ForeignKey(StudyGroup, models.PROTECT)
    mapping = models.CharField(max_length=120, blank=True, help_text="empty: contract 9")
    made_at = models.DateTimeField(auto_now_add=True)
    job = models.OneToOneField(Job, models.PROTECT, null=True, related_name="clinical_table")
    features = models.JSONField(default=list, help_text="what the numbers are")
    n_rows = models.PositiveIntegerField(default=0, help_text="rows that were taken")
    n_patients = models.PositiveIntegerField(default=0, help_text="patients of these")
    n_unknown = models.PositiveIntegerField(default=0, help_text="patients who are not here")
    said = models.TextField(
        blank=True, help_text="what the reader says; names patients, so for its owner alone"
    )
    read_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("-made_at", "-pk")

    def __str__(self) -> str:
        return f"clinical table {self.pk}"


class ClinicalRow(models.Model):
    """What a table says of a patient on a day: contract 9, without what is not known."""

    to_patient: ClassVar[str] = "patient"

    table = models.ForeignKey(ClinicalTable, models.PROTECT, related_name="rows")
    patient = models.ForeignKey(Patient, models.PROTECT, related_name="clinical_rows")
    date = models.DateField()
    values = models.JSONField()

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("patient", "date", "table")
        indexes = (models.Index(fields=("patient", "date")),)
        constraints = (
            models.UniqueConstraint(
                fields=("table", "patient", "date"), name="one_row_of_a_day_in_a_table"
            ),
        )

    def __str__(self) -> str:
        return f"{self.table_id}: {self.patient_id} on {self.date}"


class SeverityScore(models.Model):
    """How ill a trained model says the patient was at a scan; the newest of a labelling counts."""

    to_patient: ClassVar[str] = "labelling__scan__patient"
    to_disease: ClassVar[str] = "labelling__disease"

    labelling = models.ForeignKey(Labelling, models.CASCADE, related_name="scores")
    made_at = models.DateTimeField(auto_now_add=True)
    severity = models.JSONField(
        help_text="`covidlit.lesions.report.severity.Severity`, plain; empty: none any more"
    )

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("labelling", "-pk")

    def __str__(self) -> str:
        return f"score {self.pk} of {self.labelling_id}"
