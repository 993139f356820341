"""Gives `covidlit quantify` what people have corrected, and the model's labels of other scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from covidlit.cohort.scan_sources import ScanSource
from covidlit.dicom.out import Algorithm
from covidlit.lesions.report import CorrectionMade
from covidlit.platform.correcting.labels import labels_of
from covidlit.platform.correcting.models import Correction
from covidlit.platform.diseases.disease import Disease
from covidlit.platform.registry.models import Patient
from covidlit.quantify.labeller import Labeller
from covidlit.scans.lesion_labels import LesionLabels
from covidlit.scans.scan import Scan

EDITS_SAID = 6
"""Edits of a correction that a report names; the platform's page has all."""

CORRECTED = ", corrected"
"""Behind what labelled the scan first."""


def corrections_of(
    patient: Patient, disease: Disease, also: Correction | None = None
) -> dict[str, Correction]:
    """The correction that each scan of a patient is shown with for a disease, by scan_id.

    Args:
        patient: whose scans.
        disease: whose lesions were corrected.
        also: one that is saved and not measured yet; others like it wait for jobs of their own.
    """
    known = Correction.objects.filter(
        scan__patient=patient, disease=disease.name, labelling__isnull=False
    )
    rows = known.select_related("scan", "corrects", "labelling", "by").order_by(
        "labelling__version"
    )
    found = {row.scan.scan_id: row for row in rows}
    return found if also is None else {**found, also.scan.scan_id: also}


def corrections_made(
    patient: Patient, disease: Disease, also: Correction | None = None
) -> list[CorrectionMade]:
    """What people have corrected in a patient's scans, for the report; arguments as above."""
    own = Correction.objects.filter(
        scan__patient=patient, disease=disease.name, saved_at__isnull=False
    )
    known = Q(labelling__isnull=False) | Q(pk=also.pk if also else None)
    rows = own.filter(known).select_related("scan", "by").prefetch_related("edits")
    found = []
    for row in rows:
        edits = [edit.in_words for edit in row.edits.all() if not edit.left_out]
        more = len(edits) - EDITS_SAID
        said = "; ".join(edits[:EDITS_SAID]) + (f"; and {more} more" if more > 0 else "")
        assert row.saved_at is not None
        found.append(CorrectionMade(row.scan.scan_id, row.saved_at, row.by.username, said))
    return found


@dataclass(frozen=True)
class CorrectedLabeller:
    """A labeller whose labels of some scans people have corrected.

    Args:
        model: of the other scans.
        corrections: by scan_id.
    """

    model: Labeller
    corrections: Mapping[str, Correction]

    def algorithm_of(self, source: ScanSource) -> Algorithm:
        """See `Labeller`: semi-automatic, since lungs and what was not edited stay the model's."""
        if source.scan_id in self.corrections:
            return Algorithm("covidlit, corrected by a person", how="SEMIAUTOMATIC")
        return self.model.algorithm_of(source)

    def engine_of(self, source: ScanSource) -> str:
        """See `Labeller`; of a correction what labelled the scan first, and that it is one."""
        correction = self.corrections.get(source.scan_id)
        if correction is None:
            return self.model.engine_of(source)
        return correction.corrects.labelled_by.removesuffix(CORRECTED) + CORRECTED

    def settings(self) -> Mapping[str, Any]:
        """See `Labeller`: those of the model, so that no scan without a correction is made anew."""
        return self.model.settings()

    def look_at(self, sources: Sequence[ScanSource]) -> None:
        """See `Labeller`."""
        self.model.look_at(sources)

    def made_from(self, source: ScanSource) -> Any:
        """See `Labeller`: the correction, whose edits are never changed once it is saved."""
        correction = self.corrections.get(source.scan_id)
        if correction is None:
            return self.model.made_from(source)
        assert correction.saved_at is not None
        return {"correction": correction.pk, "saved_at": correction.saved_at.isoformat()}

    def label(self, source: ScanSource, name: str, scan: Scan) -> LesionLabels:
        """See `Labeller`."""
        correction = self.corrections.get(source.scan_id)
        if correction is None:
            return self.model.label(source, name, scan)
        return labels_of(correction, scan)
