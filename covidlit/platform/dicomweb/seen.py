"""What a caller sees of the stored series: his rows, by true UIDs or by their pseudonyms."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from django.db.models import BooleanField, Exists, OuterRef, Q, Value
from django.http import Http404, HttpRequest

from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import ScopedQuerySet
from covidlit.platform.api.authenticate import Caller
from covidlit.platform.dicomweb.deidentify import Stranger, shown_uid, stranger
from covidlit.platform.dicomweb.index import files_of
from covidlit.platform.dicomweb.models import Instance, StoredSeries
from covidlit.platform.registry.models import Labelling, Patient
from covidlit.platform.viewing.seen import looked_at, noted


class SeenInstance(NamedTuple):
    """An object, and how its patient is called.

    Args:
        series: it is in.
        instance: of the series.
        to: how the patient is called; None: the caller may know who it is.
    """

    series: StoredSeries
    instance: Instance
    to: Stranger | None

    @property
    def path(self) -> Path:
        """Its file."""
        return files_of(self.series) / self.instance.file

    @property
    def uid(self) -> str:
        """Its SOPInstanceUID, as the caller sees it."""
        return self.instance.uid if self.to is None else shown_uid(self.instance.uid)


def series_seen(caller: Caller) -> ScopedQuerySet[StoredSeries]:
    """The series that a caller sees; each has `identified`, whether he may know whose it is.

    For others what names its patient whatever is done, such as a PDF, is not there.
    """
    rows = StoredSeries.objects.seen_by(caller.user, Right.VIEW)
    # Results are those of a disease, which not everybody sees who sees the scan.
    results = Labelling.objects.seen_by(caller.user, Right.VIEW).filter(pk=OuterRef("labelling_id"))
    rows = rows.filter(Q(labelling__isnull=True) | Exists(results))
    if Right.IDENTIFY in caller.rights():
        known = Patient.objects.seen_by(caller.user, Right.IDENTIFY)
        rows = rows.annotate(identified=Exists(known.filter(pk=OuterRef("scan__patient_id"))))
    else:
        rows = rows.annotate(identified=Value(False, output_field=BooleanField()))
    return rows.filter(Q(identified=True) | Q(names_patient=False))


def of_uids(
    rows: ScopedQuerySet[StoredSeries], study: str = "", series: str = ""
) -> ScopedQuerySet[StoredSeries]:
    """Those of a study and a series, by the UIDs under which the caller sees them."""
    known, strange = Q(identified=True), Q(identified=False)
    if study:
        known, strange = known & Q(study_uid=study), strange & Q(study_pseudonym=study)
    if series:
        known, strange = known & Q(series_uid=series), strange & Q(series_pseudonym=series)
    return rows.filter(known | strange)


def instances_seen(
    request: HttpRequest, caller: Caller, study: str, series: str = "", uid: str = ""
) -> list[SeenInstance]:
    """The objects of a study, a series, or one object; the look is in the audit trail.

    Raises:
        Http404: there are none that the caller may see.
    """
    rows = of_uids(series_seen(caller), study, series)
    found: dict[str, SeenInstance] = {}
    for row in rows.select_related("scan__patient__centre", "labelling"):
        identified: bool = row.identified  # annotated
        to = None if identified else stranger(row.scan.patient, row.labelling is not None)
        for each in row.instances:
            own = SeenInstance(row, each, to)
            if not uid or own.uid == uid:
                found.setdefault(own.uid, own)
    if not found:
        raise Http404
    for scan in {each.series.scan: None for each in found.values()}:
        looked_at(request, f"scan {scan.scan_id}", scan.patient)
        if any(each.to is None for each in found.values() if each.series.scan == scan):
            looked_at(request, f"identity of {scan.patient.pseudonym}", scan.patient)
            centre = scan.patient.centre.name
            noted(request, "read by DICOMweb", f"scan {scan.scan_id}", centre)
    return list(found.values())
