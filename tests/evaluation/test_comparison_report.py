"""The comparison's page, table and command."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.evaluation import write_predictions
from covidlit.evaluation.compare import compare
from covidlit.evaluation.comparison_report import render_comparison, write_comparison
from covidlit.evaluation.comparison_table import COLUMNS

pytestmark = pytest.mark.slow

Predictions = Callable[..., pd.DataFrame]


@pytest.fixture
def tables(predictions: Predictions) -> list[pd.DataFrame]:
    """Two seeds of one model and one of another, whose name needs escaping."""
    made = []
    for number, (model, seed, noise) in enumerate(
        (("csacnet", 1, 0.2), ("csacnet", 2, 0.2), ("SVM <C & D>", 1, 0.7))
    ):
        table = predictions()
        noise_of_run = noise * np.random.default_rng(number).normal(size=len(table))
        score = np.clip(table["score"] + noise_of_run, 0, 1)
        made.append(table.assign(run_id=f"run {number}", model=model, seed=seed, score=score))
    return made


def test_page_table_and_json(tables: list[pd.DataFrame], tmp_path: Path) -> None:
    comparison = compare(tables)
    path = write_comparison(comparison, tmp_path, title="A & B", command="covidlit compare x y")
    names = ["comparison.csv", "comparison.html", "comparison.json"]
    assert sorted(file.name for file in tmp_path.iterdir()) == names
    text = path.read_text()
    for figure in (found := re.findall(r"<svg.*?</svg>", text, re.DOTALL)):
        ElementTree.fromstring(figure)
        assert 'role="img" aria-label="' in figure
    assert len(found) == 3
    assert "<C & D>" not in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    assert "src=" not in text
    assert not re.search(r'href="(?!#)', text)
    page = " ".join(re.sub("<[^>]+>", " ", text).split())
    for shown in (
        "SYNTHETIC DATA",
        "A &amp; B",
        "SVM &lt;C &amp; D&gt;",
        "covidlit compare x y",
        "in one family; Holm's method",
        "sensitivity and specificity together, in a family of their own",
        "different numbers of seeds (csacnet 2, SVM &lt;C &amp; D&gt; 1)",
        "They do not say that a single new training",
        "without looking at the test part",
    ):
        assert shown in page, shown
    record = json.loads((tmp_path / "comparison.json").read_text())
    assert record["tests"] == comparison.results["tests"]
    table = pd.read_csv(tmp_path / "comparison.csv")
    assert tuple(table.columns) == COLUMNS
    assert table.groupby("result").size().to_dict() == {
        "difference": 3,
        "difference of one seed": 1,
        "model": 6,
        "seed": 9,
        "spread over seeds": 8,
    }
    row = table[(table["result"] == "difference") & (table["measure"] == "auc")].iloc[0]
    test = comparison.results["tests"][0]
    assert row["value"] == pytest.approx(test["difference"]["value"])
    assert (row["p_value"], row["p_holm"]) == pytest.approx((test["p_value"], test["p_holm"]))
    assert (row["model"], row["minus"], row["n_tests"]) == ("csacnet", "SVM <C & D>", 1)
    missing = table[table["value"].isna()]
    assert missing["measure"].tolist() == ["auc, sd"]
    assert missing["reason"].notna().all()


def test_page_of_one_class_and_of_one_model(tables: list[pd.DataFrame]) -> None:
    negative = [t[(t["part"] == "validation") | (t["target"] == 0)] for t in tables]
    text = render_comparison(compare(negative))
    assert "cannot be compared: no positive scan." in text
    assert "<svg" not in text
    assert "nan" not in re.sub("<[^>]+>", " ", text).lower().split()
    alone = render_comparison(compare(tables[:2]))
    assert "There is one model only" in alone
    assert len(re.findall("<svg", alone)) == 2


def test_a_difference_that_was_shown_is_told_from_the_better_model(
    tables: list[pd.DataFrame],
) -> None:
    results = compare([tables[2], tables[0]]).results
    difference = results["tests"][0]["difference"]
    assert difference["value"] < 0
    assert results["conclusions"][0].startswith(
        "A difference was shown: csacnet has a higher AUC than SVM <C & D> "
        f"({-difference['value']:+.3f}, 95% CI {-difference['high']:+.3f} to "
        f"{-difference['low']:+.3f}; p "
    )


def test_command(tables: list[pd.DataFrame], tmp_path: Path) -> None:
    runs = []
    for number, table in enumerate(tables):
        write_predictions(table, tmp_path / str(number) / "predictions.parquet")
        runs.append(str(tmp_path / str(number)))
    out = tmp_path / "out"
    runs[2] = f"[svm]={runs[2]}"
    done = CliRunner().invoke(app, ["compare", *runs, "--out", str(out), "--confidence", "0.9"])
    assert done.exit_code == 0, done.output
    assert "csacnet has a higher AUC than [svm]" in " ".join(done.output.split())
    assert "90% CI" in (out / "comparison.html").read_text()
    record = json.loads((out / "comparison.json").read_text())
    assert record["command"].startswith("covidlit compare ")
    wrong = tables[2].assign(scan_id=tables[2]["scan_id"].replace({"S179": "X"}))
    write_predictions(wrong, tmp_path / "wrong.csv")
    done = CliRunner().invoke(
        app, ["compare", runs[0], str(tmp_path / "wrong.csv"), "--out", str(tmp_path / "none")]
    )
    assert done.exit_code == 2
    assert "lacks S179" in done.output
    assert not (tmp_path / "none").exists()


def test_folders_without_results_are_skipped_and_named(
    tables: list[pd.DataFrame], tmp_path: Path
) -> None:
    runs = []
    for number, table in enumerate(tables[:2]):
        write_predictions(table, tmp_path / str(number) / "predictions.parquet")
        runs.append(str(tmp_path / str(number)))
    failed = tmp_path / "failed"
    failed.mkdir()
    (failed / "train.log").write_text("started")
    out = tmp_path / "out"
    invoke = CliRunner(env={"COLUMNS": "300"}).invoke
    done = invoke(app, ["compare", runs[0], f"svm={failed}", runs[1], "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert f"1 folder ({failed})" in done.output
    assert f"1 folder ({failed})" in (out / "comparison.html").read_text()
    done = invoke(app, ["paper", str(failed), runs[0], "--out", str(tmp_path / "paper")])
    assert done.exit_code == 0, done.output
    assert f"1 folder ({failed})" in done.output
    assert f"1 folder ({failed})" in (tmp_path / "paper" / "paper.html").read_text()
    for command in (["compare", runs[0], str(failed)], ["paper", str(failed)]):
        done = invoke(app, [*command, "--out", str(tmp_path / "none")])
        assert done.exit_code == 2
        assert f"no predictions.parquet lies in {failed}" in done.output
    assert not (tmp_path / "none").exists()


def test_the_same_run_twice_is_refused(tables: list[pd.DataFrame], tmp_path: Path) -> None:
    table = write_predictions(tables[0], tmp_path / "run" / "predictions.parquet")
    for second in (str(table.parent), str(table), f"again={table.parent}"):
        done = CliRunner(env={"COLUMNS": "300"}).invoke(
            app, ["compare", str(table.parent), second, "--out", str(tmp_path / "none")]
        )
        assert done.exit_code == 2
        assert f"the same run is given twice: {table.parent}" in done.output
