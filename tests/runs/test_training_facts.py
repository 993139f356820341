"""What a report says of a training."""

from __future__ import annotations

from typing import Any

import pytest

from covidlit.runs.lightning_runner import LightningRunner


class _Task:
    def facts(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(
    ("precision", "said"),
    [("bf16-mixed", "bf16-mixed"), ("16-mixed", "16-mixed"), ("32-true", None), (32, None),
     (None, None)],
)  # fmt: skip
def test_a_precision_other_than_float32_is_told(
    precision: object, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LightningRunner, "task", _Task())
    runner: Any = object.__new__(LightningRunner)
    config = {"data": {}, "model": {}, "trainer": {"max_epochs": 3, "precision": precision}}
    assert runner.training_facts(config).get("precision") == said
