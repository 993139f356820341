"""A hospital's own table as contract 9, by its mapping."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from covidlit.cohort.clinical.cells import as_text
from covidlit.cohort.clinical.contract import CLINICAL_SCHEMA, INDICATORS, validate_clinical
from covidlit.cohort.clinical.find_header import Sheet, below_header
from covidlit.cohort.clinical.mapping import ClinicalMapping, load_mapping
from covidlit.cohort.clinical.problems import Problems
from covidlit.cohort.clinical.read_people import People, days_of, patients_of, read_people
from covidlit.cohort.clinical.read_values import Values, long_values, wide_values
from covidlit.cohort.clinical.reduce import WORSE, within_days
from covidlit.cohort.patient_ids import without_zeros
from covidlit.errors import ManifestError
from covidlit.tables import listed_rows, read_grid, rows_text

FEATURE_COLUMNS = ("name", "group", "description", "unit", "source", "worse")


@dataclass(frozen=True)
class ClinicalSource:
    """What a source holds.

    Args:
        table: contract 9, one row per patient and date; of several values of one day the first.
        measurements: the numbers and what changes, one row per `patient_id` and `moment` (with the
            time of day, midnight where none is known).
        patients: one row per patient: `patient_id`, `index_date`, `outcome_date`, and whatever has
            one value for each.
        features: one row per number: name, group, description, unit, source, worse ("high" or
            "low": the side of the disease).
        counts: `column`, `rule` and `n`: how many cells each rule changed.
        absent: features of the mapping that the source has no column or test of.
        notes: sentences on what was found and done.
        place: the file.
    """

    table: pd.DataFrame
    measurements: pd.DataFrame
    patients: pd.DataFrame
    features: pd.DataFrame
    counts: pd.DataFrame
    absent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    place: str = ""

    @property
    def dates(self) -> pd.DataFrame:
        """`patient_id`, `index_date` and `outcome_date`, NaT where they are not known."""
        return self.patients[["patient_id", "index_date", "outcome_date"]]

    @property
    def names(self) -> list[str]:
        """The numbers, in order."""
        return self.features["name"].to_list()


@dataclass
class _Reading:
    """What is gathered while a source is read."""

    mapping: ClinicalMapping
    path: Path
    problems: Problems = field(default_factory=Problems)
    notes: list[str] = field(default_factory=list)


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
    work = _Reading(mapping, Path(path))
    sheet = _first_table(work)
    patients = patients_of(sheet, mapping.patient, work.problems)
    people = People(patients)
    others = _second_table(work)
    if others is not None:
        read_people(others[0], mapping, others[1], work.problems, people)
    read_people(sheet, mapping, patients, work.problems, people)
    reader = wide_values if mapping.layout == "wide" else long_values
    values = reader(sheet, mapping, work.problems)
    moments = _moments(work, sheet, people, values)
    work.problems.raise_all()
    everyone = _everyone(work, sheet, patients, others)
    measured = _measurements(work, sheet, people, values, moments)
    work.problems.raise_all()
    return _finished(work, people, values, measured, everyone)


def _first_table(work: _Reading) -> Sheet:
    mapping = work.mapping
    grid = read_grid(work.path, ManifestError, sheet=mapping.sheet, encoding=mapping.encoding)
    names = _names(mapping)
    fill = [mapping.patient.column] if mapping.patient.fill_down and mapping.patient.column else []
    sheet, notes = below_header(
        grid, names, mapping.header_row, str(work.path), fill, mapping.merged_cells == "fill"
    )
    work.notes += notes
    if sheet.cells.empty:
        raise ManifestError("the table has no row below its header.", where=sheet.where)
    return sheet


def _second_table(work: _Reading) -> tuple[Sheet, list[str]] | None:
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


def _moments(work: _Reading, sheet: Sheet, people: People, values: Values) -> pd.Series:
    """When each row is of: its date, or its patient's index date."""
    mapping = work.mapping
    index = people.dates.get("index_date", {})
    of_patient = pd.Series(
        [index.get(patient, pd.NaT) for patient in people.patients], dtype="datetime64[ns]"
    )
    if mapping.date is None:
        if mapping.index_date is not None and "index_date" not in people.dates:
            sheet.column(mapping.index_date.column or ["index_date"], "index_date")
        own = pd.Series(pd.NaT, index=of_patient.index, dtype="datetime64[ns]")
    else:
        if mapping.date.column is not None:
            sheet.column(mapping.date.column, "date")
        found = days_of(sheet, mapping.date, mapping, "date", work.problems, work.notes)
        assert found is not None
        own = found
        if mapping.date.column is None:
            work.notes.append(
                f"The source has no dates: all values count as of {mapping.date.origin}."
            )
    missing = own.isna()
    with_values = np.zeros(len(own), dtype=bool)
    records = values.records
    with_values[records.loc[records["moment"].isna(), "row"].to_numpy(dtype=int)] = True
    moments = own.fillna(of_patient)
    undated = missing.to_numpy() & with_values & (mapping.date is not None)
    empty = np.flatnonzero(undated | moments.isna().to_numpy())
    place = sheet.find(mapping.date.column) if mapping.date and mapping.date.column else None
    if place is None and mapping.date is None and mapping.index_date:
        place = sheet.find(mapping.index_date.column or [])
    for row in empty:
        if not people.patients[row]:
            continue
        if place is None:
            work.problems.of(
                sheet.where,
                f"row {sheet.texts[row]}: patient {people.patients[row]} has no date",
                "complete the index dates",
            )
        elif sheet.cells.iat[row, place] is None or moments.isna()[row]:
            work.problems.of_cell(
                sheet, int(row), place, "must be the date of the row's values",
                "fill in the date, or remove the row",
            )  # fmt: skip
    filled = int((missing & moments.notna()).sum()) if mapping.date is not None else 0
    if filled:
        work.notes.append(
            f"{filled} row(s) without a date and without a value count as of the index date."
        )
    return moments


