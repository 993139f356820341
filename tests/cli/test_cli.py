"""The command line answers fast and can be followed."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app

ROOT = Path(__file__).parents[2]
COVIDLIT = [sys.executable, "-c", "from covidlit.cli.app import app; app()"]
COMMANDS = (
    "inspect", "manifest", "prepare", "evaluate", "compare", "paper", "export",
    "predict", "explain", "trend", "cards", "synthesize", "sweep", "train",
)  # fmt: skip
ALL_HELP = """
import json, sys
from typer.testing import CliRunner
from covidlit.cli.app import app
help_of = {}
for command in ["", *sys.argv[1:]]:
    done = CliRunner().invoke(app, [command, "--help"] if command else ["--help"])
    help_of[command] = [done.exit_code, done.stdout]
print(json.dumps([help_of, list(sys.modules)]))
"""


@pytest.fixture(scope="module")
def shown() -> tuple[dict[str, tuple[int, str]], set[str]]:
    """Exit code and text of each command's help by its name, and every module that they needed."""
    done = subprocess.run(
        [sys.executable, "-c", ALL_HELP, *COMMANDS],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    help_of, modules = json.loads(done.stdout)
    return help_of, set(modules)


def test_the_help_names_every_command(shown: Any) -> None:
    code, text = shown[0][""]
    assert code == 0
    for command in COMMANDS:
        assert command in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(command: str, shown: Any) -> None:
    code, text = shown[0][command]
    assert code == 0
    assert len(text.splitlines()) > 5


def test_the_least_number_of_scans_to_compare_is_in_the_help(shown: Any) -> None:
    assert "at least 2" in " ".join(shown[0]["export"][1].replace("│", " ").split())


@pytest.mark.parametrize(
    "module", ["torch", "pytorch_lightning", "monai", "torchio", "pandas", "scipy", "pydicom"]
)
def test_the_help_does_not_import_what_is_slow(module: str, shown: Any) -> None:
    assert "covidlit.cli.train" in shown[1]
    assert module not in shown[1]


def test_a_users_error_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COVIDLIT, "evaluate", str(tmp_path / "none.parquet")], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "none.parquet" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_said_and_no_other_fault_is_hidden(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(tmp_path / "a.dcm"))

    monkeypatch.setattr("covidlit.synthetic.make_cohort", fail)
    done = CliRunner().invoke(app, ["synthesize", str(tmp_path)])
    if number == errno.EIO:
        assert isinstance(done.exception, OSError)
        return
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'a.dcm'}: the disk is full. Fix: free ")


def test_no_workers_are_refused_by_name(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["synthesize", str(tmp_path / "cohort"), "--n-jobs", "0"])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: --n-jobs: must be a whole number other than 0, not 0.")
