"""Corrections of a labelling, and the edits that they consist of."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from covidlit.lesions.edits import EditKind, LabelEdit
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.scoped import ScopedQuerySet
from covidlit.platform.diseases.disease import LARGEST_NAME
from covidlit.platform.jobs.models import Job
from covidlit.platform.registry.models import Labelling, Scan
from covidlit.scans.lesion_labels import LESION_CLASSES


class Correction(models.Model):
    """Edits of one person on one version: a draft until it is saved, then the next version.

    The database takes one correction of a version alone: who saves second is told.
    """

    to_patient: ClassVar[str] = "scan__patient"
    to_disease: ClassVar[str] = "disease"

    scan = models.ForeignKey(Scan, models.PROTECT, related_name="corrections")
    disease = models.CharField(max_length=LARGEST_NAME, help_text="of what it corrects")
    corrects = models.ForeignKey(Labelling, models.PROTECT, related_name="corrections")
    by = models.ForeignKey(User, models.PROTECT, related_name="corrections")
    made_at = models.DateTimeField(auto_now_add=True)
    saved_at = models.DateTimeField(null=True, help_text="empty: a draft, seen by its author alone")
    job = models.ForeignKey(Job, models.PROTECT, null=True, help_text="that measures it")
    labelling = models.OneToOneField(
        Labelling, models.PROTECT, null=True, related_name="correction",
        help_text="the version that it became",
    )  # fmt: skip

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("scan", "made_at")
        constraints = (
            models.UniqueConstraint(
                fields=("scan", "disease", "by"), condition=Q(saved_at__isnull=True),
                name="one_draft_of_a_person",
            ),
            models.UniqueConstraint(
                fields=("corrects",), condition=Q(saved_at__isnull=False),
                name="one_correction_of_a_version",
            ),
        )  # fmt: skip

    def __str__(self) -> str:
        return f"correction {self.pk} of {self.scan_id}"


class Edit(models.Model):
    """One edit of a correction: by its author, of one lesion; see `LabelEdit`."""

    to_patient: ClassVar[str] = "correction__scan__patient"
    to_disease: ClassVar[str] = "correction__disease"

    correction = models.ForeignKey(Correction, models.CASCADE, related_name="edits")
    number = models.PositiveIntegerField(help_text="1 is applied first")
    kind = models.CharField(max_length=12, choices=[(kind.value, kind.value) for kind in EditKind])
    lesion = models.PositiveIntegerField()
    slice_index = models.PositiveIntegerField(null=True, help_text="from 0; empty: all slices")
    contour = models.JSONField(default=list, help_text="(x, y) in pixels of the slice")
    class_value = models.PositiveSmallIntegerField(null=True, help_text="contract 7")
    leaves = models.PositiveSmallIntegerField(null=True, help_text="contract 7")
    n_pixels = models.PositiveIntegerField(null=True, help_text="that changed on its slice")
    left_out = models.TextField(
        blank=True, help_text="why it is not applied, on a version newer than it was made for"
    )
    made_at = models.DateTimeField(auto_now_add=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("correction", "number")
        constraints = (
            models.UniqueConstraint(fields=("correction", "number"), name="one_edit_of_a_number"),
        )

    def __str__(self) -> str:
        return f"edit {self.number} of correction {self.correction_id}"

    def as_label_edit(self) -> LabelEdit:
        """The edit as the library applies it."""
        return LabelEdit(
            EditKind(self.kind), self.lesion, self.slice_index,
            tuple((x, y) for x, y in self.contour), self.class_value, self.leaves,
        )  # fmt: skip

    @property
    def in_words(self) -> str:
        """What it does, for people."""
        kind = EditKind(self.kind)
        name = LESION_CLASSES.get(self.class_value or 0, "")
        own = settings.FOLDER.diseases.get(self.correction.disease)
        name = name.replace("_", " ") if own is None else own.words_of(name)
        words = {
            EditKind.NEW: f"new lesion {self.lesion} of {name}",
            EditKind.REPLACE: f"contour of lesion {self.lesion} replaced",
            EditKind.ADD: f"added to lesion {self.lesion}",
            EditKind.CUT: f"cut off lesion {self.lesion}",
            EditKind.CLEAR: f"lesion {self.lesion} taken off this slice",
            EditKind.REMOVE: f"lesion {self.lesion} removed",
            EditKind.RECLASSIFY: f"lesion {self.lesion} is {name}",
        }[kind]
        return words if self.slice_index is None else f"{words}, slice {self.slice_index + 1}"
