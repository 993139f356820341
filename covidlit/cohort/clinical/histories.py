"""Comorbidities and symptoms of a source: flags, numbers, and texts that list them."""

from __future__ import annotations

from typing import Any

from covidlit.cohort.clinical.find_header import Sheet
from covidlit.cohort.clinical.mapping import ClinicalMapping, Column, Flags
from covidlit.cohort.clinical.meanings import flag_of, has_any, listed, number_of
from covidlit.cohort.clinical.people import People, cells_of
from covidlit.cohort.clinical.problems import Problems

COMORBIDITY, SYMPTOM = "comorbidity_", "symptom_"
COUNT = "comorbidity_count"


def read_histories(
    sheet: Sheet, mapping: ClinicalMapping, patients: list[str], problems: Problems, into: People
) -> None:
    """Add comorbidities and symptoms; what is known already stays.

    Symptoms are of each row. Comorbidities are of the patient where they stand alike in every row
    of each, or in a table of patients. Otherwise they are of their rows: what was found, or first
    written down, later is not known before.
    """
    if mapping.comorbidities is not None:
        found = _of_rows(sheet, mapping.comorbidities, problems, "comorbidities", COMORBIDITY)
        counts = _counts(sheet, mapping.comorbidities, problems, found)
        if counts is not None:
            found[COUNT] = counts
        changing = [name for name, values in found.items() if _differs(patients, values)]
        for name, values in found.items():
            _keep(name, values, patients, into, by_row=name in changing)
        if changing and patients is into.patients:
            into.notes.append(
                f"{', '.join(changing)} do not stand alike in every row of a patient: "
                "the first of the window counts."
            )
    if mapping.symptoms is not None:
        found = _of_rows(sheet, mapping.symptoms, problems, "symptoms", SYMPTOM)
        for name, values in found.items():
            _keep(name, values, patients, into, by_row=True)


def _of_rows(
    sheet: Sheet, flags: Flags, problems: Problems, key: str, prefix: str
) -> dict[str, list[Any]]:
    """Flags by name, true, false or None in each row."""
    read = flag_of(flags.map)
    found: dict[str, list[Any]] = {}
    for name, names in flags.flags.items():
        if (place := sheet.find(names)) is not None:
            found[prefix + name] = cells_of(sheet, place, read, problems, key)
    things = _things(sheet, flags)
    for name, names in (flags.listed.known if flags.listed and things else {}).items():
        found[prefix + name] = [None if t is None else has_any(t, names) for t in things or ()]
    return found


def _things(sheet: Sheet, flags: Flags) -> list[list[str] | None] | None:
    if flags.listed is None or (place := sheet.find(flags.listed.column)) is None:
        return None
    return [listed(cell, flags.listed) for cell in sheet.values(place)]


def _counts(
    sheet: Sheet, flags: Flags, problems: Problems, found: dict[str, list[Any]]
) -> list[Any] | None:
    """The number of comorbidities in each row: the table's own, of the list, or of the flags."""
    if flags.count is not None and (place := sheet.find(flags.count)) is not None:
        read = number_of(COUNT, Column(column=flags.count))
        return cells_of(sheet, place, read, problems, "comorbidities")
    things = _things(sheet, flags)
    if things is None and not found:
        return None
    counts: list[Any] = []
    for row in range(len(sheet.cells)):
        known = [values[row] for values in found.values() if values[row] is not None]
        own = things[row] if things else None
        counts.append(len(own) if own is not None else sum(known) if known else None)
    return counts


def _differs(patients: list[str], values: list[Any]) -> bool:
    """Whether a patient has two values, or one in some rows and none in others."""
    known: dict[str, Any] = {}
    return any(
        known.setdefault(patient, value) != value
        for patient, value in zip(patients, values, strict=True)
    )


def _keep(name: str, values: list[Any], patients: list[str], into: People, *, by_row: bool) -> None:
    if name in into.of_row or name in into.of_patient:
        return
    if by_row and patients is into.patients:
        into.of_row[name] = values
        return
    found: dict[str, Any] = {}
    for patient, value in zip(patients, values, strict=True):
        if value is not None:
            found[patient] = max(found.get(patient, value), value)
    into.of_patient[name] = found
