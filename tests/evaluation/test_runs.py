"""Several runs in one evaluation: the folds of a cross-validation, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.errors import PredictionsError
from covidlit.evaluation import evaluate, read_runs, write_predictions

Predictions = Callable[..., pd.DataFrame]


def pool(*arguments: object) -> tuple[int, str]:
    """Exit code and output of `covidlit evaluate`."""
    done = CliRunner().invoke(app, ["evaluate", "--bootstrap", "100", *map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


def test_folds_of_several_runs_are_pooled(folds: list[pd.DataFrame], tmp_path: Path) -> None:
    runs = [tmp_path / str(table["run_id"].iloc[0]) for table in folds]
    for run, table in zip(runs, folds, strict=True):
        write_predictions(table, run / "predictions.parquet")
    out = tmp_path / "pooled"
    code, output = pool(runs[2], runs[0] / "predictions.parquet", runs[1], "--out", out)
    assert code == 0, output
    assert "0 (0_csacnet), 1 (1_csacnet), 2 (2_csacnet)" in output
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["run"]["run_id"] is None
    assert metrics["run"]["run_ids"] == ["0_csacnet", "1_csacnet", "2_csacnet"]
    assert metrics["run"]["folds"] == [0, 1, 2]
    part = metrics["parts"]["test"]
    assert (part["n_scans"], part["n_patients"]) == (360, 360)
    assert [(row["fold"], row["run_id"]) for row in part["folds"]] == [
        (0, "0_csacnet"), (1, "1_csacnet"), (2, "2_csacnet"),
    ]  # fmt: skip
    rows = pd.concat(folds)
    rows = rows[rows["part"] == "test"]
    pooled = roc_auc_score(rows["target"], rows["score"])
    assert part["auc_pooled"]["value"] == pytest.approx(pooled)
    aucs = [roc_auc_score(fold["target"], fold["score"]) for _, fold in rows.groupby("fold")]
    assert part["auc"]["value"] == pytest.approx(sum(aucs) / 3)
    assert [row["auc"]["value"] for row in part["folds"]] == pytest.approx(aucs)
    (caution,) = (c["text"] for c in metrics["cautions"] if c["code"] == "folds")
    assert caution.startswith("Folds 0, 1, 2 of a cross-validation")
    page = (out / "report.html").read_text()
    record = page[page.index('<section id="record">') :]
    for fold in range(3):
        assert f"<dt>fold {fold}</dt><dd>120 test scans of run {fold}_csacnet</dd>" in record
    assert "of folds 0, 1, 2" in re.search("<footer>.*</footer>", page).group()


def test_one_run_folder_is_its_table(predictions: Predictions, tmp_path: Path) -> None:
    write_predictions(predictions(), tmp_path / "run" / "predictions.parquet")
    table = read_runs([tmp_path / "run"])
    assert evaluate(table, n_bootstrap=100).metrics["run"]["run_id"] == "run"
    code, output = pool(tmp_path)
    assert code == 2
    assert "holds no predictions.parquet" in output


def test_what_is_no_cross_validation_is_not_pooled(folds: list[pd.DataFrame]) -> None:
    first, second, _ = folds
    wrong = {
        r"2 runs \(run_id=0_csacnet, model=csacnet.*model=resnet3d": second.assign(
            model="resnet3d"
        ),
        r"2 runs \(.*seed=7": second.assign(seed=7),
        "fold 0 stands in the runs 0_csacnet and 1_csacnet": second.assign(fold=0),
        r"120 scans in the test parts of several folds, such as F0S060": first.assign(
            fold=1, run_id="1_csacnet"
        ),
        r"120 patients in the test parts of several folds, such as F0P060": second.assign(
            patient_id=first["patient_id"]
        ),
    }
    evaluate(pd.concat([first, second]), n_bootstrap=100)
    for message, table in wrong.items():
        with pytest.raises(PredictionsError, match=message):
            evaluate(pd.concat([first, table]), n_bootstrap=100)
    with pytest.raises(PredictionsError, match="2 runs"):
        evaluate(pd.concat([t.assign(fold=None) for t in (first, second)]), n_bootstrap=100)


@pytest.mark.parametrize("run_id", ["cross-validation", None])
def test_the_folds_of_one_run_share_no_test_scan(
    folds: list[pd.DataFrame], run_id: str | None
) -> None:
    first, second = (table.assign(run_id=run_id) for table in folds[:2])
    evaluate(pd.concat([first, second]), n_bootstrap=100)
    wrong = {
        r"120 scans in the test parts of several folds, such as F0S060": first.assign(fold=1),
        r"120 patients in the test parts of several folds, such as F0P060": second.assign(
            patient_id=first["patient_id"]
        ),
        "some rows have a fold and others have none": second.assign(fold=None),
    }
    for message, table in wrong.items():
        with pytest.raises(PredictionsError, match=message):
            evaluate(pd.concat([first, table]), n_bootstrap=100)


def test_tables_of_other_classes_are_not_pooled(folds: list[pd.DataFrame], tmp_path: Path) -> None:
    other = folds[1].assign(score_np=0.2, score_cap=0.3, score_covid=folds[1]["score"])
    paths = [
        write_predictions(table, tmp_path / f"{number}.csv")
        for number, table in enumerate((folds[0], other))
    ]
    with pytest.raises(PredictionsError, match=r"1.csv: its classes are not those of .*0.csv"):
        read_runs(paths)
