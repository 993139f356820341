"""The scans of Figures 3 and 4 are chosen by rule."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from covidlit.papers.csacnet import typical_and_misdiagnosed
from covidlit.papers.methods import Method

Cohort = Callable[..., pd.DataFrame]
MethodOf = Callable[..., Method]


def test_each_kind_is_what_it_says(cohort: Cohort, method: MethodOf) -> None:
    found = typical_and_misdiagnosed(method(cohort()).table, k=2)
    table = cohort().set_index("scan_id")
    assert found.groupby(["figure", "kind"]).size().to_dict() == {
        ("typical", "recognised case, first RT-PCR negative"): 2,
        ("typical", "recognised case"): 2,
        ("typical", "rightly negative, np"): 2,
        ("typical", "rightly negative, cap"): 2,
        ("misdiagnosed", "missed case"): 2,
        ("misdiagnosed", "false alarm"): 2,
    }
    for row in found.to_dict("records"):
        scan = table.loc[row["scan_id"]]
        assert scan["part"] == "test"
        assert scan["score"] == row["score"]
        right = (row["score"] >= row["threshold"]) == (scan["target"] == 1)
        assert right == (row["figure"] == "typical")
        if row["kind"] == "recognised case, first RT-PCR negative":
            assert scan["rtpcr_initial"] == "negative"
            assert "RT-PCR positive at test 2" in row["caption"]


def test_typical_is_next_to_the_median_and_errors_begin_with_the_worst() -> None:
    scores = [0.9, 0.8, 0.7, 0.6, 0.55, 0.3, 0.45, 0.1, 0.2, 0.35, 0.6, 0.99]
    table = pd.DataFrame(
        {
            "part": "test",
            "scan_id": [f"S{index}" for index in range(12)],
            "class_name": ["covid"] * 7 + ["np"] * 5,
            "target": [1] * 7 + [0] * 5,
            "score": scores,
            "threshold": 0.5,
            "status": "ok",
            "centre": "1",
        }
    )
    found = typical_and_misdiagnosed(table, k=1).set_index("kind")["scan_id"].to_dict()
    assert found == {
        "recognised case": "S2",
        "rightly negative, np": "S8",
        "missed case": "S5",
        "false alarm": "S11",
    }


def test_none_are_chosen_where_there_are_none(cohort: Cohort) -> None:
    assert len(typical_and_misdiagnosed(cohort().assign(threshold=0.5, status="refused"))) == 0
    assert len(typical_and_misdiagnosed(cohort().assign(threshold=0.5, status="ok"), k=0)) == 0
