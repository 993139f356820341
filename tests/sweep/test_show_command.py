"""`covidlit sweep` reads a study that is there, and says plainly where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from example_studies import add, study, whole_study
from typer.testing import CliRunner, Result

from covidlit.cli.app import app
from covidlit.sweep.storage import open_storage

pytestmark = pytest.mark.slow


def run(*words: object) -> Result:
    """`covidlit sweep` with these words."""
    return CliRunner().invoke(app, ["sweep", *map(str, words)])


@pytest.mark.parametrize("file", ["study.log", "study.db"])
def test_table_and_page_while_the_sweep_runs(file: str, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / file}" if file == "study.db" else None
    made = whole_study(storage=open_storage(storage, tmp_path))
    made.ask()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    done = run(tmp_path)
    assert done.exit_code == 0, done.output
    assert "12 finished, 4 pruned, 1 failed" in done.output
    assert "1 running" in " ".join(done.output.split())
    assert (tmp_path / "sweep.html").is_file()
    assert {path: path.read_bytes() for path in before} == before


def test_a_study_in_a_database_elsewhere(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    storage = open_storage(f"sqlite:///{other / 'study.db'}", other)
    for name in ("first", "second"):
        add(study(name, storage=storage), 0.7)
    folder = tmp_path / "sweep"
    folder.mkdir()
    url = f"sqlite:///{other / 'study.db'}"
    assert "2 studies: first, second" in run(folder, "--storage", url).output
    assert "did you mean second?" in run(
        folder, "--storage", url, "--study-name", "secnd"
    ).output.replace("\n", " ")
    done = run(folder, "--storage", url, "--study-name", "second")
    assert done.exit_code == 0, done.output
    assert "Sweep second" in (folder / "sweep.html").read_text()


def test_no_folder_no_study_no_database(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "study.db").write_text("this is no database, " * 100)
    without = tmp_path / "without"
    open_storage(None, without)
    for folder, said in (
        (tmp_path / "none", "there is no such folder"),
        (tmp_path / "empty", "neither study.log nor study.db"),
        (damaged, "file is not a database"),
        (without, "the storage holds no study"),
    ):
        done = run(folder)
        assert done.exit_code == 2, done.output
        assert said in done.output
        assert not (folder / "sweep.html").exists()
    missing = run(tmp_path, "--storage", f"sqlite:///{tmp_path}/none.db")
    assert "there is no such file" in missing.output
    assert not (tmp_path / "none.db").exists()
