"""A hospital's own table as contract 9, by its mapping."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.clinical.find_header import Sheet, below_header
from covidlit.cohort.clinical.finish import finished
from covidlit.cohort.clinical.mapping import ClinicalMapping
from covidlit.cohort.clinical.mapping_file import load_mapping
from covidlit.cohort.clinical.moments import Reading, measurements_of, moments_of
from covidlit.cohort.clinical.people import People
from covidlit.cohort.clinical.read_people import patients_of, read_people
from covidlit.cohort.clinical.read_values import Values, long_values, wide_values
from covidlit.cohort.clinical.shares import are_fractions
from covidlit.cohort.clinical.source import ClinicalSource
from covidlit.cohort.patient_ids import without_zeros
from covidlit.counted import counted
from covidlit.errors import ManifestError
from covidlit.tables import read_grid

__all__ = ["ClinicalSource", "read_clinical_source"]


def read_clinical_source(
    path: str | Path, mapping: str | Path | Mapping[str, Any] | ClinicalMapping
) -> ClinicalSource:
    """Read a hospital's table of laboratory values and patients.

    Args:
        path: `.csv`, `.xlsx` or `.parquet`.
        mapping: what it means: a name in `conf/clinical`, the path of a YAML file, or its content.

    Raises:
        ConfigError: the mapping holds what does not fit.
        ManifestError: names row, column and value of what cannot be read or cannot be, and how to
            mend it.
    """
    if not isinstance(mapping, ClinicalMapping):
        mapping = load_mapping(mapping)
    work = Reading(mapping, Path(path))
    sheet = _first_table(work)
    patients = patients_of(sheet, mapping.patient, work.problems)
    people = People(patients)
    others = _second_table(work)
    if others is not None:
        read_people(others[0], mapping, others[1], work.problems, people)
    read_people(sheet, mapping, patients, work.problems, people)
    _check_outcomes(work, sheet, people)
    _note_unnamed(work, [sheet, *([others[0]] if others is not None else [])])
    reader = wide_values if mapping.layout == "wide" else long_values
    values = reader(sheet, mapping, work.problems)
    moments = moments_of(work, sheet, people, values)
    work.problems.raise_all()
    everyone = _everyone(work, sheet, patients, others)
    measured = measurements_of(work, sheet, people, values, moments)
    _check_shares(work, sheet, values, measured)
    work.problems.raise_all()
    return finished(work, people, values, measured, everyone)


def _first_table(work: Reading) -> Sheet:
    mapping = work.mapping
    grid = read_grid(work.path, ManifestError, sheet=mapping.sheet, encoding=mapping.encoding)
    names = _names(mapping)
    fill = [mapping.patient.column] if mapping.patient.fill_down and mapping.patient.column else []
    sheet, notes = below_header(
        grid, names, mapping.header_row, str(work.path), fill, mapping.merged_cells == "fill"
    )
    work.notes += notes
    if sheet.cells.empty:
        raise ManifestError(
            "the table has no row below its header.", where=sheet.where, fix="export it again."
        )
    return sheet


def _second_table(work: Reading) -> tuple[Sheet, list[str]] | None:
    """The table of patients and who its rows are about, where there is one."""
    mapping, own = work.mapping, work.mapping.patients
    if own is None:
        return None
    path = work.path if own.file is None else work.path.parent / own.file
    grid = read_grid(path, ManifestError, sheet=own.sheet, encoding=mapping.encoding)
    names = [*_names(mapping), *([own.patient.column] if own.patient.column else [])]
    sheet, notes = below_header(
        grid, names, own.header_row, str(path), fill_all=mapping.merged_cells == "fill"
    )
    work.notes += notes
    return sheet, patients_of(sheet, own.patient, work.problems)


def _names(mapping: ClinicalMapping) -> list[list[str]]:
    """The spellings of every column that a mapping names."""
    content = mapping.model_dump()
    found: list[list[str]] = []

    def gather(node: Any) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                if key in ("column", "count", "only_with", "test", "value", "unit") and isinstance(
                    value, list
                ):
                    found.append(value)
                elif key == "flags" and isinstance(value, dict):
                    found.extend(value.values())
                elif key == "names" and mapping.layout == "wide":
                    found.append(value)
                elif key != "known":
                    gather(value)

    gather(content)
    return found


def _note_unnamed(work: Reading, sheets: list[Sheet]) -> None:
    """Say which columns the mapping does not name, lest somebody misses their values."""
    names = _names(work.mapping)
    if work.mapping.patients is not None:
        names += [work.mapping.patients.patient.column or []]
    for sheet in sheets:
        if more := sheet.beside(names):
            where = f" of {sheet.where}" if len(sheets) > 1 else ""
            work.notes.append(
                f"{counted(len(more), 'column')}{where} not named by the mapping, and not read: "
                f"{', '.join(more)}."
            )


def _check_shares(work: Reading, sheet: Sheet, values: Values, measured: pd.DataFrame) -> None:
    """Eosinophils that are fractions beside what is in percent are a problem of their column."""
    name = "eosinophil_percent"
    by = are_fractions(measured) if work.mapping.check_units else ""
    if not by:
        return
    own = values.records[values.records["feature"].eq(name)]
    first = own[own["value"] > 0].iloc[0]
    work.problems.of_cell(
        sheet, int(first["row"]), int(first["place"]),
        f"{name} is said to be in percent, and beside {by} all {len(own)} values look like "
        "fractions",
        f"say unit: fraction of {name} in the mapping; if percent is right, set check_units: false "
        "there",
    )  # fmt: skip


def _check_outcomes(work: Reading, sheet: Sheet, people: People) -> None:
    """An outcome before the index date is a problem: one of the two dates is wrong."""
    index, outcome = (people.dates.get(key, {}) for key in ("index_date", "outcome_date"))
    for patient, day in outcome.items():
        if patient in index and day.normalize() < index[patient].normalize():
            row = people.patients.index(patient) if patient in people.patients else None
            place = "" if row is None else f"row {sheet.row(row)}: "
            work.problems.of(
                sheet.where,
                f"{place}the outcome of patient {patient} ({day:%Y-%m-%d}) is before the index "
                f"date ({index[patient]:%Y-%m-%d})",
                "correct one of the dates",
            )


def _everyone(
    work: Reading, sheet: Sheet, patients: list[str], others: tuple[Sheet, list[str]] | None
) -> list[str]:
    """The patients of the source, in order; those of the second table alone by the mapping's rule.

    Raises:
        ManifestError: the second table has patients that the first lacks.
    """
    known = list(dict.fromkeys(patients))
    of_first = set(known)
    if others is None or work.mapping.patients is None:
        return known
    second, names = others
    unknown = [name for name in dict.fromkeys(names) if name not in of_first]
    of_second = set(names)
    lacking = [name for name in known if name not in of_second]
    if lacking:
        work.notes.append(
            f"{counted(len(lacking), 'patient')} with values, such as {lacking[0]}, and without a "
            f"row in {second.where}: nothing is known of them beside their values."
        )
    if not unknown:
        return known
    rule = work.mapping.patients.unknown
    if rule == "leave_out":
        work.notes.append(f"{counted(len(unknown), 'patient')} of {second.where} left out for want "
                          f"of any value, such as {unknown[0]}.")  # fmt: skip
        return known
    if rule == "keep":
        work.notes.append(f"{counted(len(unknown), 'patient')} of {second.where} without a value.")
        return known + unknown
    bare = {without_zeros(name): name for name in known}
    rows = [k for k, name in enumerate(names) if name not in of_first]
    alike = bare.get(without_zeros(unknown[0]))
    hint = f" ({alike!r} there: leading zeros may have been lost)" if alike else ""
    raise ManifestError(
        f"rows {second.rows(rows)}: {counted(len(unknown), 'patient')}, such as "
        f"{unknown[0]!r}, without a row in {sheet.where}{hint}.",
        where=second.where,
        fix="write the patients alike in both tables; if they were never measured, set "
        "patients.unknown: keep (or leave_out) in the mapping.",
    )
