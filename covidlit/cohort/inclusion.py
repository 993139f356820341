"""Inclusion criteria, chosen by `conf/inclusion`: how many scans fall out, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from covidlit.cohort.columns import as_day, column_of, parse_dates
from covidlit.cohort.flow import Flow, left_out_notes
from covidlit.cohort.scan_dates import DOUBTED, scan_days
from covidlit.cohort.series_choice import preferred
from covidlit.counted import counted
from covidlit.errors import ManifestError

OnMissing = Literal["keep", "exclude", "error"]


@dataclass(frozen=True)
class InclusionCriteria:
    """The CSAC-Net paper's inclusion criteria ("Patients"), each switched off by null.

    A scan that lacks the value a criterion looks at cannot be assessed: it is counted as such in
    the flow, never passed in silence.

    Args:
        max_slice_thickness_mm: criterion 1; thicker slices fall out (`slice_thickness_mm`).
        min_spo2_percent: criterion 2, mild pneumonia: oxygen saturation on room air
            (`spo2_percent`) of at least this.
        spo2_classes: the classes that criterion 2 applies to (the paper: COVID-19 and CAP).
        tested_or_before: criterion 3; ISO date: an RT-PCR result (`rtpcr_initial`), or scanned
            earlier than this day. The label rule's own date is a day earlier, as in the paper.
        initial_scan_only: criterion 4; only the patient's first scan by `acquisition_date` among
            all rows of the table. Of several on that day the one stays that would stand for its
            study (`covidlit.cohort.series_choice`): the soft kernel first.
        on_missing: what happens to scans that cannot be assessed: "keep", "exclude" or "error".
    """

    max_slice_thickness_mm: float | None = 5.0
    min_spo2_percent: float | None = 90.0
    spo2_classes: Sequence[str] = ("covid", "cap")
    tested_or_before: str | None = "2019-12-01"
    initial_scan_only: bool = True
    on_missing: OnMissing = "keep"

    def __post_init__(self) -> None:
        if self.on_missing not in ("keep", "exclude", "error"):
            raise ManifestError(
                f"on_missing cannot be {self.on_missing!r}.",
                where="inclusion.on_missing",
                fix="choose keep, exclude or error.",
            )
        # Lists of a configuration make the same criteria as tuples of code.
        named = self.spo2_classes
        classes = (named,) if isinstance(named, str) else tuple(map(str, named))
        object.__setattr__(self, "spo2_classes", classes)
        if self.tested_or_before is not None:
            as_day(self.tested_or_before, "inclusion.tested_or_before")
        for name in ("max_slice_thickness_mm", "min_spo2_percent"):
            value = getattr(self, name)
            if value is not None and type(value) not in (int, float):
                raise ManifestError(
                    f"{value!r} is not a number.", where=f"inclusion.{name}", fix="give a number."
                )

    def apply(self, manifest: pd.DataFrame, flow: Flow | None = None) -> tuple[pd.DataFrame, Flow]:
        """The included rows, and the flow: how many fell out at each criterion, and which.

        Args:
            manifest: contract 2.
            flow: steps that were taken before; the criteria are appended.

        Raises:
            ManifestError: a scan cannot be assessed and `on_missing` is "error".
        """
        flow = Flow.start(manifest, "scans") if flow is None else flow
        table = manifest
        if self.max_slice_thickness_mm is not None:
            value = column_of(table, "slice_thickness_mm")
            # Headers round: 5.0 mm may stand there as 5.000001.
            fails = value > self.max_slice_thickness_mm + 1e-3
            name = f"slices of at most {self.max_slice_thickness_mm:g} mm"
            table, flow = self._step(table, flow, name, fails, value.isna(), _THICKNESS)
        if self.min_spo2_percent is not None:
            value = column_of(table, "spo2_percent")
            concerned = table["class_name"].isin(list(self.spo2_classes))
            name = f"SpO2 of at least {self.min_spo2_percent:g} % ({', '.join(self.spo2_classes)})"
            fails = concerned & (value < self.min_spo2_percent)
            table, flow = self._step(table, flow, name, fails, concerned & value.isna(), _SPO2)
        if self.tested_or_before is not None:
            tested = (
                column_of(table, "rtpcr_initial").notna() | column_of(table, "rtpcr_round").notna()
            )
            dates, doubted = scan_days(table)
            early = dates < pd.Timestamp(self.tested_or_before)
            name = f"RT-PCR, or before {self.tested_or_before}"
            has_results = "rtpcr_initial" in table or "rtpcr_round" in table
            unknown = ~tested & ~early & (dates.isna() | (not has_results))
            fails = ~tested & ~early & ~unknown
            needs = _RTPCR if has_results else replace(_RTPCR, columns=("rtpcr_initial",))
            if has_results or dates[unknown].isna().any():
                also = DOUBTED if doubted[unknown].any() else ""
                needs = replace(needs, columns=(*needs.columns, "acquisition_date"), also=also)
            table, flow = self._step(table, flow, name, fails, unknown, needs)
        if self.initial_scan_only:
            fails, unknown = _not_initial(table, manifest)
            name = "the patient's initial scan"
            table, flow = self._step(table, flow, name, fails, unknown, _INITIAL)
        return table, flow

    def notes(self, flow: Flow) -> list[str]:
        """For each criterion that scans fell out at unassessed: why, and what can be done."""
        return left_out_notes(flow) if self.on_missing == "exclude" else []

    def _step(
        self,
        table: pd.DataFrame,
        flow: Flow,
        criterion: str,
        fails: pd.Series,
        unknown: pd.Series,
        needs: _Needs,
    ) -> tuple[pd.DataFrame, Flow]:
        missing = needs.missing(table) if unknown.any() else ""
        fix = f"complete {' and '.join(needs.columns)}, switch the criterion off with {needs.off}"
        if self.on_missing == "error" and unknown.any():
            raise ManifestError(
                f"{counted(int(unknown.sum()), 'scan')} cannot be assessed for {criterion!r}, such "
                f"as {table.loc[unknown, 'scan_id'].iloc[0]}: {missing}.",
                where="inclusion",
                fix=f"{fix}, or let such scans stay or fall out (on_missing: keep or exclude).",
            )
        out = fails | unknown if self.on_missing == "exclude" else fails
        fix = f"{fix}, or keep such scans with inclusion.on_missing=keep (--on-missing keep)."
        return flow.step(table, criterion, out, unknown, missing, fix if missing else "")


@dataclass(frozen=True)
class _Needs:
    """The columns that a criterion looks at, and the setting that switches it off."""

    columns: tuple[str, ...]
    off: str
    also: str = ""  # what else may be the matter than an empty column

    def missing(self, table: pd.DataFrame) -> str:
        """What is missing where a scan cannot be assessed: a column, or a value in it."""
        missing = [
            f"{name} is empty" if name in table else f"there is no column {name}"
            for name in self.columns
        ]
        return ", ".join(missing) + (self.also and f", or {self.also}")


_THICKNESS = _Needs(
    ("slice_thickness_mm",), "inclusion.max_slice_thickness_mm=null (--max-slice-thickness 0)"
)
_SPO2 = _Needs(("spo2_percent",), "inclusion.min_spo2_percent=null (--min-spo2 0)")
_RTPCR = _Needs((), "inclusion.tested_or_before=null (--tested-or-before none)")
_INITIAL = _Needs(("acquisition_date",), "inclusion.initial_scan_only=false (--every-scan)")


def _not_initial(table: pd.DataFrame, everything: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Which rows are repeated examinations, and which cannot be dated among several."""
    every_date = parse_dates(column_of(everything, "acquisition_date"))
    first = every_date.groupby(everything["patient_id"]).min()
    n_scans = everything["patient_id"].value_counts()
    dates = parse_dates(column_of(table, "acquisition_date"))
    unknown = dates.isna() & (table["patient_id"].map(n_scans) > 1)
    later = dates > table["patient_id"].map(first)
    initial = table[dates.notna() & ~later]
    best = preferred(initial, initial["patient_id"], initial["scan_id"])
    return later | table.index.isin(initial.index[~best]), unknown
