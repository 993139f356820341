"""A cross-validation that is repeated in one run: its folds, its table, its report, going on."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from covidlit.cards import claim_sheet, read_run
from covidlit.cli.app import app
from covidlit.cohort import Split
from covidlit.errors import ConfigError
from covidlit.evaluation import read_predictions
from covidlit.runs import folds_together
from covidlit.runs.stopped import INTERRUPTED, TERMINATED

pytestmark = pytest.mark.slow
Run = Callable[..., Path]
TWICE = ("split.fold=all", "cross_validation.repeats=2")
SMALL = ("trainer.max_epochs=3", "model.task.net.members=2", "model.task.net.hidden=[8]")
KEYS = ["repeat", "fold", "part", "scan_id"]


def scores(folder: Path) -> pd.Series:
    table = read_predictions(folder / "predictions.parquet")
    return table.set_index(KEYS).sort_index()["score"]


@pytest.fixture
def peer(factor_run: Run) -> Path:
    return factor_run("logistic_regression", *TWICE)


def test_each_repeat_is_the_cross_validation_with_its_own_seed(peer: Path, factor_run: Run) -> None:
    table = read_predictions(peer / "predictions.parquet")
    assert set(table["repeat"]) == {0, 1}
    test = table[table["part"] == "test"]
    assert not test.duplicated(["repeat", "scan_id"]).any()
    for repeat in (0, 1):
        alone = factor_run(
            "logistic_regression", "split.fold=all", f"split.seed={repeat}", name=f"seed{repeat}"
        )
        other = read_predictions(alone / "predictions.parquet").set_index(KEYS[1:])["score"]
        own = table[table["repeat"] == repeat].set_index(KEYS[1:])["score"]
        pd.testing.assert_series_equal(own.sort_index(), other.sort_index())
    first, second = (Split.load(peer / f"fold_1_repeat_{r}" / "split.json") for r in (0, 1))
    assert (first.seed, second.seed) == (0, 1)
    assert first.parts != second.parts


def test_one_report_is_written_of_all_repeats(peer: Path) -> None:
    table = read_predictions(peer / "predictions.parquet")
    test = table[table["part"] == "test"]
    metrics = json.loads((peer / "metrics.json").read_text())
    part = metrics["parts"]["test"]
    each = [
        roc_auc_score(rows["target"], rows["score"]) for _, rows in test.groupby(["repeat", "fold"])
    ]
    assert part["auc"]["value"] == pytest.approx(np.mean(each), abs=1e-9)
    assert part["n_scans"] == test["scan_id"].nunique()
    assert metrics["run"]["repeats"] == [0, 1]
    assert "repeats" in {caution["code"] for caution in metrics["cautions"]}
    page = (peer / "report.html").read_text(encoding="utf-8")
    assert "fold 2 of repeat 1, train" in page
    assert "2 repeats" in page
    assert (peer / "importance.csv").is_file()
    cohort = json.loads((peer / "cohort.json").read_text())
    assert [row["part"] for row in cohort["parts"]][-1] == "fold 2 of repeat 1, test"


def test_the_report_and_the_cards_are_made_again(peer: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", str(peer), "--out", str(tmp_path / "again")])
    assert done.exit_code == 0, done.output
    first, second = (
        json.loads((place / "metrics.json").read_text())["parts"]["test"]["auc"]
        for place in (peer, tmp_path / "again")
    )
    assert first == second
    items = {item.number: item for item in claim_sheet(read_run(peer))}
    assert "3 folds, 2 times" in items[20].answer[0]
    assert "Number of models: 6, one per fold and repeat, trained alike." in items[25].answer


def test_runs_with_the_same_repeats_are_compared(
    peer: Path, factor_run: Run, tmp_path: Path
) -> None:
    network = factor_run("fusion_ann", *TWICE, *SMALL)
    out = tmp_path / "comparison"
    done = CliRunner().invoke(app, ["compare", str(network), str(peer), "--out", str(out)])
    assert done.exit_code == 0, done.output
    found = json.loads((out / "comparison.json").read_text())
    assert found["test"]["n_repeats"] == 2
    assert (found["test"]["n_compared"], found["test"]["n_patients"]) == (70, 60)
    assert len(found["by_fold"]) == 6
    assert "corrected resampled t" in (out / "comparison.html").read_text()
    other = factor_run(
        "logistic_regression",
        *TWICE,
        "split.seed=5",
        name="other_folds",
    )
    done = CliRunner().invoke(app, ["compare", f"a={peer}", f"b={other}", "--out", str(out)])
    assert done.exit_code == 2
    assert "the splits differ" in done.output


def test_networks_trained_as_one_are_those_trained_one_by_one(factor_run: Run) -> None:
    together = factor_run("fusion_ann", *TWICE, *SMALL, name="together")
    alone = factor_run(
        "fusion_ann", *TWICE, *SMALL, "cross_validation.together=false", name="alone"
    )
    np.testing.assert_allclose(scores(together), scores(alone), atol=1e-5)


def test_a_stopped_run_keeps_its_finished_folds(peer: Path, factor_run: Run) -> None:
    before = scores(peer)
    for name in ("report.html", "metrics.json", "predictions.parquet"):
        (peer / name).unlink()
    for folder in (peer, peer / "fold_0_repeat_1"):
        (folder / "run.json").write_text(json.dumps({"state": "stopped"}))
    kept = (peer / "fold_2_repeat_0" / "run.json").read_text()
    again = factor_run("logistic_regression", *TWICE)
    pd.testing.assert_series_equal(before, scores(again))
    assert (peer / "fold_2_repeat_0" / "run.json").read_text() == kept
    (peer / "run.json").write_text(json.dumps({"state": "stopped"}))
    with pytest.raises(ConfigError, match=r"folds that are none of this run: fold_0_repeat_0"):
        factor_run("logistic_regression", "split.fold=all", "cross_validation.repeats=1")


def test_folds_side_by_side_give_the_same(peer: Path, factor_run: Run) -> None:
    side = factor_run("logistic_regression", *TWICE, "cross_validation.n_jobs=2", name="side")
    pd.testing.assert_series_equal(scores(peer), scores(side))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)]
)
def test_a_stop_while_folds_are_trained_as_one_is_noted(
    number: signal.Signals,
    code: int,
    factor_run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit, begun = folds_together.fit_together, []

    def stopped_in_the_second_repeat(*args: object, **kwargs: object) -> None:
        begun.append(1)
        if len(begun) == 2:
            os.kill(os.getpid(), number)
        fit(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(folds_together, "fit_together", stopped_in_the_second_repeat)
    # Where tests run in the background, Ctrl-C is ignored from the start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as stop:
            factor_run("fusion_ann", *TWICE, *SMALL)
    finally:
        signal.signal(signal.SIGINT, before)
    assert getattr(stop.value, "exit_code", INTERRUPTED) == code
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    folder = tmp_path / "fusion_ann" / "run"
    assert json.loads((folder / "run.json").read_text())["state"] == "stopped"
    kept = (folder / "fold_1_repeat_0" / "run.json").read_text()
    factor_run("fusion_ann", *TWICE, *SMALL)
    assert json.loads((folder / "run.json").read_text())["state"] == "finished"
    assert (folder / "fold_1_repeat_0" / "run.json").read_text() == kept
    assert set(read_predictions(folder / "predictions.parquet")["repeat"]) == {0, 1}


def test_the_log_says_each_thing_once(factor_run: Run, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        factor_run("fusion_ann", *TWICE, *SMALL)
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    told = Counter(
        kind
        for line in lines
        for kind in ("A training step takes", "Training ended", "Cohort:", "tell nothing", "done (")
        if kind in line
    )
    assert told["A training step takes"] == 1
    assert told["Training ended"] == 0
    assert told["Cohort:"] == 1
    assert told["tell nothing"] <= 1
    assert told["done ("] == 6
    done = [place for place, line in enumerate(lines) if "is done (" in line]
    assert done[2] - done[1] == 1  # nothing between the folds of a repeat
    assert "Fold 2 of repeat 1 is done (6 of 6): validation AUC" in lines[done[-1]]


@pytest.mark.parametrize("repeats", [0, -1, 1.5, "many"])
def test_a_number_of_repeats_is_a_whole_number(repeats: object, factor_run: Run) -> None:
    with pytest.raises(ConfigError, match=r"cross_validation\.repeats"):
        factor_run("logistic_regression", "split.fold=all", f"cross_validation.repeats={repeats}")
