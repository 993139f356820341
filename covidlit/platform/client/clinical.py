"""Laboratory values, events, and severity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import pandas as pd

from covidlit.platform.client.connection import Connection
from covidlit.platform.client.jobs import Job, job_in
from covidlit.platform.client.row import Row


@dataclass(frozen=True, kw_only=True)
class Clinical(Row):
    """What the clinical tables that count say of a patient.

    Args:
        about: age, sex and the like, in words.
        courses: of each laboratory value `feature`, `name`, `unit` and `values` (`day`, `value`).
        events: `day` and `what`.
    """

    about: list[str]
    courses: list[dict[str, Any]]
    events: list[dict[str, str]]

    def table(self) -> pd.DataFrame:
        """The values by day (index) and feature (columns); undefined where there is none."""
        values = {
            each["feature"]: {value["day"]: value["value"] for value in each["values"]}
            for each in self.courses
        }
        table = pd.DataFrame(values, dtype=float)
        table.index = pd.DatetimeIndex(table.index, name="date")
        return table.sort_index()


@dataclass(frozen=True, kw_only=True)
class Severity(Row):
    """How ill the platform's model says the patient was at a scan, and what made the score.

    Args:
        scan, labelling: numbers of what was scored.
        version: of the labelling.
        made_at: when it was scored.
        score: None where the model gives none; the notes say why.
        low, high: lowest and highest score of the model's members; None: it has none.
        operating_point: None: it has none.
        called: by it, a sentence.
        positive: what the score is the probability of.
        model: what computed it.
        values: what the score was made from, each with its contribution to the log odds.
        missing: values that are missing.
        notes: sentences.
    """

    times = ("made_at",)

    scan: int
    labelling: int
    version: int
    made_at: datetime
    score: float | None
    low: float | None
    high: float | None
    operating_point: float | None
    called: str
    positive: str
    model: str
    values: list[dict[str, Any]]
    missing: list[str]
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class ClinicalTable(Row):
    """A table that was brought in, as it was when asked for.

    Args:
        id: number of it.
        owner: account that brought it in.
        mapping: by which it is read; empty: contract 9.
        read_at: None: not yet.
        withdrawn_at: None: it counts.
        n_rows, n_patients: that were taken.
        n_unknown: patients of it who have no scan here.
        said: of its reader; None: it is another's table.
        job: reads it.
    """

    times = ("read_at", "withdrawn_at")

    id: int
    owner: str
    centre: str
    study_group: str
    mapping: str
    read_at: datetime | None
    withdrawn_at: datetime | None
    n_rows: int
    n_patients: int
    n_unknown: int
    said: str | None
    job: Job | None

    @classmethod
    def of(cls, connection: Connection, answer: Mapping[str, Any]) -> Self:
        """The object of an answer."""
        return super().of(connection, {**answer, "job": job_in(connection, answer)})

    def now(self) -> ClinicalTable:
        """It as it is now."""
        answer = self.connection.get(f"/clinical/tables/{self.id}")
        return ClinicalTable.of(self.connection, answer)

    def withdraw(self) -> ClinicalTable:
        """Let it count no more, as one with wrong values."""
        answer = self.connection.post(f"/clinical/tables/{self.id}/withdraw")
        return ClinicalTable.of(self.connection, answer)
