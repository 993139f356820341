"""The time that a run has left is told after its first epoch, and an empty part is no news."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from covidlit.runs import time_left
from covidlit.runs.cross_validation import Fold, _result
from covidlit.runs.log import part_lines
from covidlit.runs.outcomes.classification import PREDICTIONS, Classification
from covidlit.runs.time_left import TimeLeft


@pytest.mark.parametrize(
    ("n_after", "text"),
    [
        (0, "Epoch 1 of 41 took 30 s: about 20 min are left."),
        (4, "Epoch 1 of 41 took 30 s: about 20 min are left for this fold, 1.7 h with the 4 that "
            "follow."),
    ],
)  # fmt: skip
def test_the_time_left_is_told_once(
    n_after: int, text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    callback = TimeLeft(n_after)
    for epoch in range(4):
        monkeypatch.setattr(time_left.time, "monotonic", lambda epoch=epoch: 100.0 + 30 * epoch)
        trainer: Any = SimpleNamespace(current_epoch=epoch, max_epochs=41, is_global_zero=True)
        callback.on_train_epoch_start(trainer, None)  # type: ignore[arg-type]
    assert caplog.messages == [text]


def _tables(parts: list[str]) -> dict[str, pd.DataFrame]:
    table = pd.DataFrame(
        {
            "run_id": "r", "model": "m", "seed": 0, "fold": 0, "part": parts,
            "patient_id": [f"p{i}" for i in range(4)], "scan_id": [f"s{i}" for i in range(4)],
            "centre": "a", "class_name": ["np", "covid", "np", "covid"], "target": [0, 1, 0, 1],
            "score": [0.1, 0.9, 0.95, 0.8], "status": "ok", "reason": None,
        }
    )  # fmt: skip
    return {PREDICTIONS: table}


def test_a_fold_without_a_validation_part_tells_of_its_test() -> None:
    def fold(scans: list[str]) -> Fold:
        data: Any = SimpleNamespace(split=SimpleNamespace(scans=lambda part: scans))
        return Fold(0, {}, None, data)  # type: ignore[arg-type]

    # Of the pairs (0.1, 0.9), (0.1, 0.8), (0.95, 0.9), (0.95, 0.8) two are in order.
    assert _result(Classification(), _tables(["test"] * 4), fold([])) == "test AUC 0.500"
    said = _result(Classification(), _tables(["validation"] * 4), fold(["s0"]))
    assert said == "validation AUC 0.500"


def test_an_empty_validation_part_has_no_line() -> None:
    table = _tables(["train", "train", "test", "test"])[PREDICTIONS]
    lines = part_lines(table)
    assert [line.split(":")[0].strip() for line in lines] == ["train", "test"]
