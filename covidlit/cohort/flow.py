"""The flow of inclusion: how many scans and patients each step left, and which it took out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd


@dataclass(frozen=True)
class FlowStep:
    """One step: what it asks for, and the counts after it."""

    criterion: str
    n_excluded: int
    n_left: int
    n_patients: int
    n_not_assessed: int = 0


@dataclass(frozen=True)
class Flow:
    """The steps from what was found to what is used.

    Args:
        steps: in order; the first says where it started.
        excluded: (scan_id, criterion) of each scan that fell out.
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
    ) -> tuple[pd.DataFrame, Flow]:
        """Take the rows `out` out of the table, and count.

        Args:
            table: the rows that are left so far.
            criterion: what a row must meet to stay.
            out: True where a row falls out.
            not_assessed: True where the criterion could not be looked at.
        """
        gone = out.fillna(False).to_numpy(dtype=bool)
        left = table[~gone]
        unknown = 0 if not_assessed is None else int(not_assessed.fillna(False).sum())
        step = FlowStep(
            criterion, int(gone.sum()), len(left), int(left["patient_id"].nunique()), unknown
        )
        names = tuple((scan, criterion) for scan in table.loc[gone, "scan_id"])
        return left, replace(self, steps=(*self.steps, step), excluded=self.excluded + names)

    def to_frame(self) -> pd.DataFrame:
        """One row per step: step, criterion, n_excluded, n_not_assessed, n_left, n_patients."""
        columns = ["criterion", "n_excluded", "n_not_assessed", "n_left", "n_patients"]
        table = pd.DataFrame([vars(step) for step in self.steps], columns=columns)
        table.insert(0, "step", range(len(table)))
        return table
