"""What is done with each scan after it was scored never costs a score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from covidlit.deploy.predict import predict
from covidlit.errors import CovidlitError


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (CovidlitError("the axes are oblique."), "no heatmap: the axes are oblique."),
        (OSError(28, "No space left on device"), "no heatmap: No space left on device"),
        (MemoryError(), "no heatmap: MemoryError"),
        (
            RuntimeError("broken"),
            "no heatmap: a fault while making it: RuntimeError at ",
        ),
    ],
)
def test_a_failed_heatmap_costs_no_score(
    error: Exception, reason: str, checkpoint: Path, scans: Path
) -> None:
    called = []

    def fail_once(source: Any, *_: Any) -> None:
        called.append(source.path)
        if len(called) == 2:
            raise error

    table = predict(checkpoint, scans, on_scored=fail_once).set_index("path")
    expected = predict(checkpoint, scans).set_index("path")
    assert called == list(table.index)
    pd.testing.assert_series_equal(table["score"], expected["score"])
    assert set(table["status"]) == {"ok"}
    assert reason in table["notes"].iloc[1]
    assert not table["notes"].drop(called[1]).str.contains("heatmap").any()
