"""What the sentences of a report say of classes and centres."""

from __future__ import annotations

import pandas as pd
import pytest

from covidlit.evaluation.report_text import centres_text, score_meaning


@pytest.mark.parametrize(
    ("positive", "negative", "says"),
    [
        (["covid"], ["cap", "np", "cap"], "A score near 1 means: covid; near 0: cap or np."),
        (["covid", "cap"], ["np"], "A score near 1 means: cap or covid; near 0: np."),
        (["covid", None], ["other", "np", "cap"],
         "A score near 1 means: covid; near 0: cap, np or other."),
        (["covid"], [], "A score near 1 means: covid."),
        (["pneumonia"], ["pneumonia", "np"], ""),
        ([None], ["np"], ""),
        ([], ["np"], ""),
    ],
)  # fmt: skip
def test_a_score_means_the_classes_of_the_positive_scans(
    positive: list[str | None], negative: list[str], says: str
) -> None:
    names = pd.array([*positive, *negative], dtype="string")
    target = pd.array([1] * len(positive) + [0] * len(negative), dtype="Int64")
    assert score_meaning(pd.DataFrame({"class_name": names, "target": target})) == says


@pytest.mark.parametrize(
    ("by_centre", "says"),
    [
        ({"3": 120}, "from centre 3"),
        ({"3": 60, "4": 50}, "from centres 3 (60), 4 (50)"),
        ({"3": 60, "missing": 5}, "from centre 3 (60) and 5 of unknown centre"),
        ({"missing": 60}, "from unknown centres"),
        ({f"c{index}": 2 for index in range(10)}, "from 10 centres"),
    ],
)
def test_scans_come_from_centres(by_centre: dict[str, int], says: str) -> None:
    assert centres_text(by_centre) == says
