"""What was noted of scans as they were read stands in metrics and report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from covidlit.evaluation import evaluate, write_report

OVERRIDDEN = "not_hu overridden: values look like HU + 1024; the values were taken as HU"


def test_notes_are_counted_by_part_and_cautioned_of(
    predictions: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    table = predictions().assign(notes=None)
    test = table.index[table["part"] == "test"]
    table.loc[test[:3], "notes"] = OVERRIDDEN
    table.loc[test[3], "notes"] = "about 51% of the lungs in view, cut above"
    table.loc[test[4], "notes"] = "about 62% of the lungs in view, cut above"
    found = evaluate(table, n_bootstrap=100)
    cut = "about 51% of the lungs in view, cut above (or other numbers)"
    assert found.metrics["parts"]["test"]["notes"] == {OVERRIDDEN: 3, cut: 2}
    assert found.metrics["parts"]["validation"]["notes"] == {}
    (text,) = (c["text"] for c in found.metrics["cautions"] if c["code"] == "noted")
    assert "5 of 120 scored test scans" in text
    page = write_report(table, tmp_path, evaluation=found).read_text()
    assert "not_hu overridden: values look like HU + 1024" in page
    without = evaluate(predictions(), n_bootstrap=100).metrics
    assert "noted" not in {caution["code"] for caution in without["cautions"]}
