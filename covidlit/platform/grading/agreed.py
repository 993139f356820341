"""How far the two levels of graders agree, and where they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from covidlit.evaluation.agreement import Agreement, agreement
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.estimate import Estimate, format_estimate
from covidlit.platform.grading.models import Grade
from covidlit.platform.grading.standing import Standing


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


def agreement_rows(shown: Sequence[Standing]) -> list[Row]:
    """Agreement of the first grade that was verified with the second's first answer to it.

    What either changed later, having seen the other's, does not count. Of quality and labels only
    scans count that both have given one.
    """
    pairs = [(each, each.compared) for each in shown if each.compared is not None]
    rows = []
    for what, value in _ITEMS:
        both = [
            (str(each.scan.patient_id), value(pair[0]), value(pair[1]))
            for each, pair in pairs
            if pair is not None and value(pair[0]) and value(pair[1])
        ]
        if both:
            patients, first, second = zip(*both, strict=True)
            rows.append(_row(what, agreement(first, second, Sampling(patients))))
    return rows


def disagreements(shown: Sequence[Standing]) -> list[Standing]:
    """Scans whose second grader corrected the first, the latest first."""
    found = [
        each
        for each in shown
        if each.compared is not None and each.compared[0].grade != each.compared[1].grade
    ]
    return sorted(found, key=lambda each: each.grades[-1].made_at, reverse=True)


def _row(what: str, found: Agreement) -> Row:
    return Row(what, found.same.n, _said(found.same, percent=True), _said(found.kappa))


def _said(estimate: Estimate, percent: bool = False) -> str:
    return format_estimate(estimate, 2, percent=percent)
