"""Scores are shown with the digits that tell them apart, and no more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covidlit.deploy.score_text import point_text, score_texts


@pytest.mark.parametrize(
    ("scores", "point", "texts"),
    [
        ([0.25, 0.75], 0.5, ["0.250", "0.750"]),
        ([0.4996], 0.5, ["0.4996"]),  # negative, and not "0.500"
        ([0.49999996], 0.5, ["0.49999996"]),
        ([0.5], 0.5, ["0.500"]),
        ([0.99998, 0.99997], None, ["0.99998", "0.99997"]),
        ([0.12341, 0.12342, 0.9], None, ["0.12341", "0.12342", "0.900"]),
        ([0.3, 0.3], None, ["0.300", "0.300"]),
        ([None, float("nan"), 0.1], 0.1, ["", "", "0.100"]),
        # Beyond what networks compute, two scores are one.
        ([0.3, 0.3 + 1e-12], None, ["0.300000000", "0.300000000"]),
    ],
)
def test_digits(scores: list[float | None], point: float | None, texts: list[str]) -> None:
    assert score_texts(scores, point) == texts


def test_the_operating_point_has_as_many_as_the_nearest_score() -> None:
    assert point_text(0.5, [0.2]) == "0.500"
    assert point_text(0.41236, [0.41234, None]) == "0.4124"


@given(st.lists(st.floats(0, 1, width=32), min_size=1), st.floats(0, 1))
def test_what_is_called_negative_never_looks_positive(scores: list[float], point: float) -> None:
    shown = float(point_text(point, scores))
    for score, text in zip(scores, score_texts(scores, point), strict=True):
        assert (score >= point) == (float(text) >= shown)
    order = [text for _, text in sorted(zip(scores, score_texts(scores, point), strict=True))]
    assert [float(text) for text in order] == sorted(map(float, order))
