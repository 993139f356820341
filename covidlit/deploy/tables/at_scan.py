"""A patient at a scan: its factors beside the laboratory values of before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from covidlit.checkpoints.record import RunRecord
from covidlit.cohort.factor_limits import FACTORS
from covidlit.cohort.factor_readings import READINGS, read_nothing_found
from covidlit.cohort.patient_ids import same_patient, without_zeros
from covidlit.deploy.tables.limits import refuse_impossible
from covidlit.deploy.tables.read_rows import (
    Rows,
    absent_features,
    require_same_units,
    rows_of_table,
)
from covidlit.errors import ManifestError

_NEAREST = ("first", "last")
"""Rules that take one value: at a scan the nearest before it."""

TOLERANCE_DAYS = 3.0
"""How far scan and laboratory values lie apart at most in runs that do not say it."""


def rows_of_scan(factors: Mapping[str, Any], record: RunRecord, features: Sequence[str]) -> Rows:
    """A scan as the row that a model of data=factors takes.

    Args:
        factors: of contract 8.
        record: of the model.
        features: that it takes.

    Raises:
        ManifestError: see `covidlit.deploy.tables.read_rows.rows_of_table`.
    """
    table = pd.DataFrame([dict(factors)])
    return rows_of_table(table, _named(factors), record, list(features))


class _AtDay(NamedTuple):
    """Values of a patient at a day, which of them are laboratory values, and how they came."""

    values: pd.DataFrame
    labs: frozenset[str]
    lines: tuple[str, ...]


class ClinicalAtScan:
    """The patients of a clinical table at their scans, for a model of data=clinical.

    The scan takes the place of the run's index: of each laboratory value the nearest one counts,
    never one of after the scan's day. How many days before it may lie, the run says: its
    `before_days`, else its `tolerance_days`, by which it joins scans. Where the run takes the worst
    value, the mean or the slope, it is that of these days.

    Args:
        path: of the table: contract 9, or a hospital's own.
        mapping: of a hospital's own table; see `covidlit.deploy.tables.read_rows.read_rows`.
        record: of the model.

    Raises:
        ManifestError: names row, column and value of what cannot be, or a number that is held in
            another unit than in the model's run.
    """

    def __init__(self, path: str | Path, mapping: str | None, record: RunRecord) -> None:
        # The schemas of contract 9 take a third of a second to import.
        from covidlit.datamodules.tables.clinical_rows import read_source

        self._path, self._settings = path, record.preprocess.model_dump()
        self._source = read_source(path, mapping, "auto")
        require_same_units(self._source.features, self._settings.get("units") or {}, path)
        self._patients = self._source.patients["patient_id"].astype(str)
        self._alike = self._patients.map(same_patient)
        told = zip(self._source.features["name"], self._source.features["description"], strict=True)
        self.descriptions = {str(name): str(text) for name, text in told}

    @property
    def days(self) -> float:
        """How many days before a scan its laboratory values may lie."""
        own = self._settings.get("before_days")
        return float(self._settings.get("tolerance_days", TOLERANCE_DAYS) if own is None else own)

    def rows(self, factors: Mapping[str, Any], features: Sequence[str]) -> Rows:
        """The patient of a scan as the row that the model takes.

        Args:
            factors: of the scan, contract 8.
            features: that the model takes.

        Raises:
            ManifestError: the scan has no date; its patient is not in the table, or has no
                laboratory value of these days; or values that no patient can have.
        """
        day = pd.to_datetime(factors.get("acquisition_date"), errors="coerce")
        if pd.isna(day):
            raise ManifestError(
                "the scan has no date, by which laboratory values are found.",
                where=_named(factors),
                fix="complete acquisition_date in a manifest, and give that.",
            )
        patient = self._patient(factors)
        found = self._reduced(patient, day)
        labs = [name for name in features if name in found.labs]
        if labs and found.values[labs].isna().all(axis=None):
            raise ManifestError(
                f"patient {patient} has no laboratory value from {self.days:g} days before the "
                f"scan to its day ({day:%Y-%m-%d}).",
                where=self._path,
                fix="give a table that has them.",
            )
        values = pd.concat([found.values, _imaging(factors, features)], axis=1)
        absent = absent_features(list(features), list(values), self._path)
        values = values.reindex(columns=list(features)).astype("float64")
        refuse_impossible([f"patient {patient}"], values, self._path)
        names = {"patient_id": patient, "scan_id": str(factors["scan_id"])}
        table = pd.DataFrame([{**names, "acquisition_date": f"{day:%Y-%m-%d}"}], dtype="string")
        return Rows(table, values, absent, found.lines)

    def _patient(self, factors: Mapping[str, Any]) -> str:
        """The patient's id in the clinical table."""
        wanted = same_patient(str(factors.get("patient_id", "")))
        own = self._patients[self._alike == wanted]
        if len(own) == 1:
            return str(own.iloc[0])
        if len(own) > 1:
            raise ManifestError(
                f"patients {' and '.join(map(repr, own))} are written alike.",
                where=self._path,
                fix="give each patient one id.",
            )
        zeros = self._alike.map(without_zeros).eq(without_zeros(wanted)).any()
        raise ManifestError(
            f"patient {factors.get('patient_id')!r} of the scan is not in the clinical table.",
            where=self._path,
            fix="leading zeros may have been lost: write the patients alike."
            if zeros
            else "write the patients alike in both: `covidlit manifest --keep-identifiers` names "
            "scans by the hospital's numbers.",
        )

    def _reduced(self, patient: str, day: pd.Timestamp) -> _AtDay:
        from covidlit.datamodules.tables.clinical_rows import rows_of_source

        whole = self._source
        own = whole.patients[self._patients == patient]
        outcome = own["outcome_date"].iloc[0]
        measured = whole.measurements
        source = replace(
            whole,
            # Nothing later than the scan counts, whatever became of the patient.
            patients=own.assign(index_date=day, outcome_date=pd.NaT),
            measurements=measured[measured["patient_id"].astype(str) == patient],
            notes=(),
        )
        window, rule = (self.days, 0.0), self._settings.get("rule", "first")
        nearest = rows_of_source(source, "auto", "last", window).values
        values = nearest
        if rule not in _NEAREST:
            values = rows_of_source(source, "auto", rule, window).values
        names = list(map(str, values))
        labs = [n for n in names if any(n == b or n.startswith(f"{b}_") for b in whole.names)]
        for name in names:
            if (measured_as := _one_value(name, whole.names, rule)) is not None:
                values = values.assign(**{name: nearest[measured_as].to_numpy()})
        lines = [
            f"Laboratory values: the nearest of up to {self.days:g} days before the scan and of "
            "its day, none of later."
        ]
        if rule not in _NEAREST:
            lines[0] += " Worst, mean and slope, where the model takes them: of the same days."
        if not pd.isna(outcome) and outcome.normalize() <= day:
            lines.append(
                f"The scan is not of before the patient's outcome ({outcome:%Y-%m-%d}): its score "
                "predicts nothing."
            )
        return _AtDay(values.reset_index(drop=True), frozenset(labs), tuple(lines))


def _one_value(name: str, bare: Sequence[str], rule: Any) -> str | None:
    """The measured number of which a column has one value (the first, the last); None of others.

    Args:
        name: of the column; see `covidlit.cohort.clinical.reduce_measurements`.
        bare: names of what was measured.
        rule: of the run.
    """
    if name in bare:
        own = rule if isinstance(rule, str) else rule.get(name, rule.get("default", "first"))
        first = own if isinstance(own, str) else own[0]
        return name if first in _NEAREST else None
    for ending in _NEAREST:
        if (short := name.removesuffix(f"_{ending}")) != name and short in bare:
            return short
    return None


def _imaging(factors: Mapping[str, Any], features: Sequence[str]) -> pd.DataFrame:
    """The paper's factors of the scan among the features, as a run joins them."""
    table = pd.DataFrame([{name: factors.get(name) for name in FACTORS}])
    known = {name: each.nothing_found for name, each in READINGS.items() if name in table}
    filled = read_nothing_found(
        table, {name: value for name, value in known.items() if value is not None}
    )
    names = [name for name in FACTORS if name in features]
    return filled[names].astype("float64").reset_index(drop=True)


def _named(factors: Mapping[str, Any]) -> str:
    return f"scan {factors.get('scan_id')}"
