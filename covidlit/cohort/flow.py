"""The flow of inclusion: how many rows and patients each step left, and which it took out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.cohort.split import unit_key
from covidlit.counted import counted

FLOW_COLUMNS = ("step", "criterion", "n_excluded", "n_not_assessed", "n_left", "n_patients")
"""Of `<manifest>.flow.csv`."""


@dataclass(frozen=True)
class FlowStep:
    """One step: what it asks for, and the counts after it.

    Args:
        criterion: what a row must meet to stay.
        n_excluded: rows that fell out.
        n_left, n_patients: rows and patients after it.
        n_not_assessed: rows that it could not be looked at for.
        missing: why not: the column that is not there or empty.
        fix: what can be done about that.
    """

    criterion: str
    n_excluded: int
    n_left: int
    n_patients: int
    n_not_assessed: int = 0
    missing: str = ""
    fix: str = ""

    @property
    def text(self) -> str:
        """The criterion, and why it could not be looked at where it could not."""
        return f"{self.criterion}; not assessed: {self.missing}" if self.missing else self.criterion


@dataclass(frozen=True)
class Flow:
    """The steps from what was found to what is used.

    Args:
        steps: in order; the first says where it started.
        excluded: (scan_id, criterion) of each scan that fell out; of a table of slices, (slice_id,
            criterion).
    """

    steps: tuple[FlowStep, ...]
    excluded: tuple[tuple[str, str], ...] = ()

    @classmethod
    def start(cls, table: pd.DataFrame, what: str) -> Flow:
        """A flow that starts from all rows of a table with `scan_id` and `patient_id`."""
        return cls((FlowStep(what, 0, len(table), int(table["patient_id"].nunique())),))

    def step(
        self,
        table: pd.DataFrame,
        criterion: str,
        out: pd.Series,
        not_assessed: pd.Series | None = None,
        missing: str = "",
        fix: str = "",
    ) -> tuple[pd.DataFrame, Flow]:
        """Take the rows `out` out of the table, and count.

        Args:
            table: the rows that are left so far.
            criterion: what a row must meet to stay.
            out: True where a row falls out.
            not_assessed: True where the criterion could not be looked at.
            missing, fix: why not, and what can be done about it.
        """
        gone = _mask(out)
        unknown = gone & False if not_assessed is None else _mask(not_assessed)
        left = table[~gone]
        n_patients = int(left["patient_id"].nunique())
        step = FlowStep(
            criterion, int(gone.sum()), len(left), n_patients, int(unknown.sum()), missing, fix
        )
        names = tuple(
            (scan, step.text if unassessed else criterion)
            for scan, unassessed in zip(
                table.loc[gone, unit_key(table)], unknown[gone], strict=True
            )
        )
        return left, replace(self, steps=(*self.steps, step), excluded=self.excluded + names)

    def summary(self) -> str:
        """All steps in one line, for messages: "scans: 12 left; RT-PCR: 3 left"."""
        return "; ".join(f"{step.text}: {step.n_left} left" for step in self.steps)

    def to_frame(self) -> pd.DataFrame:
        """One row per step: step, criterion, n_excluded, n_not_assessed, n_left, n_patients."""
        rows = [{**vars(step), "criterion": step.text} for step in self.steps]
        table = pd.DataFrame(rows, columns=list(FLOW_COLUMNS[1:]))
        table.insert(0, "step", range(len(table)))
        return table


def left_out_notes(flow: Flow) -> list[str]:
    """For each step that scans fell out at unassessed: why, and what can be done."""
    return [
        f"{counted(step.n_not_assessed, 'scan')} fell out since {step.criterion!r} cannot be "
        f"assessed: {step.missing}. Fix: {step.fix}"
        for step in flow.steps
        if step.n_not_assessed
    ]


def _mask(rows: pd.Series) -> NDArray[np.bool_]:
    return rows.fillna(False).to_numpy(dtype=bool)
