"""No command writes over a file that it did not write, nor over one that it reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app

LABELS = "patient_id,scan_id,path,class_name\np1,s1,a,covid\n"
FOREIGN = {
    "evaluate": ("report.html", "metrics.json"),
    "compare": ("comparison.html", "comparison.csv", "comparison.json"),
    "paper": ("paper.html", "paper.json", "cases.csv", "readers.csv", "table3.csv"),
    "cards": ("claim.csv", "claim.html", "model_card.md"),
    "explain": ("heatmaps.csv", "localisation.json", "explain.html"),
    "convert": ("series.csv",),
    "sweep": ("sweep.html",),
}
PAGE = "<!doctype html><p>Mine</p>"
TEXTS = {".csv": LABELS, ".html": PAGE, ".json": '{"mine": 1}', ".md": "# Mine"}


def _run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    return done.exit_code, " ".join(done.output.split())


def _refused(path: Path, *arguments: object) -> str:
    """Run a command that is to refuse, and that must leave a file as it is."""
    before = path.read_bytes()
    code, said = _run(*arguments)
    assert code == 2, said
    assert path.read_bytes() == before
    return said


@pytest.mark.parametrize(
    ("command", "name"), [(command, name) for command in FOREIGN for name in FOREIGN[command]]
)
def test_a_foreign_file_stays(command: str, name: str, tmp_path: Path) -> None:
    if command == "sweep":
        pytest.importorskip("optuna")
        import optuna

        optuna.create_study(
            study_name="mine", storage=f"sqlite:///{tmp_path / 'study.db'}", direction="maximize"
        )
    out = tmp_path if command == "sweep" else tmp_path / "out"
    out.mkdir(exist_ok=True)
    path = out / name
    path.write_text(TEXTS[path.suffix])
    given: dict[str, list[object]] = {
        "convert": [tmp_path, out],
        "sweep": [tmp_path],
    }
    run: list[object] = [tmp_path / "run", "--out", out]
    said = _refused(path, command, *given.get(command, run))
    assert f"`covidlit {command}` would write over a file that it did not write" in said


def test_predict_leaves_labels_and_what_it_scores(tmp_path: Path) -> None:
    labels, manifest = tmp_path / "labels.csv", tmp_path / "manifest.csv"
    for table in (labels, manifest):
        table.write_text(LABELS)
    said = _refused(labels, "predict", tmp_path / "no.ckpt", tmp_path, "--out", labels)
    assert "`covidlit predict` would write over a file that it did not write" in said
    said = _refused(manifest, "predict", tmp_path / "no.ckpt", manifest, "--out", manifest)
    assert "`covidlit predict` would write over what it is to read" in said


def test_manifest_leaves_its_labels(tmp_path: Path) -> None:
    labels = tmp_path / "lo.csv"
    labels.write_text(LABELS)
    said = _refused(labels, "manifest", tmp_path, "--labels", labels, "--out", labels)
    assert "`covidlit manifest` would write over what it is to read" in said
    # Another name for the same file is the same file.
    (tmp_path / "link.csv").symlink_to(labels)
    out = tmp_path / "link.csv"
    said = _refused(labels, "manifest", tmp_path, "--labels", labels, "--out", out)
    assert "would write over what it is to read" in said
    # Labels that are called as the list of problems of a manifest.
    problems = tmp_path / "m.problems.csv"
    problems.write_text(LABELS)
    out = tmp_path / "m.csv"
    said = _refused(problems, "manifest", tmp_path, "--labels", labels, "--out", out)
    assert "would write over a file that it did not write" in said


def test_prepare_leaves_a_table_of_the_cache_s_name_and_says_who_it_is(tmp_path: Path) -> None:
    table, page = tmp_path / "prepared.csv", tmp_path / "page.html"
    table.write_text(LABELS)
    page.write_text(PAGE)
    said = _refused(table, "prepare", tmp_path / "m.csv", "--cache", tmp_path)
    assert "`covidlit prepare` would write over" in said
    said = _refused(page, "prepare", tmp_path / "m.csv", "--cache", tmp_path / "c", "--html", page)
    assert "`covidlit prepare` would write over a file that it did not write" in said


@pytest.fixture
def predictions(tmp_path: Path) -> Callable[[str], Path]:
    def write(model: str) -> Path:
        rng = np.random.default_rng(len(model))
        target = np.arange(80) % 2
        table = pd.DataFrame(
            {
                "run_id": model, "model": model, "seed": 0, "fold": None,
                "part": np.where(np.arange(80) < 40, "validation", "test"),
                "patient_id": [f"p{i}" for i in range(80)], "scan_id": [f"s{i}" for i in range(80)],
                "centre": "a", "class_name": np.where(target == 1, "covid", "np"), "target": target,
                "score": np.clip(target * 0.3 + rng.uniform(0, 0.7, 80), 0, 1), "status": "ok",
                "reason": None,
            }
        )  # fmt: skip
        table.to_parquet(tmp_path / f"{model}.parquet")
        return tmp_path / f"{model}.parquet"

    return write


def test_a_command_writes_over_its_own(tmp_path: Path, predictions: Callable[[str], Path]) -> None:
    first, second = predictions("first"), predictions("other")
    for out in (tmp_path / "evaluated", tmp_path / "evaluated"):
        code, said = _run("evaluate", first, "--out", out, "--bootstrap", 100)
        assert code == 0, said
    for out in (tmp_path / "compared", tmp_path / "compared"):
        code, said = _run("compare", first, second, "--out", out, "--bootstrap", 100)
        assert code == 0, said
    # A page of another command is not its own.
    page = tmp_path / "evaluated" / "report.html"
    page.write_bytes((tmp_path / "compared" / "comparison.html").read_bytes())
    _refused(page, "evaluate", first, "--out", tmp_path / "evaluated", "--bootstrap", 100)


def test_a_report_of_before_there_was_a_mark_is_known(
    tmp_path: Path, predictions: Callable[[str], Path]
) -> None:
    table, out = predictions("first"), tmp_path / "out"
    assert _run("evaluate", table, "--out", out, "--bootstrap", 100)[0] == 0
    page = out / "report.html"
    mark = '<meta name="generator" content="covidlit evaluate">\n'
    assert mark in page.read_text()
    page.write_text(page.read_text().replace(mark, ""))
    assert _run("evaluate", table, "--out", out, "--bootstrap", 100)[0] == 0
    assert mark in page.read_text()
