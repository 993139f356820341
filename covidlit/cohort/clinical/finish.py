"""What was read of a source as contract 9, with its features, counts and notes."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from covidlit.cohort.clinical.contract import CLINICAL_SCHEMA, validate_clinical
from covidlit.cohort.clinical.deterioration import with_deterioration
from covidlit.cohort.clinical.elapsed import is_before
from covidlit.cohort.clinical.event_times import PROGRESSED_DATE, with_event_time
from covidlit.cohort.clinical.indicators import INDICATORS
from covidlit.cohort.clinical.mapping import ClinicalMapping
from covidlit.cohort.clinical.moments import Reading
from covidlit.cohort.clinical.people import People
from covidlit.cohort.clinical.read_values import Values
from covidlit.cohort.clinical.reduce import WORSE, within_days
from covidlit.cohort.clinical.source import FEATURE_COLUMNS, ClinicalSource, typed
from covidlit.counted import counted
from covidlit.errors import ManifestError


def finished(
    work: Reading, people: People, values: Values, measured: pd.DataFrame, everyone: list[str]
) -> ClinicalSource:
    mapping = work.mapping
    patients = pd.DataFrame({"patient_id": everyone})
    for key in ("index_date", "outcome_date", PROGRESSED_DATE):
        known = people.dates.get(key, {})
        days = [known.get(name, pd.NaT) for name in everyone]
        patients[key] = pd.Series(days, dtype="datetime64[ns]")
    for name, known in people.of_patient.items():
        patients[name] = pd.Series([known.get(each) for each in everyone], dtype=object)
    known_rows = set(measured["patient_id"])
    without = [name for name in everyone if name not in known_rows]
    if without:
        days = patients.set_index("patient_id").loc[without, "index_date"]
        undated = days[days.isna()]
        if len(undated):
            raise ManifestError(
                f"patient {undated.index[0]} has no value and no index date "
                f"({counted(len(undated), 'such patient')}).",
                where=str(work.path),
                fix="complete the index dates, or set patients.unknown: leave_out in the mapping.",
            )
        extra = pd.DataFrame({"patient_id": without, "moment": days.to_numpy()})
        measured = pd.concat([measured, extra], ignore_index=True)
    patients, told = with_deterioration(patients, measured, str(work.path))
    patients, more = with_event_time(patients, measured)
    features = _features(mapping, [n for n in mapping.numbers if n not in values.absent])
    table = _contract(measured, patients, features["name"].to_list(), work.path)
    counts = [
        (name, rule, n) for name, rules in values.changed.items() for rule, n in rules.items()
    ]
    notes = [*work.notes, *people.notes, *values.notes, *told, *more]
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
        notes.append(f"{counted(late, 'row')} of the outcome's date or later, never used to "
                     "predict it.")  # fmt: skip
    return ClinicalSource(
        table=table,
        measurements=typed(measured),
        patients=typed(patients),
        features=features,
        counts=pd.DataFrame(counts, columns=["column", "rule", "n"]),
        absent=tuple(values.absent),
        notes=tuple(notes),
        place=str(work.path),
    )


def _after(measured: pd.DataFrame, patients: pd.DataFrame, key: str) -> int:
    limit = measured["patient_id"].map(patients.set_index("patient_id")[key])
    limit = limit.astype("datetime64[ns]")
    return int((limit.notna() & ~is_before(measured["moment"], limit)).sum())


def _features(mapping: ClinicalMapping, names: list[str]) -> pd.DataFrame:
    rows: list[tuple[object, ...]] = []
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
    return validate_clinical(typed(table), path)
