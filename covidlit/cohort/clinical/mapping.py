"""What a hospital's own table means: one YAML per source, `conf/clinical/<source>.yaml`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from covidlit.cohort.clinical.indicators import INDICATORS, OUTCOMES, SEVERITIES
from covidlit.cohort.clinical.reserved import taken
from covidlit.cohort.clinical.units import ALBUMIN, HAEMOGLOBIN_MONOMER, factor
from covidlit.errors import did_you_mean


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | int | float) else value


def _as_column(value: Any) -> Any:
    """A bare name, or several, stands for a column without further settings."""
    return {"column": value} if isinstance(value, str | int | list) else value


Names = Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
"""Spellings of one column or test, in any language; one of them must be there."""
Order = Literal["auto", "ymd", "dmy", "mdy"]
Day = Annotated[str, BeforeValidator(lambda day: str(day)), Field(pattern=r"^\d{4}-\d\d-\d\d$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class PatientColumn(_Strict):
    """Who a row is about.

    Args:
        column: its spellings; null with `rows`.
        fill_down: a row without a patient is of the patient above it.
        prefix: put before each name, so that patients of different hospitals have different ones.
        rows: the table has no such column: each row is a patient, called by its number.
    """

    column: Names | None = None
    fill_down: bool = False
    prefix: str = ""
    rows: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> PatientColumn:
        if self.rows == (self.column is not None):
            raise ValueError("give either column, or rows: true")
        return self


class DateColumn(_Strict):
    """A date, with or without a time of day.

    Args:
        column: its spellings; null: every row is of the day `origin`.
        order: of day, month and year in texts; auto: by the column's own values.
        origin: the day from which numbers count, in a table without dates.
        unit: of these numbers.
    """

    column: Names | None = None
    order: Order | None = None
    origin: Day | None = None
    unit: Literal["days", "hours", "minutes"] = "days"

    @model_validator(mode="after")
    def _there(self) -> DateColumn:
        if self.column is None and self.origin is None:
            raise ValueError("give column, or for a table without dates origin: YYYY-MM-DD")
        return self


class Column(_Strict):
    """A column about a patient or a row.

    Args:
        column: its spellings.
        map: value in the table -> value in covidlit; others are refused.
        otherwise: what any other value becomes; null: it is refused.
        unit: of an age (years, months, days) or of a time (days, hours).
    """

    column: Names
    map: dict[str, Any] | None = None
    otherwise: Any = None
    unit: Literal["years", "months", "days", "hours"] | None = None


class ListColumn(_Strict):
    """A text that lists several things, such as `fever; cough`.

    Args:
        column: its spellings.
        separator: between them, a regular expression.
        none: texts that say that there is none.
        known: names that are looked for, for a flag each: name -> spellings.
    """

    column: Names
    separator: str = r"[,;/+|、，；\n]|\band\b"
    none: Names = ["none", "no", "nil", "0", "-", "无", "keine", "ninguna", "aucune"]
    known: dict[str, Names] = {}


class Flags(_Strict):
    """True-or-false columns, a name each: `flags: {diabetes: [DM, diabetes]}`; or a list in text.

    Args:
        flags: name -> column.
        listed: a text that lists them.
        count: of comorbidities, a column with their number.
        map: value -> true or false, beside yes, no, 1, 0 and the like.
    """

    flags: dict[str, Names] = {}
    listed: ListColumn | None = None
    count: Names | None = None
    map: dict[str, bool] | None = None


ColumnOf = Annotated[Column, BeforeValidator(_as_column)]
DateOf = Annotated[DateColumn, BeforeValidator(_as_column)]


class Lab(_Strict):
    """A laboratory value, or a further number.

    Args:
        names: spellings of its column, or in a long table of its test.
        unit: that the table gives it in; null in a long table with a column of units.
        date: a column with the date at which it was measured or known, if that is another than the
            row's.
        only_with: it counts only in rows in which this column is filled too, such as another value
            of the same blood count.
        words: text -> number or null, beside those of the source.
        required: refuse a table that lacks it.
    """

    names: Names
    unit: str | None = None
    date: DateOf | None = None
    only_with: Names | None = None
    words: dict[str, float | None] = {}
    required: bool = False


class Further(Lab):
    """A feature beside the 17 indicators.

    Args:
        held_in: the unit that it is kept in; null: `unit`.
        range: least and largest value that a patient can have, in that unit.
        typical: range in which the median of a cohort lies; finds wrong units.
        molar_mass: g/mol, for conversion between g and mol.
        description: for people.
        worse: the side of the disease.
        group: of features.
        map: text -> number, for what is no number in the table, such as {yes: 1, no: 0}.
    """

    held_in: str | None = None
    range: tuple[float, float] | None = None
    typical: tuple[float, float] | None = None
    molar_mass: float | None = None
    description: str | None = None
    worse: Literal["high", "low"] | None = None
    group: str = "further"
    map: dict[str, float] | None = None


class Texts(_Strict):
    """What texts in columns of numbers count as.

    Args:
        below: `<0.5` is half of it, the bound itself, or missing.
        above: `>1000` is the bound itself, or missing.
        negative: `neg` is missing or 0. `pos` is missing.
        words: text -> number or null, in any case.
    """

    below: Literal["half", "bound", "missing"] = "half"
    above: Literal["bound", "missing"] = "bound"
    negative: Literal["missing", "zero"] = "missing"
    words: dict[str, float | None] = {}


class Long(_Strict):
    """Columns of a table with one row per value."""

    test: Names
    value: Names
    unit: Names | None = None


class Patients(_Strict):
    """A second table, with one row per patient, beside the one of values.

    Args:
        file: its path, relative to the first table; null: another sheet of the same workbook.
        sheet, header_row, patient: as of the first table.
        unknown: what to do with patients that the first table lacks: refuse, keep (without a value)
            or leave_out.
    """

    file: str | None = None
    sheet: str | int | None = None
    header_row: int | None = None
    patient: Annotated[PatientColumn, BeforeValidator(_as_column)]
    unknown: Literal["refuse", "keep", "leave_out"] = "refuse"


class ClinicalMapping(_Strict):
    """What the columns, values and units of a source mean; see `conf/clinical/example_wide.yaml`.

    Raises:
        ConfigError: by `load_mapping`, for a key that does not exist or a value that does not fit.
    """

    name: str = "mapping"
    source: str = ""
    layout: Literal["wide", "long"] = "wide"
    sheet: str | int | None = None
    header_row: int | None = Field(None, ge=1)
    encoding: str | None = None
    decimal: Literal["auto", "point", "comma"] = "auto"
    date_order: Order = "auto"
    merged_cells: Literal["refuse", "fill"] = "refuse"
    same_moment: Literal["refuse", "merge", "first", "last", "mean"] = "refuse"
    implausible: Literal["error", "missing"] = "error"
    check_units: bool = True
    texts: Texts = Texts()
    long: Long | None = None
    patients: Patients | None = None

    patient: Annotated[PatientColumn, BeforeValidator(_as_column)]
    date: DateOf | None = None
    index_date: DateOf | None = None
    outcome_date: DateOf | None = None
    progressed_date: DateOf | None = None
    centre: ColumnOf | None = None
    age: ColumnOf | None = None
    sex: ColumnOf | None = None
    smoker: ColumnOf | None = None
    epidemiology: ColumnOf | None = None
    severity: ColumnOf | None = None
    severity_at_admission: ColumnOf | None = None
    progressed: ColumnOf | None = None
    outcome: ColumnOf | None = None
    event_time_days: ColumnOf | None = None
    comorbidities: Flags | None = None
    symptoms: Flags | None = None
    groups: dict[str, ColumnOf] = {}
    labs: dict[str, Lab] = {}
    further: dict[str, Further] = {}

    @model_validator(mode="after")
    def _fits(self) -> ClinicalMapping:
        if (self.layout == "long") != (self.long is not None):
            raise ValueError("layout: long needs the node long: {test, value}, and wide has none")
        if self.date is None and self.index_date is None:
            raise ValueError("give date, index_date, or for a table without dates "
                             "date: {origin: 2020-01-01}")  # fmt: skip
        for name in self.labs:
            if name not in INDICATORS:
                hint = (did_you_mean(name, INDICATORS) or "name it under further:").rstrip("?")
                raise ValueError(f"labs.{name}: it is none of the 17 indicators; {hint}")
        for name in self.further:
            if name in INDICATORS or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"further.{name}: use small letters, digits and _, and another "
                                 "name than the indicators'")  # fmt: skip
        _check_names(self)
        _check_values(self)
        for name, lab in self.numbers.items():
            if lab.unit is None and not (self.long and self.long.unit) and not _free(lab):
                raise ValueError(f"{_group_of(self, name)}.{name}.unit: say the unit")
            if lab.unit is not None:
                factor(lab.unit, self.held_in(name), self.molar_mass(name))
        return self

    @property
    def numbers(self) -> dict[str, Lab]:
        """Indicators in the order of contract 9, and further features, by name."""
        return {**{n: self.labs[n] for n in INDICATORS if n in self.labs}, **self.further}

    def held_in(self, name: str) -> str:
        """The unit that a feature is kept in; 1 for what has none."""
        if name in INDICATORS:
            return INDICATORS[name].unit
        own = self.further[name]
        return own.held_in or own.unit or "1"

    def molar_mass(self, name: str) -> float | None:
        """g/mol of a feature's substance, where it is known."""
        if name in self.further:
            return self.further[name].molar_mass
        return {"haemoglobin_g_per_l": HAEMOGLOBIN_MONOMER, "albumin_g_per_l": ALBUMIN}.get(name)


