"""The factors as a DICOM structured report: TID 1500, a measurement group per lesion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pandas as pd
from highdicom.sr import (
    AlgorithmIdentification,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    ImageRegion,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    SourceImageForRegion,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes

from covidlit.dicom.out.equipment import (
    MANUFACTURER,
    MODEL,
    Algorithm,
    SeriesNumber,
    made_from,
    save,
)
from covidlit.dicom.out.outlines import Outline
from covidlit.dicom.out.source import SourceSeries
from covidlit.dicom.out.terms import (
    ABNORMAL,
    CLASS_TERMS,
    CT_OF_CHEST,
    LESION,
    LESION_TERMS,
    LUNG,
    OWN_SCHEME,
    SCAN_TERMS,
    VALUE_OF_CLASS,
    FactorTerms,
)
from covidlit.dicom.tracking import scan_tracking_uid, tracking_identifier
from covidlit.errors import DicomError

_PIXEL_CENTRE = 0.5
"""In DICOM's coordinates of an image the first pixel's corner is (0, 0), its centre (0.5, 0.5)."""


def write_report(
    source: SourceSeries,
    factors: Mapping[str, Any],
    lesions: pd.DataFrame,
    outline_of: Mapping[int, Outline],
    segmentations: Sequence[Path],
    path: Path,
    algorithm: Algorithm,
) -> Path:
    """Write the factors of a scan and of its lesions as a Comprehensive 3D SR.

    The scan's factors stand in a group of their own, in front; each lesion has a group with its
    TrackingUID and its outline on the slice where it is largest. The whole lesion is the segment
    with that TrackingUID: readers in use know no reference to a segment of a label map (dcmtk 3.6.7
    refuses the report, dciodvfy calls it an error). What is undefined is left out, never 0.

    Args:
        source: the slices; the report is filed in their study.
        factors: a row of contract 8.
        lesions: of contract 8, with `tracking_uid`.
        outline_of: `lesion_id` -> outline, slices in the source's order.
        segmentations: the files of classes and lesions, which belong to the evidence.
        path: the file to write.
        algorithm: what drew the lesions.

    Raises:
        DicomError: a value is infinite, or the headers do not allow the report.
    """
    with made_from(source, "structured report"):
        headers = [dcmread(each, stop_before_pixels=True) for each in segmentations]
        _check_one_patient([*source.headers, *headers])
        report = MeasurementReport(
            observation_context=ObservationContext(
                observer_device_context=ObserverContext(
                    observer_type=codes.DCM.Device,
                    observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                        uid=hd.UID(),
                        name=algorithm.name,
                        manufacturer_name=MANUFACTURER,
                        model_name=MODEL,
                    ),
                )
            ),
            procedure_reported=CT_OF_CHEST,
            imaging_measurements=[_scan_group(source, factors, algorithm)],
            title=codes.DCM.ImagingMeasurementReport,
        )
        # A report is filed under the study of the first piece of evidence: that of the scan.
        dataset = Comprehensive3DSR(
            evidence=[*source.headers, *headers],
            content=report,
            series_instance_uid=hd.UID(),
            series_number=SeriesNumber.REPORT.value,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer=MANUFACTURER,
            is_complete=True,
            is_final=False,
            is_verified=False,
            series_description="covidlit: Lesion factors",
        )
        _measurements_of(dataset).extend(
            _lesion_group(source, row, outline_of[int(row["lesion_id"])])[0]
            for row in lesions.to_dict("records")
        )
        dataset.CodingSchemeIdentificationSequence = [_own_scheme()]
        return save(dataset, path)


def _own_scheme() -> Dataset:
    """Whose terms those are that no standard scheme has (PS3.3, C.12.1)."""
    item = Dataset()
    item.CodingSchemeDesignator = OWN_SCHEME
    item.CodingSchemeName = "covidlit factors"
    item.CodingSchemeResponsibleOrganization = "covidlit"
    return item


def _measurements_of(dataset: Dataset) -> Any:
    """The content that the groups stand in.

    Lesions are added to the finished document, since highdicom copies and searches the content of
    one again and again: most of the time with hundreds of lesions.
    """
    return next(
        item.ContentSequence
        for item in dataset.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == codes.DCM.ImagingMeasurements.value
    )


def _check_one_patient(datasets: list[Dataset]) -> None:
    """Another patient's images would be accepted as evidence without a word."""
    for name in ("PatientID", "StudyInstanceUID"):
        if len({str(dataset.get(name, "")) for dataset in datasets}) > 1:
            raise DicomError(
                f"the {name} of the segmentations is not that of the slices.",
                where="structured report",
                fix="write report and segmentations from one series.",
            )


def _scan_group(
    source: SourceSeries, factors: Mapping[str, Any], algorithm: Algorithm
) -> MeasurementsAndQualitativeEvaluations:
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=scan_tracking_uid(str(source.headers[0].SeriesInstanceUID)),
            identifier="All lesions of the scan",
        ),
        finding_category=ABNORMAL,
        finding_type=LESION,
        finding_sites=[FindingSite(LUNG)],
        algorithm_id=AlgorithmIdentification(name=algorithm.name, version=algorithm.version),
        measurements=_measurements(factors, SCAN_TERMS, "the scan"),
    )


def _lesion_group(
    source: SourceSeries, lesion: Mapping[str, Any], outline: Outline
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    terms = CLASS_TERMS[VALUE_OF_CLASS[lesion["class_name"]]]
    name = f"Lesion {int(lesion['lesion_id'])}"
    header = source.headers[outline.slice_index]
    image = SourceImageForRegion(str(header.SOPClassUID), str(header.SOPInstanceUID))
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=lesion["tracking_uid"], identifier=tracking_identifier(str(lesion["tracking_uid"]))
        ),
        referenced_regions=[
            ImageRegion("POLYLINE", line + _PIXEL_CENTRE, image) for line in outline.lines
        ],
        finding_category=terms.category,
        finding_type=terms.kind,
        finding_sites=[FindingSite(terms.site)],
        measurements=_measurements(lesion, LESION_TERMS, name),
    )


def _measurements(
    row: Mapping[str, Any], terms: Mapping[str, FactorTerms], whose: str
) -> list[Measurement]:
    found = []
    for column, term in terms.items():
        value = row.get(column)
        if value is None or pd.isna(value):
            continue
        # highdicom takes Python's own numbers only; a decimal string holds 16 characters.
        number = float(f"{float(value):.10g}")
        if not np.isfinite(number):
            raise DicomError(
                f"column {column!r}: value {number}: a measurement must be finite.",
                where=whose,
                fix="leave it empty where it is undefined.",
            )
        found.append(
            Measurement(name=term.name, value=number, unit=term.unit, derivation=term.derivation)
        )
    return found
