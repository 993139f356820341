"""The datamodule of clinical tables: laboratory values and labels of patients in, numbers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, Self

import pandas as pd

from covidlit.cohort.clinical.event_times import TIME
from covidlit.cohort.clinical.missingness import Missingness, missing_values
from covidlit.cohort.clinical.read_people import DATES
from covidlit.cohort.endpoint import Endpoint
from covidlit.cohort.factor_limits import FACTORS
from covidlit.cohort.factor_readings import READINGS
from covidlit.cohort.patient_ids import same_patient
from covidlit.cohort.splits import Split
from covidlit.counted import counted
from covidlit.datamodules.arguments import as_path
from covidlit.datamodules.cohort_data import TO_CHECK, RunSettings, SplitOf
from covidlit.datamodules.tables.clinical_rows import (
    ClinicalRows,
    of_hospitals,
    read_hospitals,
    rows_of_source,
)
from covidlit.datamodules.tables.clinical_scans import with_factors, with_scores
from covidlit.datamodules.tables.numbers import Joined, Numbers, keys_of
from covidlit.datamodules.tables.table_datamodule import TableDataModule
from covidlit.datamodules.tables.table_settings import table_arguments
from covidlit.datamodules.volume_table import with_target
from covidlit.errors import ConfigError, ManifestError
from covidlit.tables import read_table, rows_text

_UNKNOWN = ("refuse", "leave_out")
_OF_SCANS = ("scan_id", "path", "study_uid", "series_uid", "acquisition_date", "status", "reason")


class ClinicalDataModule(TableDataModule):
    """Laboratory values, demographics and, by option, factors and scores of scans: a row a patient.

    Repeated measurements are reduced by rule within a window about an index date; nothing later
    than the window, and nothing from the outcome on, is used. By default the window reaches a day
    past the index: results of the day of an admission arrive within it. Times to an endpoint count
    from the end of the window (`covidlit.cohort.endpoint.Endpoint.after`). Values are raw, NaN
    where missing.

    Args:
        manifest: path of the clinical table.
        split: a Split, the path of one, or a function of the patients that makes one.
        mapping: what the table means: name, path or content; None: it is of contract 9.
        centre: of all its patients, where it has no column of it.
        hospitals: further sources by name: path and mapping of each.
        index: auto, admission, first_measurement, or a column of dates.
        rule: see `covidlit.cohort.clinical.reduce_measurements`.
        before_days, after_days: the window about the index; None: no limit.
        labels: table of labels by `patient_id`, such as a manifest; None: those of the source.
        unknown_patients: "refuse" or "leave_out" patients of the labels without a clinical row.
        factors: path of factors (contract 8), joined by patient and date.
        predictions: path of predictions (contract 6), joined likewise.
        scan_dates: table with `scan_id` and `acquisition_date`, for the predictions.
        tolerance_days, latest_days: of the scans; see `covidlit.cohort.clinical.join_by_date`.
        options: see `TableDataModule`.

    Raises:
        ConfigError: an argument out of range or of another type, or an endpoint in time with a
            window without an end.
    """

    unit = "patient"
    kind = "clinical"
    numbers_name = "clinical values"
    left_out_by = "model.features"

    def __init__(
        self,
        manifest: str | Path,
        split: Split | str | Path | SplitOf,
        mapping: str | Path | Mapping[str, Any] | None = None,
        centre: str | None = None,
        hospitals: Mapping[str, Any] | None = None,
        index: str = "auto",
        rule: str | Mapping[str, str | Sequence[str]] = "first",
        before_days: float | None = None,
        after_days: float | None = 1.0,
        labels: str | Path | None = None,
        unknown_patients: str = "refuse",
        factors: str | Path | None = None,
        predictions: str | Path | None = None,
        scan_dates: str | Path | None = None,
        tolerance_days: float = 3.0,
        latest_days: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(manifest, split, **options)
        if unknown_patients not in _UNKNOWN:
            raise ConfigError(
                f"must be {' or '.join(_UNKNOWN)}, not {unknown_patients!r}.",
                where="data.unknown_patients",
            )
        self._mapping, self._centre = mapping, centre
        self._hospitals = dict(hospitals or {})
        self._index, self._rule = str(index), rule
        self._window = (before_days, after_days)
        joined = factors is not None or predictions is not None
        self._label_rule = _from_landmark(
            self._label_rule, after_days, latest_days if joined else 0.0
        )
        self._labels = None if labels is None else as_path(labels, "labels")
        self._unknown = unknown_patients
        self._factors = None if factors is None else as_path(factors, "factors")
        self._predictions = None if predictions is None else as_path(predictions, "predictions")
        self._scan_dates = None if scan_dates is None else as_path(scan_dates, "scan_dates")
        self._near = (tolerance_days, latest_days)
        self._rows: ClinicalRows | None = None
        self._tested: list[bool] = []  # one list for all copies with other splits

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], run: RunSettings) -> Self:
        """The datamodule of `conf/data/clinical.yaml`; see `covidlit.datamodules.cohort_data`."""
        known = {*signature(cls).parameters, *signature(TableDataModule).parameters}
        return cls(**table_arguments(settings, run, known - {"options"}))

    @property
    def rows(self) -> ClinicalRows:
        """The patients with their numbers, before labels and targets."""
        if self._rows is None:
            self._rows = self._read()
        return self._rows

    def read_numbers(self) -> Numbers:
        """Read, reduce and join the sources."""
        rows = self.rows
        table = pd.concat([rows.patients[["patient_id"]], rows.values], axis=1)
        return Numbers(table, rows.features, place=str(self.manifest_path))

    def setup(self, stage: str | None = None) -> None:
        """Split the patients, and warn where parts or centres differ in what is missing.

        Of several splits of the same patients, that is looked at in the first.

        Raises:
            LeakageError: two parts share a patient.
            SplitError: the split does not fit the patients.
        """
        if self._table is not None:
            return
        super().setup(stage)
        if not self._tested:  # once for all folds of a run: it is a third of their time
            self._tested.append(True)
            self._notices.of_join(self, self.missingness().warnings)

    def missingness(self) -> Missingness:
        """What is missing by centre and part; whether it tells the outcome in the training part."""
        table = self.table
        values = self._join().values.loc[table.index]
        target = table["target"].where(table["part"].eq("train"))
        groups = table[["centre", "part"]].assign(target=target)
        return missing_values(pd.concat([groups, values], axis=1), list(values))

    def input_record(self) -> dict[str, Any]:
        """The columns with their units, and how measurements became one row."""
        features = self.numbers.features
        return {
            **super().input_record(),
            "units": dict(zip(features["name"], features["unit"], strict=True)),
            "index": self._index,
            "rule": self._rule if isinstance(self._rule, str) else dict(self._rule),
            "before_days": self._window[0],
            "after_days": self._window[1],
            **self._join_record(),
            **(
                {"landmark_days": self._label_rule.landmark}
                if isinstance(self._label_rule, Endpoint)
                else {}
            ),
        }

    def _join_record(self) -> dict[str, Any]:
        """How scans were joined, and what one without a lesion counts as; empty without scans."""
        if self._factors is None and self._predictions is None:
            return {}
        found = dict(zip(("tolerance_days", "latest_days"), map(float, self._near), strict=True))
        if self._factors is None:
            return found
        values = {name: READINGS[name].nothing_found for name in FACTORS}
        return {**found, "nothing_found": {k: v for k, v in values.items() if v is not None}}

    def facts(self) -> dict[str, str]:
        """The sources, the window and the number of values, and what to look at once set up."""
        found = super().facts()
        before, after = self._window
        since = "everything before" if before is None else f"{before:g} days before"
        until = "all until the outcome" if after is None else f"{after:g} days after"
        kept = {key: found[key] for key in (TO_CHECK, "source", "input") if key in found}
        return {
            **kept,
            "hospitals": ", ".join([self._centre or self.manifest_path.name, *self._hospitals]),
            "measurements": f"{self._rule if isinstance(self._rule, str) else 'by feature'} of "
            f"{since} to {until} the index ({self._index})",
            **self._clock(),
        }

    def _clock(self) -> dict[str, str]:
        """From when times count, and who had left by then."""
        if not isinstance(self._label_rule, Endpoint):
            return {}
        days, rows = self._label_rule.landmark, self.manifest
        early = int(
            rows["reason"].fillna("").str.contains(self._label_rule.too_early, regex=False).sum()
        )
        if not days:
            return {"times": "from the index"}
        after = "1 day" if days == 1 else f"{days:g} days"
        return {
            "times": f"from {after} after the index, the end of the window; {early} of {len(rows)} "
            "patients had the event or were lost by then, and are left out"
        }

    def _read(self) -> ClinicalRows:
        sources = read_hospitals(
            self.manifest_path, self._mapping, self._centre, self._hospitals, self._index
        )
        label = str(getattr(self._label_rule, "column", "outcome"))
        timed = getattr(self._label_rule, "time", None) == TIME
        rows = of_hospitals(
            {
                name: rows_of_source(
                    source, self._index, self._rule, self._window, label, timed=timed
                )
                for name, source in sources.items()
            }
        )
        dated = rows.patients[["patient_id", "index_date"]]
        if self._factors is not None:
            rows = _joined(rows, *with_factors(dated, self._factors, *self._near))
        if self._predictions is not None:
            scores = with_scores(dated, self._predictions, self._scan_dates, *self._near)
            rows = _joined(rows, *scores)
        for column in ("column", "time"):
            rows = _without_target(rows, getattr(self._label_rule, column, None))
        return rows

    def _join(self) -> Joined:
        if self._joined is None:
            rows = self.rows
            patients = rows.patients.drop(columns=list(DATES), errors="ignore")
            lines = list(rows.lines)
            if self._labels is not None:
                patients, more = self._with_labels(patients, self._labels)
                lines += more
            if "centre" not in patients:
                patients["centre"] = pd.Series(pd.NA, index=patients.index, dtype="string")
            manifest = with_target(patients, self._label_rule, self.n_classes)
            manifest = _with_classes(manifest, getattr(self._label_rule, "column", "target"))
            values = rows.values.astype("float64").set_axis(manifest.index)
            manifest = manifest.assign(key=keys_of(values))
            self._joined = Joined(manifest, values, tuple(lines), 0, 0)
        return self._joined

    def _with_labels(self, patients: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
        """The patients with the columns of a table of labels, in place of their own.

        Raises:
            ManifestError: a patient of the labels is unknown, or has different labels in two rows.
        """
        table = read_table(path, ManifestError)
        if "patient_id" not in table:
            raise ManifestError("there is no column 'patient_id'.", where=path)
        table = table.drop(columns=[name for name in _OF_SCANS if name in table])
        key = table["patient_id"].astype(str).map(same_patient)
        own = patients["patient_id"].astype(str).map(same_patient)
        lines = []
        unknown = table[~key.isin(set(own))]
        if len(unknown) and self._unknown == "refuse":
            raise ManifestError(
                f"rows {rows_text(unknown)}, column 'patient_id': {counted(len(unknown), 'label')} "
                f"of patients without a clinical row, such as {unknown['patient_id'].iloc[0]!r}.",
                where=path,
                fix="write the patients alike in both tables (`covidlit manifest "
                "--keep-identifiers` names scans by the hospital's numbers), or leave these out: "
                "data.unknown_patients=leave_out.",
            )
        if len(unknown):
            lines.append(f"{counted(len(unknown), 'row')} of {path.name} left out, of patients "
                         "without a clinical row.")  # fmt: skip
        labels = table.drop(columns="patient_id").assign(_key=key).drop_duplicates()
        torn = labels[labels["_key"].duplicated(keep=False)]
        if len(torn):
            raise ManifestError(
                f"rows {rows_text(torn[torn['_key'] == torn['_key'].iloc[0]])}: patient "
                f"{torn['_key'].iloc[0]!r} has different labels in several rows.",
                where=path,
                fix="keep one row for each patient.",
            )
        found = labels.set_index("_key").reindex(own).set_axis(patients.index)
        without = int((~own.isin(set(key))).sum())
        if without:
            lines.append(f"{without} of {len(patients)} patients have no row in {path.name}.")
        kept = patients.drop(columns=[name for name in found if name in patients])
        return pd.concat([kept, found], axis=1), lines


def _from_landmark(rule: Any, after_days: float | None, latest_days: float) -> Any:
    """An endpoint in time whose clock starts when the last value that is used may be of.

    Args:
        rule: the label rule; any other than of an endpoint in time stays as it is.
        after_days: of the window of values.
        latest_days: of the scans that are joined.

    Raises:
        ConfigError: the window has no end.
    """
    if not isinstance(rule, Endpoint):
        return rule
    if after_days is None:
        raise ConfigError(
            "values up to the outcome are used, so that no time to it can be counted: a value of "
            "the fifth day tells that four were survived.",
            where="data.after_days",
            fix="end the window: data.after_days=1 (the first values after the index), or 0.",
        )
    return rule.after(max(after_days, latest_days))


def _without_target(rows: ClinicalRows, column: str | None) -> ClinicalRows:
    """The rows without the feature that is the target itself."""
    name = "male" if column == "sex" else column
    if name is None or name not in rows.values:
        return rows
    return ClinicalRows(
        rows.patients,
        rows.values.drop(columns=name),
        rows.features[rows.features["name"] != name].reset_index(drop=True),
        (*rows.lines, f"{name} is what is predicted, hence none of the features."),
    )


def _with_classes(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The table with a `class_name`, by which splits are stratified and tables counted.

    Args:
        table: with `target`.
        column: whose values are the classes.
    """
    if "class_name" in table:
        return table
    names = table[column].astype("string").str.replace(r"[^A-Za-z0-9._-]+", "_", regex=True)
    return table.assign(class_name=names)


def _joined(rows: ClinicalRows, joined: Any, features: pd.DataFrame) -> ClinicalRows:
    names = features["name"].to_list()
    return ClinicalRows(
        rows.patients,
        pd.concat([rows.values, joined.table[names].set_axis(rows.values.index)], axis=1),
        pd.concat([rows.features, features], ignore_index=True),
        (*rows.lines, *joined.lines),
    )
