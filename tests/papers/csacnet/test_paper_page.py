"""The page, its files and the command."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from html_page import HtmlPage
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.errors import CovidlitError, PredictionsError
from covidlit.evaluation.compare import compare
from covidlit.files import write_json
from covidlit.papers.csacnet import (
    Galleries,
    paper,
    published,
    read_methods,
    run_rule,
    write_paper,
)

pytestmark = pytest.mark.slow

Cohort = Callable[..., pd.DataFrame]

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)


def test_the_page_is_whole_and_marks_what_is_published_and_synthetic(
    cohort: Cohort, tmp_path: Path
) -> None:
    found = paper({"csacnet <3D>": cohort(), "svm": cohort(1)}, n_bootstrap=100)
    galleries = Galleries(typical=[("a typical scan", PIXEL)], misdiagnosed=[("an error", PIXEL)])
    text = write_paper(found, tmp_path, galleries=galleries, command="a & b").read_text()
    page = HtmlPage(text)
    assert len(page.ids) == len(set(page.ids))
    inside = [link for link in page.links if not link.startswith("data:image/png;base64,")]
    assert all(link.startswith("#") and link[1:] in page.ids for link in inside)
    assert len(page.links) - len(inside) == 2
    figures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(figures) == 3
    for figure in figures:
        ElementTree.fromstring(figure)
        assert "synthetic data" in figure
    assert text.count("SYNTHETIC DATA") == 1
    assert "<3D>" not in text
    assert "No heatmaps were given" not in text
    plain = unescape(text)
    record = published()
    assert "published, another cohort (Yao et al. 2021)" in plain
    for row in (*record.figure2_left.rows, *record.figure2_right.rows):
        assert row.sensitivity in plain
        assert row.specificity in plain
    for rates in (*record.table3.thresholds, *record.table3.readers):
        assert rates.tpr in plain
    assert f"p = {record.figure2_right.difference.p_value}, " in plain
    for remark in record.remarks:
        assert remark in plain


def test_without_heatmaps_the_scans_are_named_and_a_picture_must_be_a_png(
    cohort: Cohort, tmp_path: Path
) -> None:
    found = paper(cohort().assign(synthetic=False), n_bootstrap=100)
    text = write_paper(found, tmp_path).read_text()
    assert text.count("No heatmaps were given to this page") == 2
    assert "synthetic" not in text.lower()
    for scan in found.cases()["scan_id"]:
        assert scan in text
    with pytest.raises(CovidlitError, match="no PNG"):
        write_paper(found, tmp_path, galleries=Galleries(typical=[("x", b"JFIF")]))


def test_the_command_writes_the_page_and_the_tables(cohort: Cohort, tmp_path: Path) -> None:
    cohort().to_parquet(tmp_path / "net.parquet")
    cohort(1).assign(model="svm").to_csv(tmp_path / "svm.csv", index=False)
    out = tmp_path / "out"
    words = ["paper", str(tmp_path / "net.parquet"), f"forest={tmp_path / 'svm.csv'}"]
    done = CliRunner().invoke(app, [*words, "--out", str(out), "--bootstrap", "100"])
    assert done.exit_code == 0, done.output
    assert "Figure 2, left: csacnet" in done.output
    assert "forest" in done.output
    assert {file.name for file in out.iterdir()} == {
        "paper.html", "paper.json", "figure2_left.csv", "figure2_right.csv", "table3.csv",
        "readers.csv", "cases.csv", "published.csv",
    }  # fmt: skip
    written = json.loads((out / "paper.json").read_text())
    assert written["command"].startswith("covidlit paper ")
    left = pd.read_csv(out / "figure2_left.csv")
    first = left[(left["contrast"] == "S1 vs S2 + S3") & (left["measure"] == "auc")].iloc[0]
    assert first["value"] == written["figure2_left"][0]["auc"]["value"]
    assert (first["n"], first["method"]) == (120, "DeLong")
    assert set(pd.read_csv(out / "figure2_right.csv")["method"]) != {"published"}
    assert pd.read_csv(out / "published.csv")["source"].nunique() == 1
    for name in ("figure2_left", "figure2_right", "table3", "readers"):
        assert "Yao" not in (out / f"{name}.csv").read_text()


def test_the_rule_is_that_of_the_runs_own_evaluation(cohort: Cohort, tmp_path: Path) -> None:
    table = tmp_path / "run" / "predictions.parquet"
    table.parent.mkdir()
    cohort().to_parquet(table)
    assert run_rule(table) is None
    metrics = table.with_name("metrics.json")
    write_json(metrics, {"settings": {"operating_point": "sensitivity>=0.9"}})
    words = ["paper", f"net={table.parent}", "--out", str(tmp_path / "out"), "--bootstrap", "100"]
    assert CliRunner().invoke(app, words).exit_code == 0
    written = json.loads((tmp_path / "out" / "paper.json").read_text())
    assert written["settings"]["operating_point"] == "sensitivity>=0.9"
    assert written["figure2_left"][1]["operating_points"][0]["rule"] == "sensitivity>=0.9"
    metrics.write_text("{}")
    with pytest.raises(PredictionsError, match="how the threshold was chosen"):
        run_rule(table.parent)


def test_a_wrong_run_is_one_sentence(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["paper", str(tmp_path / "none.parquet")])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert "none.parquet: there is no such file." in done.stderr


def test_folds_are_pooled_and_seeds_of_other_test_scans_are_methods_of_their_own(
    cohort: Cohort, tmp_path: Path
) -> None:
    paths = []
    for fold in range(2):
        rows = cohort(fold).assign(fold=fold, run_id=f"fold {fold}")
        test = rows["part"] == "test"
        for name in ("scan_id", "patient_id"):
            rows.loc[test, name] = f"F{fold}" + rows.loc[test, name]
        paths.append(tmp_path / f"fold{fold}.parquet")
        rows.to_parquet(paths[-1])
    other = tmp_path / "other" / "predictions.parquet"
    other.parent.mkdir()
    cohort(5).assign(seed=5).to_parquet(other)
    methods = read_methods([*paths, other.parent])
    assert list(methods) == ["csacnet, seed 0", "csacnet, seed 5"]
    found = paper(methods, n_bootstrap=100).results
    assert found["methods"][0]["n_test"] == 240
    assert [point["fold"] for point in found["figure2_left"][1]["operating_points"]] == [0, 1]
    own = methods["csacnet, seed 0"]
    aucs = [
        roc_auc_score(rows["target"], rows["score"])
        for _, rows in own[own["part"] == "test"].groupby("fold")
    ]
    overall = found["figure2_left"][0]["auc"]
    assert overall["value"] == pytest.approx(np.mean(aucs))
    assert overall["method"] == "mean of 2 folds, influence curve"
    for group in found["figure2_right"][0]["groups"].values():
        assert group["auc"]["method"].startswith("mean of 2 folds")
    test = found["figure2_right"][0]["auc_test"]
    assert test["method"] == "mean of 2 folds, influence curve, paired"
    at = found["table3"]["readers"][0]["versus_model"]["at_reader_specificity"]
    assert at["sensitivity"]["reason"] == (
        "the models of different folds have no threshold in common"
    )
    page = write_paper(paper(methods, n_bootstrap=100), tmp_path / "paper").read_text()
    assert "mean of 2 folds" in page
    with pytest.raises(PredictionsError, match="LABEL=RUN"):
        read_methods([other, other])


@pytest.mark.parametrize("same_validation", [True, False])
def test_seeds_of_a_model_are_one_method_with_mean_scores(
    same_validation: bool, cohort: Cohort, tmp_path: Path
) -> None:
    tables = [cohort(seed).assign(seed=seed, run_id=f"run {seed}") for seed in range(3)]
    if not same_validation:
        for seed, table in enumerate(tables):
            gone = (table["part"] == "validation") & (np.arange(len(table)) // 3 % 3 == seed)
            tables[seed] = table[~gone]
    tables[1].loc[tables[1]["scan_id"] == "S100", "score"] = np.nan
    for seed, table in enumerate(tables):
        table.to_parquet(tmp_path / f"{seed}.parquet")
    other = cohort(7).assign(model="svm")
    other.to_parquet(tmp_path / "other.parquet")
    methods = read_methods([*(tmp_path / f"{n}.parquet" for n in (0, 1, 2, "other"))])
    assert list(methods) == ["csacnet, mean of 3 seeds", "svm"]
    found = paper(methods, n_bootstrap=100)
    test = pd.concat([one[(one["part"] == "test") & (one["scan_id"] != "S100")] for one in tables])
    mean = test.groupby("scan_id")[["target", "score"]].mean()
    overall = found.results["figure2_left"][0]
    assert overall["auc"]["value"] == pytest.approx(roc_auc_score(mean["target"], mean["score"]))
    # The thresholds are those of `covidlit compare`, for each contrast.
    expected = compare(tables, n_bootstrap=100).results["models"][0]
    assert overall["operating_points"] == expected["operating_points"]
    assert overall["sensitivity"] == expected["sensitivity"]
    without_cap = [one[one["class_name"] != "cap"] for one in tables]
    s2 = found.results["figure2_left"][1]
    expected = compare(without_cap, n_bootstrap=100).results["models"][0]
    assert s2["operating_points"] == expected["operating_points"]
    method = found.results["methods"][0]
    assert method["refused"] == {"marked ok without a score": 1}
    page = write_paper(found, tmp_path).read_text()
    assert "averaged over 3 seeds (0, 1, 2)" in page
    names = ("sensitivity_test", "auc_test")
    tests = [record[name] for record in found.results["figure2_right"] for name in names]
    assert [one["p_holm"] for one in tests] == pytest.approx(
        multipletests([one["p_value"] for one in tests], method="holm")[1]
    )
