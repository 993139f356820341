"""What `covidlit platform` says of the packages that it needs."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app


@pytest.mark.parametrize("arguments", [["platform", "--help"], ["--help"]])
def test_the_help_names_the_extra_in_its_brackets(arguments: list[str]) -> None:
    shown = " ".join(CliRunner().invoke(app, arguments, env={"COLUMNS": "200"}).output.split())
    assert "pip install 'covidlit[platform]'" in shown


@pytest.mark.parametrize("content", ["__version__ = '1.13.2'\n", None])
def test_what_nncf_brings_over_django_ninja_is_named(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NNCF asks for the build tool `ninja`, whose package replaces django-ninja's, silently."""
    spec = None
    if content is not None:
        (tmp_path / "__init__.py").write_text(content)
        spec = ModuleSpec("ninja", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr("covidlit.cli.platform_extra.find_spec", lambda name: spec)
    done = CliRunner().invoke(app, ["platform", "migrate", str(tmp_path)])
    assert done.exit_code == 2
    said = " ".join(done.output.split())
    assert "the package `ninja` is not django-ninja's" in said
    assert "covidlit[quantize] in an environment of its own" in said
