"""The numbers that the CSAC-Net paper printed, as it printed them; of another cohort than ours."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text = Field(min_length=1)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Accuracy(_Record):
    """One row of Figure 2: an AUC with sensitivity and specificity, with their counts."""

    name: str = Text
    auc: str = Text
    sensitivity: str = Text
    specificity: str = Text


class Contrasts(_Record):
    """Figure 2, first panel."""

    where: str = Text
    rows: tuple[Accuracy, ...]


class Difference(_Record):
    """How initially positive and initially negative cases were compared."""

    p_value: str = Text
    reading: str = Text


class MethodRange(_Record):
    """The AUCs of a group of methods, of which only the range was printed."""

    name: str = Text
    auc: str = Text


class InitialResult(_Record):
    """Figure 2, second panel."""

    where: str = Text
    rows: tuple[Accuracy, ...]
    difference: Difference
    methods: tuple[MethodRange, ...]


class Rates(_Record):
    """One row of Table 3: a threshold or a reader; rates in percent, then their counts."""

    name: str = Text
    tpr: str = Text
    tpr_initially_negative: str = Text
    tnr: str = Text
    tp: str = Text
    tp_initially_negative: str = Text
    tn: str = Text


class ThresholdsAndReaders(_Record):
    """Table 3 and the times in the text beside it."""

    where: str = Text
    thresholds: tuple[Rates, ...]
    readers: tuple[Rates, ...]
    reader_seconds: str = Text
    model_seconds: str = Text


class Row(_Record):
    """A row of Table 1 or 2: one value per column."""

    name: str = Text
    values: tuple[str, ...]


class Counts(_Record):
    """Table 1 or 2."""

    where: str = Text
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @model_validator(mode="after")
    def _one_value_per_column(self) -> Self:
        for row in self.rows:
            if len(row.values) != len(self.columns):
                raise ValueError(f"{row.name}: {len(row.values)} values in {len(self.columns)}")
        return self


class Published(_Record):
    """The published numbers, each a text as printed, with where it stands.

    They are shown beside ours and never tested against ours: they come from other patients, and
    their intervals and tests were made in another way, see `remarks`.
    """

    label: str = Text
    citation: str = Text
    cohort: str = Text
    figure2_left: Contrasts
    figure2_right: InitialResult
    table3: ThresholdsAndReaders
    table1: Counts
    table2: Counts
    remarks: tuple[str, ...]


@cache
def published() -> Published:
    """The published numbers of Yao et al., European Radiology 2021."""
    source = resources.files("covidlit.papers.csacnet").joinpath("published.json")
    return Published.model_validate_json(source.read_text(encoding="utf-8"))
