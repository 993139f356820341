"""Several runs of one command: compared at its end, on the same patients and folds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import covidlit.cli.train
from covidlit.cli.multirun import labels_of, varied_settings

Train = Callable[..., Path]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """The command with -m on 60 patients with two groups of values; gives the multirun's folder."""
    rng, n = np.random.default_rng(2), 60
    severe = np.arange(n) % 2 == 0
    table = pd.DataFrame(
        {
            "patient_id": [f"P{k:03d}" for k in range(n)],
            "date": "2020-02-01",
            "age": rng.integers(30, 90, n),
            "lymphocyte_percent": (25 - 9 * severe + rng.normal(0, 6, n)).clip(1, 60).round(1),
            "platelets_1e9_per_l": rng.uniform(100, 300, n).round(),
            "severity": np.where(severe, "severe", "moderate"),
        }
    )
    table.to_csv(tmp_path / "clinical.csv", index=False)

    def run(*overrides: str, name: str = "multirun") -> Path:
        folder = tmp_path / name
        given = [
            "-m", "data=clinical", f"data.source.path={tmp_path / 'clinical.csv'}",
            "label_rule=severe", "split=k_fold", "split.n_folds=3", "evaluation.n_bootstrap=100",
            "importance=0", f"hydra.sweep.dir={folder}", "hydra/job_logging=none",
            "hydra/hydra_logging=none",
        ]  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["train.py", *given, *overrides])
        covidlit.cli.train.main()
        return folder

    return run


SETS = "model.features=[lymphocyte_percent],[platelets_1e9_per_l],[lymphocyte_percent,age]"


def test_sets_of_features_are_compared_on_identical_folds(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train("model=logistic_regression", SETS, "split.fold=all")
    found = json.loads((folder / "comparison" / "comparison.json").read_text())
    names = ["[lymphocyte_percent]", "[platelets_1e9_per_l]", "[lymphocyte_percent,age]"]
    assert [model["model"] for model in found["models"]] == names
    aucs = [row for row in found["tests"] if row["measure"] == "auc"]
    assert len(aucs) == len(found["over_trainings"]) == 3
    assert all(row["p_holm"] is not None for row in aucs)
    runs = sorted(folder.glob("*_logistic_regression"))
    values = [
        json.loads((run / "metrics.json").read_text())["parts"]["test"]["auc"]["value"]
        for run in runs
    ]
    assert aucs[0]["difference"]["value"] == pytest.approx(values[0] - values[1])
    assert "covidlit compare" in found["command"]
    assert (folder / "comparison" / "comparison.html").is_file()
    # The same command again: what is finished stays, and is compared again.
    before = {run: (run / "run.json").read_text() for run in runs}
    (folder / "comparison" / "comparison.json").unlink()
    train("model=logistic_regression", SETS, "split.fold=all")
    assert {run: (run / "run.json").read_text() for run in runs} == before
    assert (folder / "comparison" / "comparison.json").is_file()


def test_models_and_repeats_are_compared(train: Train) -> None:
    folder = train(
        "model=logistic_regression,best_single", "split.fold=all", "cross_validation.repeats=2"
    )
    found = json.loads((folder / "comparison" / "comparison.json").read_text())
    assert [model["model"] for model in found["models"]] == ["logistic_regression", "best_single"]
    assert found["test"]["n_repeats"] == 2
    assert found["test"]["n_compared"] == 60


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=logistic_regression", "seed=0,1"],
        ["model=logistic_regression", "split.seed=0,1"],
        ["model=logistic_regression,best_single", "comparison=false"],
    ],
    ids=lambda given: given[-1],
)
def test_nothing_is_compared_that_cannot_or_shall_not_be(
    overrides: list[str], train: Train
) -> None:
    folder = train(*overrides)
    assert len(list(folder.glob("*/predictions.parquet"))) == 2
    assert not (folder / "comparison").exists()


def test_runs_of_other_patients_are_kept_and_not_compared(
    train: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train("model=logistic_regression", "seed=0,1", name="first")  # writes the table
    table = pd.read_csv(tmp_path / "clinical.csv")
    table.assign(patient_id="Q" + table["patient_id"]).to_csv(tmp_path / "other.csv", index=False)
    paths = f"data.source.path={tmp_path / 'clinical.csv'},{tmp_path / 'other.csv'}"
    folder = train("model=logistic_regression", paths)
    assert len(list(folder.glob("*/report.html"))) == 2
    assert not (folder / "comparison").exists()
    assert "The runs are not compared: runs: the test scans differ" in caplog.text


def test_labels_are_what_tells_runs_apart() -> None:
    asked = ["model=svm,lightgbm", "model.task.optimizer.lr=0.1,0.01", "seed=1,2", "data=clinical"]
    varied = varied_settings(asked)
    assert varied == ["model", "model.task.optimizer.lr", "seed"]
    runs = [
        {"model": "svm", "model.task.optimizer.lr": "0.1", "seed": "1"},
        {"model": "svm", "model.task.optimizer.lr": "0.1", "seed": "2"},
        {"model": "lightgbm", "model.task.optimizer.lr": "0.01", "seed": "1"},
    ]
    assert labels_of(runs, varied) == ["svm, lr 0.1", "svm, lr 0.1", "lightgbm, lr 0.01"]
    assert labels_of([{"a.x": "1", "b.x": "2"}], ["a.x", "b.x"]) == ["a.x 1, b.x 2"]
    assert labels_of(runs, ["model", "split.seed"]) == []
    assert labels_of(runs, ["seed"]) == ["", "", ""]