def _everyone(
    work: _Reading, sheet: Sheet, patients: list[str], others: tuple[Sheet, list[str]] | None
) -> list[str]:
    """The patients of the source, in order; those of the second table alone by the mapping's rule.

    Raises:
        ManifestError: the second table has patients that the first lacks.
    """
    known = list(dict.fromkeys(patients))
    if others is None or work.mapping.patients is None:
        return known
    second, names = others
    unknown = [name for name in dict.fromkeys(names) if name not in set(known)]
    lacking = [name for name in known if name not in set(names)]
    if lacking:
        work.notes.append(
            f"{len(lacking)} patient(s) with values are not in {second.where}, such as "
            f"{lacking[0]}: nothing is known of them beside their values."
        )
    if not unknown:
        return known
    rule = work.mapping.patients.unknown
    if rule == "leave_out":
        work.notes.append(f"{len(unknown)} patient(s) of {second.where} without any value are "
                          f"left out, such as {unknown[0]}.")  # fmt: skip
        return known
    if rule == "keep":
        work.notes.append(f"{len(unknown)} patient(s) of {second.where} have no value.")
        return known + unknown
    bare = {without_zeros(name): name for name in known}
    rows = [k for k, name in enumerate(names) if name in set(unknown)]
    alike = bare.get(without_zeros(unknown[0]))
    hint = f" ({alike!r} there: leading zeros may have been lost)" if alike else ""
    raise ManifestError(
        f"rows {rows_text(second.cells.iloc[rows])}: {len(unknown)} patient(s), such as "
        f"{unknown[0]!r}, have no row in {sheet.where}{hint}.",
        where=second.where,
        fix="write the patients alike in both tables; if they were never measured, set "
        "patients.unknown: keep (or leave_out) in the mapping.",
    )


def _measurements(
    work: _Reading, sheet: Sheet, people: People, values: Values, moments: pd.Series
) -> pd.DataFrame:
    """One row per patient and moment."""
    mapping, who = work.mapping, np.array(people.patients, dtype=object)
    rows = pd.DataFrame({"patient_id": who, "moment": moments.to_numpy()}).assign(
        **{name: pd.Series(each, dtype=object) for name, each in people.of_row.items()}
    )
    rows = rows[rows["moment"].notna()]
    records = values.records
    own = records["moment"].where(
        records["moment"].notna(), moments.reindex(records["row"]).set_axis(records.index)
    )
    records = records.assign(moment=own, patient_id=who[records["row"].to_numpy(dtype=int)])
    if mapping.layout == "wide" and mapping.same_moment == "refuse":
        twice = rows[rows.duplicated(["patient_id", "moment"], keep=False)]
        _refuse_twice(work, sheet, twice)
    key = ["patient_id", "moment", "feature"]
    twice = records[records.duplicated(key, keep=False)]
    if len(twice) and mapping.same_moment in ("refuse", "merge"):
        _refuse_values_twice(work, sheet, twice, mapping)
    how = {"last": "last", "mean": "mean"}.get(mapping.same_moment, "first")
    merged = len(records) - len(records.drop_duplicates(key))
    if merged:
        work.notes.append(f"{merged} value(s) of a moment that has another one: the {how} counts.")
    numbers = records.groupby(key, sort=False)["value"].agg(how).unstack("feature")
    numbers = numbers.reindex(columns=[n for n in mapping.numbers if n not in values.absent])
    changing = rows.groupby(["patient_id", "moment"], sort=False).first()
    both = changing.join(numbers.astype("float64"), how="outer")
    order = {patient: k for k, patient in enumerate(dict.fromkeys(people.patients))}
    both = both.reset_index()
    both = both.sort_values("moment", kind="stable")
    return both.sort_values("patient_id", key=lambda c: c.map(order), kind="stable").reset_index(
        drop=True
    )


