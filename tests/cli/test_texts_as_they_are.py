"""What commands print shows paths and names letter by letter, whatever they hold."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.table import Table
from typer.testing import CliRunner

import covidlit
from covidlit.cli.app import app
from covidlit.terminal import headed, plain_console

FOLDERS = ("runs[old]", "[/]a", "[red]b[/red]", ":warning:c")
PACKAGE = Path(covidlit.__file__).parent


def run(*words: object) -> str:
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def predictions(path: Path, seed: int) -> Path:
    """Scores of 40 patients, half of them positive."""
    rng = np.random.default_rng(seed)
    target = np.arange(40) % 2
    table = pd.DataFrame(
        {
            "scan_id": [f"S{i}" for i in range(40)],
            "patient_id": [f"P{i}" for i in range(40)],
            "part": "test",
            "class_name": np.where(target, "covid", "np"),
            "target": target,
            "score": np.clip(0.3 * target + 0.7 * rng.random(40), 0, 1),
            "status": "ok",
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", FOLDERS)
def test_every_path_is_shown_whole(name: str, tmp_path: Path) -> None:
    place = tmp_path / name
    cohort, manifest, cache = place / "cohort", place / "m.csv", place / "cache"
    said = run("synthesize", cohort, "--n-scans", 2, "--matrix", 48, "--n-jobs", 1)
    assert f"series: {cohort / 'dicom'}\n" in said
    assert f"Labels: {cohort / 'labels.csv'}\n" in said

    labels = cohort / "labels.csv"
    said = run("manifest", cohort / "dicom", "--labels", labels, "--out", manifest)
    assert f"secret): {place / 'manifest.key'}\n" in said
    assert f"Manifest: {manifest} (2 scans)\n" in said

    grid = ("--spacing", 20, 24, 24, "--size", 16, 16, 16, "--n-jobs", 1)
    said = run("prepare", manifest, "--cache", cache, *grid)
    assert f"List: {cache / 'prepared.csv'}\n" in said

    csv = place / "series.csv"
    assert f"Table: {csv}\n" in run("inspect", tmp_path, "--csv", csv)
    shown = "".join(re.findall(r"│[^│]*│ (.*?) *│", run("inspect", tmp_path)))
    assert f"{name}/cohort/dicom/centre_1/" in shown

    out = place / "nifti"
    assert f"List: {out / 'series.csv'}\n" in run("convert", cohort / "dicom", out, "--jobs", 1)


@pytest.mark.parametrize("name", FOLDERS)
def test_names_of_models_and_pages_are_shown_whole(name: str, tmp_path: Path) -> None:
    first, second = (predictions(tmp_path / name / f"{i}.csv", i) for i in range(2))
    out = tmp_path / name / "out"
    said = run("compare", f"{name}={first}", f"other={second}", "--out", out)
    assert f"Report: {out / 'comparison.html'}\n" in said
    assert f"│ {name} " in said
    assert f"Report: {out / 'report.html'}\n" in run("evaluate", first, "--out", out)


@pytest.mark.parametrize("text", [*FOLDERS, "[bold]", "\\[a]", "12 of 13"])
def test_the_console_changes_no_text_and_no_number(text: str) -> None:
    file = io.StringIO()
    console = plain_console(file=file, force_terminal=True, width=40)
    console.print(text)
    assert file.getvalue() == f"{text}\n"  # nor is anything coloured
    table = Table(text, title=f"of {text}", caption=f"by {text}")
    table.add_row(f"in {text}")
    console.print(table)
    console.print(headed("note", "yellow", text))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())
    assert plain.count(text) == 6
    assert f"of {text}" in plain
    assert f"note {text}\n" in plain
    assert "\x1b[33mnote\x1b[0m" in file.getvalue()


def test_every_console_is_a_plain_one() -> None:
    makers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\b(Console\(|from_markup\(|rich\.markup|rich\.print)", path.read_text())
    }
    assert makers == {"terminal.py"}


def test_every_text_of_a_progress_bar_is_plain() -> None:
    for path in PACKAGE.rglob("*.py"):
        for column in re.findall(r"(?<!import )\bTextColumn\((.*?)\)", path.read_text()):
            assert "markup=False" in column, path
