"""Series of the stored files, by their UIDs, so that one is found without opening files.

Derived from the files alone: rows that are lost are made again.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from django.db import models

from covidlit.platform.accounts.scoped import ScopedQuerySet
from covidlit.platform.registry.models import Labelling, Scan

MOST_UID = 64


class Instance(NamedTuple):
    """An object of a series.

    Args:
        uid: its SOPInstanceUID.
        sop_class: of it.
        file: its name in the folder of the scan, or of the labelling's objects.
        number: InstanceNumber; None: it has none.
        rows, columns, frames: of its image; 0 where it is none.
        bits: allocated for a pixel.
    """

    uid: str
    sop_class: str
    file: str
    number: int | None
    rows: int
    columns: int
    frames: int
    bits: int


class Waiting(models.Model):
    """A scan that was stored or measured, and whose files nobody has looked into since.

    Written with what it tells of, so that searches ask here alone, and not all scans.
    """

    scan = models.ForeignKey(Scan, models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return f"scan {self.scan_id}"


class StoredSeries(models.Model):
    """A series of a scan as it came, or of the objects of its newest labelling."""

    to_patient: ClassVar[str] = "scan__patient"

    scan = models.ForeignKey(Scan, models.CASCADE, related_name="series")
    labelling = models.ForeignKey(
        Labelling, models.CASCADE, null=True, help_text="whose objects they are; null: the scan's"
    )
    study_uid = models.CharField(max_length=MOST_UID, db_index=True)
    series_uid = models.CharField(max_length=MOST_UID, db_index=True)
    study_pseudonym = models.CharField(max_length=MOST_UID, db_index=True)
    series_pseudonym = models.CharField(max_length=MOST_UID, db_index=True)
    study_date = models.CharField(max_length=8, blank=True, help_text="YYYYMMDD")
    modality = models.CharField(max_length=16, blank=True)
    number = models.IntegerField(null=True, help_text="SeriesNumber")
    description = models.CharField(max_length=64, blank=True, help_text="of our own objects alone")
    names_patient = models.BooleanField(
        help_text="its content says who the patient is, whatever its header says"
    )
    n_instances = models.PositiveIntegerField()
    content = models.JSONField(help_text="its instances, each as `Instance`")

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("scan", "pk")

    def __str__(self) -> str:
        return f"series of {self.scan_id}"

    @property
    def instances(self) -> list[Instance]:
        """Its objects, in the order of their numbers."""
        return [Instance(*each) for each in self.content]