def _refuse_twice(work: _Reading, sheet: Sheet, twice: pd.DataFrame) -> None:
    for (patient, moment), same in twice.groupby(["patient_id", "moment"], sort=False):
        texts = listed_rows(
            [int(k) + 1 for k in same.index],
            [int(sheet.texts[k].split("line ")[1].split(" ")[0]) for k in same.index],
        )
        place = work.mapping.date.column if work.mapping.date else None
        name = "" if place is None else f", column {sheet.header[sheet.find(place) or 0]!r}"
        shown = f"{moment:%Y-%m-%d}" if moment == moment.normalize() else f"{moment}"
        work.problems.of(
            sheet.where,
            f"rows {texts}{name}: patient {patient} stands twice on one date, {shown}",
            "merge these rows into one, or say by same_moment in the mapping what to do: merge "
            "(where no two values differ), first, last or mean",
        )


def _refuse_values_twice(
    work: _Reading, sheet: Sheet, twice: pd.DataFrame, mapping: ClinicalMapping
) -> None:
    for (patient, moment, name), same in twice.groupby(
        ["patient_id", "moment", "feature"], sort=False
    ):
        if mapping.same_moment == "merge" and same["value"].nunique() == 1:
            continue
        if mapping.same_moment == "refuse" and mapping.layout == "wide":
            continue  # told as a row
        rows = same["row"].tolist()
        shown = " and ".join(
            f"{as_text(sheet.cells.iat[r, p])!r} in row {sheet.texts[r]}"
            for r, p in zip(rows[:2], same["place"], strict=False)
        )
        work.problems.of(
            sheet.where,
            f"patient {patient} has {name} {len(rows)} times at {moment} ({shown}), column "
            f"{sheet.header[int(same['place'].iloc[0])]!r}",
            "keep one of the rows, or say by same_moment in the mapping which counts: merge (equal "
            "ones), first, last or mean",
        )


def _finished(
    work: _Reading, people: People, values: Values, measured: pd.DataFrame, everyone: list[str]
) -> ClinicalSource:
    mapping = work.mapping
    patients = pd.DataFrame({"patient_id": everyone})
    for key in ("index_date", "outcome_date"):
        known = people.dates.get(key, {})
        days = [known.get(name, pd.NaT) for name in everyone]
        patients[key] = pd.Series(days, dtype="datetime64[ns]")
    for name, known in people.of_patient.items():
        patients[name] = pd.Series([known.get(each) for each in everyone], dtype=object)
    without = [name for name in everyone if name not in set(measured["patient_id"])]
    if without:
        days = patients.set_index("patient_id").loc[without, "index_date"]
        undated = days[days.isna()]
        if len(undated):
            raise ManifestError(
                f"patient {undated.index[0]} has no value and no index date ({len(undated)} such "
                "patient(s)).",
                where=str(work.path),
                fix="complete the index dates, or set patients.unknown: leave_out in the mapping.",
            )
        extra = pd.DataFrame({"patient_id": without, "moment": days.to_numpy()})
        measured = pd.concat([measured, extra], ignore_index=True)
    patients = _with_event_time(patients, measured)
    features = _features(mapping, [n for n in mapping.numbers if n not in values.absent])
    table = _contract(measured, patients, features["name"].to_list(), work.path)
    counts = [
        (name, rule, n)
        for name, rules in {**values.changed, **people.changed}.items()
        for rule, n in rules.items()
    ]
    notes = [*work.notes, *people.notes, *values.notes]
    if values.absent:
        notes.append(
            f"{len(values.absent)} of {len(mapping.numbers)} features of the mapping are not in "
            f"the source: {', '.join(values.absent)}."
        )
    number = len(table[["patient_id"]].drop_duplicates())
    empty = table.groupby("patient_id")[features["name"].to_list()].count().sum(axis=1).eq(0)
    if empty.any():
        notes.append(f"{int(empty.sum())} of {number} patients have no value of any feature.")
    late = _after(measured, patients, "outcome_date")
    if late:
        notes.append(f"{late} row(s) are of the outcome's date or later; they are never used to "
                     "predict it.")  # fmt: skip
    return ClinicalSource(
        table=table,
        measurements=_typed(measured),
        patients=_typed(patients),
        features=features,
        counts=pd.DataFrame(counts, columns=["column", "rule", "n"]),
        absent=tuple(values.absent),
        notes=tuple(notes),
        place=str(work.path),
    )


