"""How far the two levels of graders agree, and where they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from django.db.models import F, QuerySet

from covidlit.evaluation.agreement import Agreement, agreement
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.estimate import Estimate, format_estimate
from covidlit.platform.grading.forms import LABELS
from covidlit.platform.grading.models import Grade
from covidlit.platform.grading.standing import compared
from covidlit.platform.registry.models import Scan


class Row(NamedTuple):
    """Agreement in something.

    Args:
        what: it is.
        n: scans that both graders gave a grade in it.
        same, kappa: in words, with their intervals.
    """

    what: str
    n: int
    same: str
    kappa: str


_ITEMS: tuple[tuple[str, Callable[[Grade], str]], ...] = (
    ("used or excluded", lambda grade: "excluded" if grade.is_excluded else "used"),
    ("quality", lambda grade: grade.quality_grade),
    ("class", lambda grade: grade.class_name),
    ("severity", lambda grade: grade.severity),
)


class Pair(NamedTuple):
    """The first grade of a scan that was verified, and the second's first answer to it.

    What either changed later, having seen the other's, does not count.

    Args:
        scan_id, patient_id: keys.
        first, second: the grades.
    """

    scan_id: int
    patient_id: int
    first: Grade
    second: Grade


def pairs_of(scans: QuerySet[Scan], disease: str) -> list[Pair]:
    """The pairs of all scans that have grades of both levels for a disease."""
    rows = (
        Grade.objects.filter(scan__in=scans, disease=disease)
        .annotate(patient_id=F("scan__patient"))
        .only("scan_id", "level", "is_excluded", *LABELS, "made_at")
        .order_by("scan_id", "number")
    )
    found = []
    for scan_id, group in groupby(rows, key=lambda grade: grade.scan_id):
        grades = list(group)
        if (both := compared(grades)) is not None:
            found.append(Pair(scan_id, grades[0].patient_id, *both))
    return found


def agreement_rows(pairs: Sequence[Pair]) -> list[Row]:
    """Agreement in each item; of quality and labels only scans count that both have given one."""
    rows = []
    for what, value in _ITEMS:
        both = [
            (str(pair.patient_id), value(pair.first), value(pair.second))
            for pair in pairs
            if value(pair.first) and value(pair.second)
        ]
        if both:
            patients, first, second = zip(*both, strict=True)
            rows.append(_row(what, agreement(first, second, Sampling(np.array(patients)))))
    return rows


def disagreements(pairs: Sequence[Pair]) -> list[int]:
    """Keys of the scans whose second grader corrected the first, the latest first."""
    found = [pair for pair in pairs if pair.first.grade != pair.second.grade]
    found.sort(key=lambda pair: pair.second.made_at, reverse=True)
    return [pair.scan_id for pair in found]


def _row(what: str, found: Agreement) -> Row:
    return Row(what, found.same.n, _said(found.same, percent=True), _said(found.kappa))


def _said(estimate: Estimate, percent: bool = False) -> str:
    return format_estimate(estimate, 2, percent=percent)
