"""The lines about the cohort that a run logs."""

from __future__ import annotations

import pandas as pd

from covidlit.runs.log import part_lines, refused_line


def rows(part: str | None, classes: list[str], refused: int = 0) -> pd.DataFrame:
    table = pd.DataFrame({"class_name": classes, "part": part, "centre": "a", "status": "ok"})
    table["reason"] = pd.Series([None] * len(table), dtype="string")
    table.loc[: refused - 1, ["status", "reason"]] = ["refused", "gantry tilt."]
    return table


def test_each_part_has_its_classes_and_its_refused_scans() -> None:
    parts = [
        rows("test", ["covid", "np"]),
        rows("train", ["np", "covid", "np"], refused=2),
        rows("validation", []),
        rows(None, ["cap"]),
    ]
    assert part_lines(pd.concat(parts, ignore_index=True)) == [
        "  train: 3 scans (covid 1, np 2), 2 refused; centres: a",
        "  test: 2 scans (covid 1, np 1); centres: a",
        "  in no part: 1 scan",
    ]


def test_a_trial_without_a_test_part_says_that_it_is_left_out() -> None:
    parts = [rows("train", ["np"]), rows("validation", ["np"]), rows(None, ["cap"])]
    lines = part_lines(pd.concat(parts, ignore_index=True))
    assert lines[2] == "  test: left out, for a sweep must not choose by its scans"
    assert "0 scans" not in " ".join(lines)


def test_refused_scans_are_counted_by_reason() -> None:
    table = pd.concat([rows("test", ["np"] * 3, refused=2), rows("train", ["np"], refused=1)])
    assert refused_line(table).startswith(
        "3 of 4 scans were refused and train nothing: 3 x gantry tilt. "
    )
    assert refused_line(rows("test", ["np"])) == ""
