"""Scans to show, in tables small enough to choose from by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from covidlit.evaluation.case_choice import typical_or_worst
from covidlit.explain.gallery import choose_cases

SCORES = [0.1, 0.2, 0.35, 0.6, 0.7, 0.9]


def table(scores: list[float], names: str = "abcdef") -> pd.DataFrame:
    return pd.DataFrame({"scan_id": list(names[: len(scores)]), "score": scores, "threshold": 0.5})


@pytest.mark.parametrize(
    ("right", "expected"),
    # Median and threshold are 0.5: c and d are nearest, then b and e; a and f are furthest. Of
    # equal ones the lower scan_id comes first.
    [(True, "cdb"), (False, "afb")],
)
def test_the_nearest_to_the_median_or_the_furthest_from_the_threshold(
    right: bool, expected: str
) -> None:
    chosen = typical_or_worst(table([0.125, 0.25, 0.375, 0.625, 0.75, 0.875]), 3, right=right)
    assert "".join(chosen["scan_id"]) == expected


def test_ties_do_not_depend_on_the_order_of_the_rows() -> None:
    forward = table([0.25, 0.75, 0.25, 0.75])
    backward = forward.iloc[::-1]
    for right in (True, False):
        one, two = (typical_or_worst(t, 2, right=right) for t in (forward, backward))
        assert one["scan_id"].tolist() == two["scan_id"].tolist() == ["a", "b"]


def test_a_gallery_has_the_same_choice_for_each_outcome() -> None:
    cases = table(SCORES).assign(target=[1, 1, 1, 1, 1, 1]).rename(columns={"threshold": "point"})
    chosen = choose_cases(cases, 1)
    assert chosen[["outcome", "scan_id"]].to_numpy().tolist() == [
        ["true positive", "e"],  # 0.6, 0.7, 0.9
        ["false negative", "a"],
    ]
