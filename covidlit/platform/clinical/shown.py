"""What a patient's page shows of the clinical tables: values by day, their course, events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

import pandas as pd

from covidlit.cohort.clinical.indicators import SEVERITIES
from covidlit.lesions.report.severity import Bar, Severity, SeveritySection, severity_section
from covidlit.platform.clinical.known import known_features, known_rows
from covidlit.platform.clinical.models import SeverityScore
from covidlit.platform.registry.models import Labelling, Patient
from covidlit.platform.viewing.figure import SMALL, Event, Figure, Value, figure_of

MOST_DAYS = 8
"""Columns of the table of values: the newest days; figures have all of them."""

_ACROSS = 400
_ON = {"index_date": "admission", "outcome_date": "outcome", "progressed_date": "deterioration"}


class Course(NamedTuple):
    """A laboratory value over time.

    Args:
        feature: its column.
        name: in words.
        unit: of it; empty where it has none.
        values: all of them, by day.
        cells: texts of the days of the table.
        figure: None with values of fewer than two days.
    """

    feature: str
    name: str
    unit: str
    values: tuple[Value, ...]
    cells: tuple[str, ...]
    figure: Figure | None


class Clinical(NamedTuple):
    """What is known of a patient.

    Args:
        days: of the table of values, the newest `MOST_DAYS`.
        courses: a row for each value.
        events: by day.
        about: age, sex and the like, as words.
        n_days: days with a value, of which the table may leave out the earliest.
    """

    days: tuple[date, ...]
    courses: tuple[Course, ...]
    events: tuple[Event, ...]
    about: tuple[str, ...]
    n_days: int


class ShownSeverity(NamedTuple):
    """A score and where it stands on a line.

    Args:
        section: texts.
        day: of the scan.
        score, point: places of the score and the operating point; None where there is none.
        band: place and length of the members' scores.
        bars: with half their lengths, of 50.
    """

    section: SeveritySection
    day: date | None
    score: float | None
    band: tuple[float, float] | None
    point: float | None
    bars: tuple[tuple[Bar, str], ...]


def clinical_of(patient: Patient) -> Clinical | None:
    """What is known of a patient; None where nothing is."""
    rows = known_rows(patient)
    if rows.empty:
        return None
    features = known_features(patient)
    names = [name for name in features["name"] if name in rows and rows[name].notna().any()]
    with_value = rows[rows[names].notna().any(axis=1)] if names else rows.iloc[:0]
    days = tuple(with_value["date"])[-MOST_DAYS:]
    about = features.set_index("name").to_dict("index")
    courses = tuple(_course(rows, name, about[name], days) for name in names)
    return Clinical(days, courses, _events(rows), _about(rows.iloc[-1]), len(with_value))


def severity_of(score: SeverityScore, day: date | None) -> ShownSeverity | None:
    """A score as a page without inline styles shows it."""
    section = severity_section(Severity.of_plain(score.severity))
    if section is None:
        return None
    marks = {name: _ACROSS * place / 100 for name, place in section.marks.items()}
    band = (marks["low"], marks["high"] - marks["low"]) if section.members else None
    bars = tuple((bar, f"{bar.length / 2:.1f}") for bar in section.bars)
    return ShownSeverity(section, day, marks.get("score"), band, marks.get("point"), bars)


def newest_scores(labellings: Iterable[Labelling]) -> dict[int, SeverityScore]:
    """The score that counts of each labelling, by its scan's key; none where it has none."""
    found: dict[int, SeverityScore] = {}
    scores = SeverityScore.objects.filter(labelling__in=list(labellings))
    for each in scores.select_related("labelling").order_by("pk"):
        found[each.labelling.scan_id] = each
    return {scan: score for scan, score in found.items() if score.severity}


def _course(
    rows: pd.DataFrame, name: str, about: Mapping[Any, Any], days: tuple[date, ...]
) -> Course:
    known = rows[["date", name]].dropna()
    of_day = dict(zip(known["date"], known[name].astype(float), strict=True))
    unit = str(about.get("unit") or "")
    unit = "%" if unit.startswith("percent") else unit
    unit = unit.replace("10^9", "10⁹").replace("10^12", "10¹²")
    values = tuple(Value(*each) for each in of_day.items())
    return Course(
        name,
        str(about.get("description") or name.replace("_", " ")),
        unit,
        values,
        tuple(f"{of_day[day]:.4g}" if day in of_day else "–" for day in days),
        figure_of(values, (), *SMALL),
    )


def _events(rows: pd.DataFrame) -> tuple[Event, ...]:
    """Admission, changes of severity, deterioration and outcome, by day."""
    found = set()
    last = rows.iloc[-1]
    for column, words in _ON.items():
        if column in rows and not pd.isna(last[column]):
            text = str(last["outcome"]) if words == "outcome" and _there(last, "outcome") else words
            found.add(Event(pd.Timestamp(last[column]).date(), text))
    if "severity" in rows:
        known = rows[["date", "severity"]].dropna()
        changed = known[known["severity"].ne(known["severity"].shift())]
        found |= {
            Event(day, f"{severity} by the clinic")
            for day, severity in zip(changed["date"], changed["severity"], strict=True)
            if severity in SEVERITIES
        }
    return tuple(sorted(found))


def _about(row: pd.Series) -> tuple[str, ...]:
    found = []
    if _there(row, "age"):
        found.append(f"{row['age']:.0f} years")
    if _there(row, "sex"):
        found.append({"F": "female", "M": "male"}.get(row["sex"], str(row["sex"])))
    found += [
        name.removeprefix("comorbidity_").replace("_", " ")
        for name in map(str, row.index)
        if name.startswith("comorbidity_") and row[name] is not pd.NA and row[name] is True
    ]
    return tuple(found)


def _there(row: pd.Series, name: str) -> bool:
    return name in row and not pd.isna(row[name])
