"""What the platform knows of patients and scans; identity in a table of its own.

A pseudonym stands for a patient everywhere but in `Identity`. A scan is measured anew by each
`Labelling`, of a model or of a person, and none is ever written over: the newest of a disease is
shown. Which diseases somebody may see `covidlit.platform.registry.followed` says.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.scoped import ScopedQuerySet
from covidlit.platform.diseases.disease import DEFAULT_DISEASE, LARGEST_NAME
from covidlit.platform.registry.searched import SearchedField


class Patient(models.Model):
    """A person, by pseudonym."""

    to_patient: ClassVar[str] = ""

    pseudonym = models.CharField(max_length=64, unique=True)
    centre = models.ForeignKey(Centre, models.PROTECT, related_name="patients")
    study_groups = models.ManyToManyField(StudyGroup, related_name="patients")

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("pseudonym",)
        # The next page of a centre's patients is found without looking at the others.
        indexes = (models.Index(fields=("centre", "pseudonym")),)

    def __str__(self) -> str:
        return self.pseudonym


class Identity(models.Model):
    """Who a patient is: seen with the right to it alone, and each look is in the audit trail."""

    to_patient: ClassVar[str] = "patient"

    patient = models.OneToOneField(Patient, models.CASCADE, related_name="identity")
    hospital_id = models.CharField(max_length=64)
    name = models.CharField(max_length=200, blank=True)
    birth_date = models.DateField(null=True, blank=True)
    number_searched = SearchedField(max_length=64, of="hospital_id")
    name_searched = SearchedField(max_length=200, of="name")

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "identities"

    def __str__(self) -> str:
        return f"identity of {self.patient_id}"


class Scan(models.Model):
    """A CT series, as it came; the same one of a patient twice is one."""

    to_patient: ClassVar[str] = "patient"

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="scans")
    scan_id = models.CharField(max_length=128)
    acquired_on = models.DateField(null=True, blank=True)
    modality = models.CharField(max_length=16, default="CT")
    n_slices = models.PositiveIntegerField()
    n_files = models.PositiveIntegerField(default=0, help_text="as they came; 0: not told")
    spacing_mm = models.JSONField(help_text="(z, y, x)")
    folder = models.CharField(max_length=200, help_text="below the platform's folder of scans")
    notes = models.TextField(blank=True)
    added_at = models.DateTimeField(auto_now_add=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("patient", "acquired_on", "scan_id")
        indexes = (models.Index(fields=("patient", "acquired_on")),)
        constraints = (
            # By patient: what another centre has nobody learns from here.
            models.UniqueConstraint(fields=("patient", "scan_id"), name="one_scan_of_an_id"),
        )

    def __str__(self) -> str:
        return self.scan_id


LABELLED_BY = {
    "masks": "masks from elsewhere", "torch": "network", "openvino": "network",
    "onnxruntime": "network",
}  # fmt: skip
"""What computes labels, in words; other names are shown as they are."""


class Labelling(models.Model):
    """Lungs and lesions of a scan, by a model or a person, and the factors measured on them.

    Lesions are those of one disease. Versions are counted over all diseases of the scan.
    """

    to_patient: ClassVar[str] = "scan__patient"
    to_disease: ClassVar[str] = "disease"

    scan = models.ForeignKey(Scan, models.PROTECT, related_name="labellings")
    disease = models.CharField(max_length=LARGEST_NAME, default=DEFAULT_DISEASE)
    version = models.PositiveIntegerField()
    labelled_by = models.CharField(max_length=200, help_text="a model, or masks")
    corrected_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True)
    corrects = models.ForeignKey("self", models.PROTECT, null=True, blank=True)
    folder = models.CharField(max_length=200, help_text="below the platform's folder of results")
    factors = models.JSONField(help_text="contract 8; null where undefined")
    changes = models.JSONField(
        default=list, help_text="what became of the lesions since the scan before"
    )
    made_at = models.DateTimeField(auto_now_add=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("scan", "-version")
        indexes = (models.Index(fields=("scan", "disease", "version")),)
        constraints = (
            models.UniqueConstraint(fields=("scan", "version"), name="one_labelling_of_a_version"),
        )

    def __str__(self) -> str:
        return f"{self.scan_id}, version {self.version}"

    @property
    def labelled_by_in_words(self) -> str:
        """What `labelled_by` is, for people: "network, corrected by a person", say."""
        name, _, corrected = str(self.labelled_by).partition(", corrected")
        first, _, rest = name.partition(" ")
        words = " ".join([LABELLED_BY.get(first, first), rest]).strip()
        return f"{words}, corrected by a person" if self.corrected_by_id or corrected else words


class Lesion(models.Model):
    """A lesion of a labelling, with its factors."""

    to_patient: ClassVar[str] = "labelling__scan__patient"
    to_disease: ClassVar[str] = "labelling__disease"

    labelling = models.ForeignKey(Labelling, models.CASCADE, related_name="lesions")
    number = models.PositiveIntegerField(help_text="its value in the label map of lesions")
    kind = models.CharField(max_length=40, help_text="class of the lesion")
    slice_index = models.PositiveIntegerField(help_text="plane in which most of it lies, from 0")
    factors = models.JSONField(help_text="contract 8; null where undefined")

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("labelling", "number")
        constraints = (
            models.UniqueConstraint(fields=("labelling", "number"), name="one_lesion_of_a_number"),
        )

    @property
    def kind_in_words(self) -> str:
        """The class as people write it where they follow the disease."""
        own = settings.FOLDER.diseases.get(self.labelling.disease)
        return self.kind.replace("_", " ") if own is None else str(own.words_of(self.kind))

    def __str__(self) -> str:
        return f"lesion {self.number} of {self.labelling_id}"
