"""When the rows of a source are of, and one row for each patient and moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from covidlit.cohort.clinical.cells import as_text
from covidlit.cohort.clinical.find_header import Sheet
from covidlit.cohort.clinical.mapping import ClinicalMapping
from covidlit.cohort.clinical.people import People
from covidlit.cohort.clinical.problems import Problems
from covidlit.cohort.clinical.read_people import days_of
from covidlit.cohort.clinical.read_values import Values
from covidlit.counted import counted


@dataclass
class Reading:
    """What is gathered while a source is read."""

    mapping: ClinicalMapping
    path: Path
    problems: Problems = field(default_factory=Problems)
    notes: list[str] = field(default_factory=list)


def moments_of(work: Reading, sheet: Sheet, people: People, values: Values) -> pd.Series:
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
        if not people.patients[row] or (place is None and work.problems.has_column):
            continue
        if place is None:
            work.problems.of(
                sheet.where,
                f"row {sheet.row(int(row))}: patient {people.patients[row]} has no date",
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
            f"{counted(filled, 'row')} without a date and a value: taken to be of the index date."
        )
    return moments


def measurements_of(
    work: Reading, sheet: Sheet, people: People, values: Values, moments: pd.Series
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
        work.notes.append(
            f"{counted(merged, 'value')} of a moment that has another one: the {how} counts."
        )
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


def _refuse_twice(work: Reading, sheet: Sheet, twice: pd.DataFrame) -> None:
    for (patient, moment), same in twice.groupby(["patient_id", "moment"], sort=False):
        texts = sheet.rows([int(k) for k in same.index])
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
    work: Reading, sheet: Sheet, twice: pd.DataFrame, mapping: ClinicalMapping
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
            f"{as_text(sheet.cells.iat[r, p])!r} in row {sheet.row(r)}"
            for r, p in zip(rows[:2], same["place"], strict=False)
        )
        work.problems.of(
            sheet.where,
            f"patient {patient} has {name} {len(rows)} times at {moment} ({shown}), column "
            f"{sheet.header[int(same['place'].iloc[0])]!r}",
            "keep one of the rows, or say by same_moment in the mapping which counts: merge (equal "
            "ones), first, last or mean",
        )
