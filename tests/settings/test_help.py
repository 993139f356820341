"""`--help` shows the defaults of what was chosen before it."""

from __future__ import annotations

import sys

import pytest
import yaml

import covidlit.cli.train


@pytest.mark.parametrize(
    ("choices", "size", "batch", "source"),
    [
        ([], [24, 64, 64], 10, "synthetic_manifest"),
        (["data=manifest"], [64, 256, 256], 10, "existing_manifest"),
        (["data=manifest", "data.batch_size=3"], [64, 256, 256], 3, "existing_manifest"),
    ],
)
def test_help_shows_the_data_that_were_chosen(
    choices: list[str],
    size: list[int],
    batch: int,
    source: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", *choices, "--help"])
    with pytest.raises(SystemExit) as end:
        covidlit.cli.train.main()
    assert not end.value.code
    said = capsys.readouterr().out
    assert "--help       the settings of what was chosen" in said
    shown = said.partition("(foo.bar=value)")[2].partition("These are the values")[0]
    data = yaml.safe_load(shown)["data"]
    assert data["geometry"]["size"] == size
    assert data["batch_size"] == batch
    assert data["source"]["_target_"].endswith(source)
