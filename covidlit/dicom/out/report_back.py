"""Read a structured report back after writing: values, units and TrackingUIDs as in the tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydicom import Dataset, dcmread

from covidlit.dicom.out.source import SourceSeries, without_patient_data_in_logs
from covidlit.dicom.out.terms import LESION_TERMS, SCAN_TERMS, FactorTerms
from covidlit.dicom.tracking import scan_tracking_uid
from covidlit.errors import DicomError

_GROUP, _TRACKING_UID = "125007", "112040"
_RELATIVE = 1e-9

Values = dict[tuple[str, str, str], float]
"""(concept, unit, derivation) -> value."""


def check_report(
    path: Path, source: SourceSeries, factors: Mapping[str, Any], lesions: pd.DataFrame
) -> None:
    """Hold a report that was written against the tables; remove it where it differs.

    Args:
        path: the file.
        source: the series that it is about.
        factors, lesions: what it must say; undefined values must be missing.

    Raises:
        DicomError: patient or study, a TrackingUID or a value is another one.
    """
    with without_patient_data_in_logs():
        dataset = dcmread(path)
        problem = _context_problem(dataset, source.headers[0])
        found = {} if problem else measured(dataset)
    expected = {
        scan_tracking_uid(str(source.headers[0].SeriesInstanceUID)): _values(factors, SCAN_TERMS),
        **{row["tracking_uid"]: _values(row, LESION_TERMS) for row in lesions.to_dict("records")},
    }
    if not problem and found.keys() != expected.keys():
        problem = "its TrackingUIDs are not those of the tables"
    for uid, values in expected.items():
        if problem:
            break
        if not _same(values, found[uid]):
            problem = f"the values of {uid} are not those of the tables"
    if problem:
        path.unlink(missing_ok=True)
        raise DicomError(
            f"not handed out, because reading the report back shows that {problem}.",
            where=path.name,
            fix="report it; the tables themselves are not affected. The file was removed.",
        )


def measured(report: Dataset) -> dict[str, Values]:
    """TrackingUID of each measurement group -> its values.

    Args:
        report: a data set of TID 1500.
    """
    groups = {}
    for group in _groups(report):
        uid, values = "", {}
        for item in group.get("ContentSequence", []):
            concept = item.ConceptNameCodeSequence[0]
            if concept.CodeValue == _TRACKING_UID:
                uid = str(item.UID)
            elif item.ValueType == "NUM":
                value = item.MeasuredValueSequence[0]
                unit = str(value.MeasurementUnitsCodeSequence[0].CodeValue)
                key = (str(concept.CodeValue), unit, _derivation(item))
                values[key] = float(value.NumericValue)
        groups[uid] = values
    return groups


def _groups(item: Dataset) -> list[Dataset]:
    concept = item.get("ConceptNameCodeSequence")
    if concept and concept[0].CodeValue == _GROUP:
        return [item]
    return [group for child in item.get("ContentSequence", []) for group in _groups(child)]


def _derivation(item: Dataset) -> str:
    for child in item.get("ContentSequence", []):
        if child.ConceptNameCodeSequence[0].CodeValue == "121401":
            return str(child.ConceptCodeSequence[0].CodeValue)
    return ""


def _context_problem(dataset: Dataset, header: Dataset) -> str:
    for name in ("PatientID", "StudyInstanceUID"):
        if str(dataset.get(name, "")) != str(header.get(name, "")):
            return f"its {name} is not that of the source"
    return "" if dataset.CompletionFlag == "COMPLETE" else "it is not complete"


def _values(row: Mapping[str, Any], terms: Mapping[str, FactorTerms]) -> Values:
    return {
        (term.name.value, term.unit.value, term.derivation.value if term.derivation else ""): float(
            row[column]
        )
        for column, term in terms.items()
        if row.get(column) is not None and not pd.isna(row[column])
    }


def _same(one: Values, other: Values) -> bool:
    return one.keys() == other.keys() and all(
        abs(one[key] - other[key]) <= _RELATIVE * max(1.0, abs(one[key])) for key in one
    )
