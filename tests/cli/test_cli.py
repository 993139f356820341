"""The command line answers fast and can be followed."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app

ROOT = Path(__file__).parents[2]
COVIDLIT = [sys.executable, "-c", "from covidlit.cli.app import app; app()"]
COMMANDS = (
    "inspect", "manifest", "prepare", "train", "evaluate", "compare", "paper", "export",
    "predict", "explain", "cards", "synthesize", "sweep",
)  # fmt: skip


def test_the_help_names_every_command() -> None:
    done = subprocess.run([*COVIDLIT, "--help"], capture_output=True, text=True, check=True)
    for command in COMMANDS:
        assert command in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(command: str) -> None:
    done = subprocess.run(
        [*COVIDLIT, command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert len(done.stdout.splitlines()) > 5


@pytest.mark.parametrize(
    "module", ["torch", "pytorch_lightning", "monai", "torchio", "pandas", "scipy", "pydicom"]
)
def test_the_help_does_not_import_what_is_slow(module: str) -> None:
    code = f"import sys, covidlit.cli.app, covidlit.cli.train; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


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
    assert done.stderr.startswith("error: n_jobs: must be a whole number other than 0, not 0.")
