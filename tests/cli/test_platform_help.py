"""What `covidlit platform --help` shows can be copied into a shell."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app


@pytest.mark.parametrize("arguments", [["platform", "--help"], ["--help"]])
def test_the_help_names_the_extra_in_its_brackets(arguments: list[str]) -> None:
    shown = " ".join(CliRunner().invoke(app, arguments, env={"COLUMNS": "200"}).output.split())
    assert "pip install 'covidlit[platform]'" in shown