def _after(measured: pd.DataFrame, patients: pd.DataFrame, key: str) -> int:
    limit = measured["patient_id"].map(patients.set_index("patient_id")[key])
    return int((measured["moment"] >= limit).sum())


def _with_event_time(patients: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Days from a patient's first date to the outcome, where the source has no column of them."""
    if "event_time_days" in patients or patients["outcome_date"].isna().all():
        return patients
    first = patients["patient_id"].map(measured.groupby("patient_id")["moment"].min())
    first = first.where(patients["index_date"].isna(), patients["index_date"])
    days = (patients["outcome_date"] - first).dt.total_seconds() / 86400
    return patients.assign(event_time_days=days.where(days >= 0))


def _features(mapping: ClinicalMapping, names: list[str]) -> pd.DataFrame:
    rows = []
    for name in names:
        source = mapping.source or mapping.name
        if name in INDICATORS:
            rows.append(
                (name, "clinical", _described(name), INDICATORS[name].unit, source, WORSE[name])
            )
            continue
        own = mapping.further[name]
        unit = mapping.held_in(name)
        text = own.description or name.replace("_", " ")
        rows.append((name, own.group, text, "" if unit == "1" else unit, source, own.worse))
    return pd.DataFrame(rows, columns=list(FEATURE_COLUMNS)).astype({"worse": object})


def _described(name: str) -> str:
    """An indicator in words: `red cells` for `red_cells_1e12_per_l`."""
    words = re.sub("_(1e9_per_l|1e12_per_l|g_per_l|u_per_l|mmhg)$", "", name).replace("_", " ")
    return {"alt": "ALT", "ast": "AST", "pao2": "PaO2"}.get(words, words)


def _contract(
    measured: pd.DataFrame, patients: pd.DataFrame, numbers: list[str], path: Path
) -> pd.DataFrame:
    """Contract 9: the first values of each day, and beside them what is known of the patient."""
    days = within_days(measured, "first")
    own = patients.drop(columns=["index_date", "outcome_date"])
    own = own[[name for name in own if name == "patient_id" or name not in days]]
    table = days.merge(own, on="patient_id", how="left", validate="m:1")
    names = [*own.columns[1:], *[n for n in days if n not in ("patient_id", "date", *numbers)]]
    known = [name for name in CLINICAL_SCHEMA.columns if name in names]
    others = [name for name in names if name not in known]
    table = table[["patient_id", "date", *known, *others, *numbers]]
    if table.duplicated(["patient_id", "date"]).any():
        raise AssertionError("a day of a patient stands twice")
    return validate_clinical(_typed(table), path)


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Objects as the nullable types that they hold."""
    changed = {}
    for name in table:
        column = table[name]
        if column.dtype != object:
            continue
        known = column.dropna()
        if len(known) and known.map(lambda v: isinstance(v, bool)).all():
            changed[name] = column.where(column.notna(), pd.NA).astype("boolean")
        elif len(known) and known.map(lambda v: isinstance(v, int | float)).all():
            changed[name] = column.astype("float64")
        else:
            changed[name] = column.astype(pd.StringDtype(na_value=np.nan))
    return table.assign(**changed)


def count_rules(counts: pd.DataFrame) -> Counter[str]:
    """How many cells each rule changed, over all columns."""
    return Counter(counts.groupby("rule")["n"].sum().to_dict())


def with_centre(source: ClinicalSource, centre: str) -> ClinicalSource:
    """The source as the patients of one centre."""
    return replace(
        source,
        table=source.table.assign(centre=centre),
        patients=source.patients.assign(centre=centre),
    )
