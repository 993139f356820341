"""How far the two levels of graders agree, and where they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from django.db.models import Exists, OuterRef, QuerySet

from covidlit.evaluation.agreement import Agreement, agreement
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.estimate import Estimate, format_estimate
from covidlit.platform.accounts.scoped import ScopedQuerySet
from covidlit.platform.grading.models import Comparison
from covidlit.platform.registry.models import Scan

MOST_COMPARED = 2000
"""Scans that agreement is told of: intervals are narrow by then, and no page waits for more."""


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


_ITEMS: tuple[tuple[str, Callable[[Said], str]], ...] = (
    ("used or excluded", lambda grade: "excluded" if grade.is_excluded else "used"),
    ("quality", lambda grade: grade.quality_grade),
    ("class", lambda grade: grade.class_name),
    ("severity", lambda grade: grade.severity),
)


class Said(NamedTuple):
    """What a grade says; see `Grade`."""

    is_excluded: bool
    quality_grade: str
    class_name: str
    severity: str


class Pair(NamedTuple):
    """The grades of a `Comparison`.

    Args:
        patient_id: key.
        first, second: the grades.
    """

    patient_id: int
    first: Said
    second: Said


def pairs_of(rows: ScopedQuerySet[Comparison]) -> list[Pair]:
    """The pairs of the scans that were verified last, `MOST_COMPARED` at most."""
    said = [f"{which}__{name}" for which in ("first", "second") for name in Said._fields]
    values = rows.order_by("-made_at", "-scan_id").values_list("scan__patient", *said)
    n = len(Said._fields)
    return [
        Pair(patient, Said(*both[:n]), Said(*both[n:]))
        for patient, *both in values[:MOST_COMPARED].iterator()
    ]


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


def disagreements(
    rows: ScopedQuerySet[Comparison], hidden: QuerySet[Scan]
) -> ScopedQuerySet[Comparison]:
    """Scans whose second grader corrected the first, the latest first.

    Args:
        rows: that one may see.
        hidden: scans whose grades one may not see yet.
    """
    kept = ~Exists(hidden.filter(pk=OuterRef("scan")))
    return rows.filter(kept, differs=True).order_by("-made_at", "-scan_id")


def _row(what: str, found: Agreement) -> Row:
    return Row(what, found.same.n, _said(found.same, percent=True), _said(found.kappa))


def _said(estimate: Estimate, percent: bool = False) -> str:
    return format_estimate(estimate, 2, percent=percent)