def _check_names(mapping: ClinicalMapping) -> None:
    for key, names in (("further", mapping.further), ("groups", mapping.groups)):
        for name in names:
            if why := taken(name, group=key == "groups"):
                raise ValueError(f"{key}.{name}: {why}")
    if mapping.comorbidities and "count" in {
        *mapping.comorbidities.flags,
        *(mapping.comorbidities.listed.known if mapping.comorbidities.listed else ()),
    }:
        raise ValueError("comorbidities.flags.count: their number is called so; use another name")


def _free(lab: Lab) -> bool:
    """Whether a feature needs no unit: it is a code, or says by its map what it is."""
    return isinstance(lab, Further) and (lab.map is not None or lab.held_in is not None)


def _group_of(mapping: ClinicalMapping, name: str) -> str:
    return "labs" if name in mapping.labs else "further"


_ALLOWED: dict[str, tuple[Any, ...]] = {
    "sex": ("F", "M"),
    "severity": SEVERITIES,
    "severity_at_admission": SEVERITIES,
    "outcome": OUTCOMES,
    "smoker": (True, False),
    "progressed": (True, False),
}
"""What the columns with closed values may become."""


def _check_values(mapping: ClinicalMapping) -> None:
    for name, allowed in _ALLOWED.items():
        column: Column | None = getattr(mapping, name)
        for value, meant in (column.map or {}).items() if column else ():
            if meant is not None and meant not in allowed:
                raise ValueError(
                    f"{name}.map.{value}: must be {' or '.join(map(str, allowed))}, or null, not "
                    f"{meant!r}"
                )
