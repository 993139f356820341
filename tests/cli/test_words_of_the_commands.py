"""Helps and errors of all commands in words that can be followed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
from rich.text import Text
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cli.commands import _in_options
from covidlit.cli.predict import predict
from covidlit.cli.predict_client import ask_server
from covidlit.cli.predict_socket import OwnSocket
from covidlit.cohort.scan_notes import count_notes
from covidlit.counted import counted
from covidlit.errors import ConfigError


def _helps(command: Any, name: str) -> Iterator[tuple[str, str]]:
    for text in (command.help, command.short_help, command.epilog):
        yield name, text or ""
    for option in command.params:
        yield f"{name} {option.name}", getattr(option, "help", None) or ""
    for inner, sub in getattr(command, "commands", {}).items():
        yield from _helps(sub, f"{name} {inner}")


def test_no_help_loses_its_brackets() -> None:
    helps = list(_helps(typer.main.get_command(app), "covidlit"))
    assert len(helps) > 100
    for name, text in helps:
        # Rich takes [word] for markup, and leaves out what it does not know.
        assert Text.from_markup(text).plain == text.replace("\\[", "["), name


def test_the_help_of_export_says_what_to_install() -> None:
    said = CliRunner().invoke(app, ["export", "--help"], env={"COLUMNS": "200"}).output
    assert "covidlit[quantize]" in said


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("predict RUN . --batch-size=-1", "--batch-size"),
        ("predict RUN . --threads=-1", "--threads"),
        (
            "predict RUN --serve S --jobs 4",
            "--jobs: it does not go with --serve. Fix: leave it out.",
        ),
        ("predict RUN --serve S --strict", "--strict: it does not go with --serve"),
        ("predict RUN --serve S --out all.csv", "--out: it does not go with --serve"),
        (
            "predict RUN . --server S --explain",
            "it does not go with --server. Fix: leave it out.\n",
        ),
        (
            "predict RUN . --server S --threads 2",
            "--threads: it does not go with --server. Fix: leave "
            "it out, and give it when the server is started.",
        ),
        ("export RUN --scans . --tolerance=-1", "--tolerance: must lie"),
        ("export RUN --scans . --n-scans 1", "--n-scans: must be at least"),
        ("export RUN --scans . --changed-calls 2", "--changed-calls: must lie"),
        ("export RUN --scans nowhere", "nowhere: there is no such file"),
    ],
)
def test_arguments_are_refused_at_once_by_the_options_name(words: str, named: str) -> None:
    done = CliRunner().invoke(app, words.split(), env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert done.exit_code == 2
    assert named in done.output
    for python in ("n_jobs", "batch_size", "n_scans", "changed_calls"):
        assert python not in done.output


def test_arguments_are_named_as_the_commands_options() -> None:
    of_jobs = ConfigError("must be whole.", where="n_jobs", fix="give for example n_jobs=4.")
    assert str(_in_options(of_jobs, predict)) == (
        "--jobs: must be whole. Fix: give for example --jobs 4."
    )
    doubled = ConfigError("batch_size must be 1.", where="batch_size")
    assert str(_in_options(doubled, predict)) == "--batch-size: must be 1."
    other = ConfigError("is missing.", where="manifest.csv", fix="give threads=4.")
    assert _in_options(other, predict) is other


def test_a_path_too_long_for_a_socket_says_how_to_mend_it(tmp_path: Path) -> None:
    place = tmp_path / ("long" * 40)
    with pytest.raises(ConfigError, match=r"Fix: .*100 bytes"):
        OwnSocket(place, Path("run"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match=r"Fix: .*100 bytes"):
        ask_server(str(place), "run", {})


def test_scans_that_are_not_there_are_named_before_the_network_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("the network was loaded")

    monkeypatch.setattr("covidlit.cli.predict.ScanModel", load)
    (tmp_path / "best.ckpt").touch()
    done = CliRunner().invoke(app, ["predict", str(tmp_path / "best.ckpt"), "nowhere"])
    assert done.exit_code == 2
    assert "nowhere: there is no such file or folder" in done.output


def test_one_is_no_plural() -> None:
    assert [counted(n, "scan") for n in (0, 1, 2)] == ["0 scans", "1 scan", "2 scans"]
    assert [counted(n, "row is", "rows are") for n in (1, 2)] == ["1 row is", "2 rows are"]


def test_notes_that_differ_in_number_alone_are_one() -> None:
    notes = ["1 slice missing at 1 place", "12 slices missing at 2 places", "1 slice dropped"]
    assert list(count_notes(pd.Series(notes)).values()) == [2, 1]
