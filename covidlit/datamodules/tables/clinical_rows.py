"""One row per patient of clinical sources: numbers, labels, and what the numbers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.clinical.event_times import (
    PROGRESSED,
    ends,
    first_dates,
    from_index,
    with_time_to_deterioration,
)
from covidlit.cohort.clinical.histories import COMORBIDITY, COUNT
from covidlit.cohort.clinical.histories import SYMPTOM as SYMPTOMS
from covidlit.cohort.clinical.indicators import SEVERITIES
from covidlit.cohort.clinical.mapping import DateColumn
from covidlit.cohort.clinical.mapping_file import load_mapping
from covidlit.cohort.clinical.own_table import own_table
from covidlit.cohort.clinical.read_source import read_clinical_source
from covidlit.cohort.clinical.reduce import Reduced, Window, reduce_measurements
from covidlit.cohort.clinical.source import FEATURE_COLUMNS, ClinicalSource, with_centre
from covidlit.counted import counted
from covidlit.errors import ConfigError, ManifestError

DEMOGRAPHIC, SYMPTOM = "demographic", "symptom"

INDEXES = ("auto", "admission", "first_measurement")
"""Index dates beside those of a column."""

_RULES = {
    "first": "first value", "last": "last value", "worst": "worst value", "mean": "mean",
    "slope": "change per day",
}  # fmt: skip


@dataclass(frozen=True)
class ClinicalRows:
    """Patients of one source or several.

    Args:
        patients: one row each: `patient_id`, `index_date`, labels and groups.
        values: numbers of these rows.
        features: one row per number.
        lines: sentences on what was done.
    """

    patients: pd.DataFrame
    values: pd.DataFrame
    features: pd.DataFrame
    lines: tuple[str, ...]


def read_source(path: str | Path, mapping: Any, index: str) -> ClinicalSource:
    """A source by its mapping; see `covidlit.cohort.clinical.read_clinical_source`.

    Args:
        path: of the table.
        mapping: name, path or content; None: a table of contract 9.
        index: "auto", "admission", "first_measurement", or a column of dates of the table.
    """
    own, notes = own_table(path) if mapping is None else (load_mapping(mapping), [])
    if index not in INDEXES:
        own = own.model_copy(update={"index_date": DateColumn(column=[index])})
    source = read_clinical_source(path, own)
    if index not in ("auto", "first_measurement") and source.dates["index_date"].isna().all():
        raise ManifestError(
            f"the source has no index date (index={index}).",
            where=path,
            fix="name its column in the mapping (index_date), or use index=first_measurement.",
        )
    return replace(source, notes=(*source.notes, *notes))


def rows_of_source(
    source: ClinicalSource,
    index: str,
    rule: str | Mapping[str, str | Sequence[str]],
    window_days: Window,
    label: str = "outcome",
    *,
    timed: bool = False,
) -> ClinicalRows:
    """One row per patient; see `covidlit.cohort.clinical.reduce_measurements`.

    Args:
        source: as it was read.
        index, rule, window_days: of the values.
        label: the column that is predicted: of `progressed` no value from deterioration on counts.
        timed: whether `event_time_days` are predicted.

    Raises:
        ManifestError: (timed) these days cannot be those to what is predicted.
    """
    measured, patients = source.measurements, source.patients
    base = first_dates(patients, measured)
    first = patients["patient_id"].map(measured.groupby("patient_id")["moment"].min())
    days = patients["index_date"]
    if index == "first_measurement" or (index == "auto" and days.isna().all()):
        days = first
    patients = patients.assign(index_date=days)
    lines = list(source.notes)
    named = index not in INDEXES  # its dates stand in place of those from which times counted
    patients, told = from_index(
        patients, None if named else base, source.place, index, needed=timed
    )
    lines += told
    if label == PROGRESSED:
        patients, told = with_time_to_deterioration(patients, source.place, needed=timed)
        lines += told
    worse = dict(zip(source.features["name"], source.features["worse"], strict=True))
    limits = patients.assign(outcome_date=ends(patients, label))
    found = reduce_measurements(
        measured, limits, rule, window_days, features=source.names, worse=worse
    )
    symptoms = [str(name) for name in measured if str(name).startswith((SYMPTOMS, COMORBIDITY))]
    numbers = found.table.drop(columns="patient_id")
    features = [_of_lab(source.features, name, *of) for name, of in found.columns.items()]
    if symptoms:
        flags = measured[["patient_id", "moment"]].assign(
            **{name: measured[name].astype("float64") for name in symptoms}
        )
        own = reduce_measurements(flags, limits, "first", window_days, features=symptoms)
        numbers = pd.concat([numbers, own.table[symptoms]], axis=1)
        for name in symptoms:
            group = SYMPTOM if name.startswith(SYMPTOMS) else DEMOGRAPHIC
            features.append((name, group, _words(name), "", "clinical table", None))
    numbers, features = _with_demographics(patients, numbers, features)
    labels = _with_worst_severity(patients, measured)
    table = pd.DataFrame(features, columns=list(FEATURE_COLUMNS))
    lines += _lines(found, len(patients))
    return ClinicalRows(labels.reset_index(drop=True), numbers, table, tuple(lines))


def of_hospitals(sources: Mapping[str, ClinicalRows]) -> ClinicalRows:
    """The patients of several sources below each other; what one does not measure is missing.

    Raises:
        ManifestError: two sources have a patient of one name.
    """
    rows = list(sources.values())
    if len(rows) == 1:
        return rows[0]
    patients = pd.concat([each.patients for each in rows], ignore_index=True)
    twice = patients[patients["patient_id"].duplicated(keep=False)]
    if len(twice):
        raise ManifestError(
            f"{counted(twice['patient_id'].nunique(), 'name')} that patients of different "
            f"hospitals share, such as {twice['patient_id'].iloc[0]!r}.",
            where="data.hospitals",
            fix="set patient.prefix in the mapping of one of them, such as prefix: north-.",
        )
    features = pd.concat([each.features for each in rows]).drop_duplicates("name")
    values = pd.concat([each.values for each in rows], ignore_index=True)
    lines = [line for each in rows for line in each.lines]
    for name, each in sources.items():
        absent = [n for n in features["name"] if n not in set(each.features["name"])]
        if absent:
            lines.append(f"{name} has no {', '.join(absent)}: missing in all its patients.")
    return ClinicalRows(
        patients, values[features["name"].to_list()], features.reset_index(drop=True), tuple(lines)
    )


def read_hospitals(
    first: Path, mapping: Any, centre: str | None, others: Mapping[str, Any], index: str
) -> dict[str, ClinicalSource]:
    """The sources of a run by name; the further ones are centres of that name.

    Raises:
        ConfigError: a further hospital without a path, or with a key that nothing reads.
    """
    source = read_source(first, mapping, index)
    sources = {centre or first.name: with_centre(source, centre) if centre else source}
    for name, node in others.items():
        if not isinstance(node, Mapping) or "path" not in node or set(node) - {"path", "mapping"}:
            raise ConfigError(
                f"must be {{path: ..., mapping: ...}}, not {node!r}.",
                where=f"data.hospitals.{name}",
            )
        own = read_source(node["path"], node.get("mapping"), index)
        sources[str(name)] = with_centre(own, str(name))
    return sources


def _with_demographics(
    patients: pd.DataFrame, numbers: pd.DataFrame, features: list[tuple[Any, ...]]
) -> tuple[pd.DataFrame, list[tuple[Any, ...]]]:  # fmt: skip
    """Age, sex, smoking and comorbidities as numbers, and symptoms that are known by patient."""
    found: dict[str, pd.Series] = {}
    told = {
        "age": ("age", "years"),
        "smoker": ("smoker, 1: yes", ""),
        COUNT: ("number of comorbidities", ""),
    }
    if "sex" in patients:
        found["male"] = patients["sex"].map({"M": 1.0, "F": 0.0})
        features.append(("male", DEMOGRAPHIC, "sex, 1: male", "", "clinical table", None))
    for name, (words, unit) in told.items():
        if name in patients:
            found[name] = patients[name].astype("float64")
            features.append((name, DEMOGRAPHIC, words, unit, "clinical table", None))
    for name in map(str, patients.columns):
        if name.startswith((SYMPTOMS, COMORBIDITY)) and name != COUNT:
            found[name] = patients[name].astype("float64")
            group = SYMPTOM if name.startswith(SYMPTOMS) else DEMOGRAPHIC
            features.append((name, group, _words(name), "", "clinical table", None))
    own = pd.DataFrame(found, index=patients.index).reset_index(drop=True).astype("float64")
    return pd.concat([numbers.reset_index(drop=True), own], axis=1), features


def _words(name: str) -> str:
    return "number of comorbidities" if name == COUNT else name.partition("_")[2].replace("_", " ")


def _of_lab(features: pd.DataFrame, name: str, feature: str, rule: str) -> tuple[Any, ...]:
    own = features[features["name"] == feature].iloc[0]
    unit = f"{own['unit']} per day".strip() if rule == "slope" else own["unit"]
    return (
        name,
        own["group"],
        f"{own['description']}, {_RULES[rule]}",
        unit,
        own["source"],
        own["worse"],
    )


def _with_worst_severity(patients: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """The patients with the worst severity that any row of them says: it is a label."""
    if "severity" not in measured:
        return patients
    rank = {name: k for k, name in enumerate(SEVERITIES)}
    worst = measured["severity"].map(rank).groupby(measured["patient_id"]).max()
    found = patients["patient_id"].map(worst).map(dict(enumerate(SEVERITIES)))
    return patients.assign(severity=found.astype("string"))


def _lines(found: Reduced, n: int) -> list[str]:
    texts = []
    if found.later:
        texts.append(f"{counted(found.later, 'measurement')} later than the window, not used.")
    if found.earlier:
        texts.append(f"{counted(found.earlier, 'measurement')} earlier than the window, not used.")
    if found.after_outcome:
        late = counted(found.after_outcome, "measurement")
        texts.append(f"{late} at or after the outcome, not used.")
    if found.empty:
        texts.append(f"{found.empty} of {n} patients have no laboratory value in the window.")
    return texts
