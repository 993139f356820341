"""Runs on factors: thresholds and other classical models on the same patients, end to end."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import factor_cohort
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import recall_score
from typer.testing import CliRunner

from covidlit.baselines import load_model
from covidlit.cli.app import app
from covidlit.cohort.factor_limits import FACTORS
from covidlit.deploy.tables.model import load_table_model
from covidlit.deploy.tables.predict_rows import predict_rows
from covidlit.errors import ConfigError
from covidlit.evaluation.predictions import read_predictions
from covidlit.tables import read_table, write_table

Run = Callable[..., Path]


@pytest.fixture
def run(factor_run: Run) -> Run:
    """Trains on a cohort of factors; see conftest.py."""
    return factor_run


def test_a_run_leaves_thresholds_with_units_intervals_and_the_papers_figures(run: Run) -> None:
    folder = run("factor_thresholds", "cards=true")
    table = pd.read_csv(folder / "thresholds.csv")
    assert sorted(table["factor"]) == sorted(FACTORS)
    known = table[table["threshold"].notna()]
    assert known["rank"].tolist() == list(range(1, len(known) + 1))
    assert known["youden"].is_monotonic_decreasing
    assert (known["low"] <= known["high"]).all()
    assert table.loc[table["factor"] == "volume_change_ml", "threshold"].isna().all()
    assert not table.loc[table["threshold"].isna(), "decides"].any()
    model = load_model(folder / "checkpoints" / "model.skops")
    assert model.record.preprocess.kind == "factors"
    own: Any = model.estimator[-1]
    deciding = [model.features[column] for column in own.factors_]
    assert table.loc[table["decides"], "factor"].tolist() == deciding
    listed = pd.read_csv(folder / "features.csv").set_index("name")
    assert listed.loc["form", "nothing_found"] == 1.0
    page = (folder / "report.html").read_text()
    for said in (
        "Thresholds learnt on the training part", own.sentence(), "86%", "85%", "96%",
        "other patients", "this run, test part, at a score of 0.5", "SYNTHETIC DATA",
    ):  # fmt: skip
        assert said in page
    assert "no image" not in page  # there are none to compare
    assert "No patient stands in two parts" in page
    unit = table.loc[table["decides"], "unit"].iloc[0]
    assert unit == "1" or f" {unit}</td>" in page
    record = json.loads((folder / "cohort.json").read_text())
    assert record["n_scans"] == 70
    assert "checks" not in record
    claim = " ".join((folder / "claim.csv").read_text().split())
    assert "Predictor: the factors of the lesions" in claim
    assert "never beyond its threshold" in claim
    assert "CT volume" not in claim


def test_the_rule_as_it_was_learnt_is_the_score_of_one_half(run: Run) -> None:
    folder = run("factor_thresholds", "evaluation.operating_point=0.5")
    predictions = read_predictions(folder / "predictions.parquet")
    assert not set(FACTORS) & set(predictions)
    model = load_model(folder / "checkpoints" / "model.skops")
    test = predictions[predictions["part"] == "test"]
    measured = pd.read_parquet(folder.parent / "quantified" / "factors.parquet")
    rows = measured.set_index("scan_id").loc[test["scan_id"], list(FACTORS)].astype(float)
    with_lesions = (rows["n_lesions"] > 0).to_numpy()
    called = model.estimator.predict(rows.to_numpy())  # undefined factors are not beyond
    scores = test["score"].to_numpy(float)
    assert ((scores >= 0.5) == called)[with_lesions].all()
    assert not (scores >= 0.5)[~with_lesions].any()
    metrics = json.loads((folder / "metrics.json").read_text())["parts"]["test"]
    target = test["target"].to_numpy(int)
    expected = recall_score(target, scores >= 0.5)
    assert metrics["at_operating_point"]["sensitivity"]["value"] == pytest.approx(expected)


def test_thresholds_do_not_change_with_the_test_part(run: Run) -> None:
    first = run("factor_thresholds", name="first")
    measured = factor_cohort.factors(factor_cohort.manifest())
    predictions = read_predictions(first / "predictions.parquet")
    tested = measured["scan_id"].isin(predictions.loc[predictions["part"] == "test", "scan_id"])
    others = predictions.loc[predictions["part"] == "validation", "scan_id"]
    rng = np.random.default_rng(1)
    for rows in (tested, measured["scan_id"].isin(others)):
        order = rng.permutation(np.flatnonzero(rows))
        columns = [*FACTORS, "density_sd_hu"]
        measured.loc[rows, columns] = measured.iloc[order][columns].to_numpy()
    measured.loc[tested & measured["n_lesions"].gt(0), "total_volume_ml"] *= 10
    second = run("factor_thresholds", measured=measured, name="second")
    same = [(folder / "thresholds.csv").read_text() for folder in (first, second)]
    assert same[0] == same[1]
    again = read_predictions(second / "predictions.parquet")
    assert again["score"].tolist() != predictions["score"].tolist()


def test_models_on_the_same_patients_are_compared(run: Run, tmp_path: Path) -> None:
    folds = ["split.fold=all"]
    thresholds = run("factor_thresholds", *folds, "model.classifier.n_bootstrap=20")
    svm = run("svm", *folds)
    tables = [read_predictions(folder / "predictions.parquet") for folder in (thresholds, svm)]
    assert tables[0]["scan_id"].tolist() == tables[1]["scan_id"].tolist()
    assert tables[0]["part"].tolist() == tables[1]["part"].tolist()
    assert sorted(path.parent.name for path in thresholds.glob("fold_*/thresholds.csv")) == [
        "fold_0", "fold_1", "fold_2",
    ]  # fmt: skip
    page = (thresholds / "report.html").read_text()
    assert "Of each fold the factors that decide." in page
    out = tmp_path / "compared"
    done = CliRunner().invoke(app, ["compare", str(thresholds), str(svm), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert (out / "comparison.html").is_file()
    sev = tmp_path / "severity"
    words = ["paper", str(thresholds), str(svm), "--paper", "severity", "--out", str(sev)]
    done = CliRunner().invoke(app, [*words, "--bootstrap", "100"])
    assert done.exit_code == 0, done.output
    table = pd.read_csv(sev / "detection.csv")
    printed = table[table["model"].str.startswith("published, other patients")]
    assert printed["as_published"].tolist() == ["86%", "85%"]
    assert printed["value"].isna().all()
    metrics = json.loads((svm / "metrics.json").read_text())["parts"]["test"]
    own = table[(table["model"] == "svm") & (table["at"] == "operating point")]
    sensitivity = own.loc[own["measure"] == "sensitivity", "value"].item()
    assert sensitivity == metrics["at_operating_point"]["sensitivity"]["value"]
    page = (sev / "severity.html").read_text()
    assert "96%" in page
    assert "SYNTHETIC DATA" in page
    # Made again from the files of the folder, the report says the same of the thresholds.
    again = tmp_path / "again"
    done = CliRunner().invoke(app, ["evaluate", str(thresholds), "--out", str(again)])
    assert done.exit_code == 0, done.output
    page = (again / "report.html").read_text()
    assert "Of each fold the factors that decide." in page
    assert "published, other patients" in page


def test_other_models_and_settings_learn_from_factors(run: Run) -> None:
    forest = run("random_forest", "model.features=[total_volume_ml,form]")
    features = pd.read_csv(forest / "features.csv")["name"].tolist()
    assert features == ["total_volume_ml", "form"]
    calibrated = run(
        "factor_thresholds", "model.calibration={method: sigmoid, folds: 3}",
        "model.classifier.rule=best", "model.published=null", name="calibrated",
    )  # fmt: skip
    assert pd.read_csv(calibrated / "thresholds.csv")["decides"].sum() == 1
    assert "86%" not in (calibrated / "report.html").read_text()
    tuned = run(
        "factor_thresholds", "model.tune=true", "model.search.grid={rule: [best, any]}",
        "model.classifier.folds=3", name="tuned",
    )  # fmt: skip
    assert json.loads((tuned / "search.json").read_text())["chosen"]["rule"] in ("best", "any")


def test_scans_without_factors_keep_their_row_with_the_reason(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    scans = factor_cohort.manifest()
    with caplog.at_level(logging.INFO):
        folder = run("factor_thresholds", measured=factor_cohort.factors(scans).iloc[::2])
    predictions = read_predictions(folder / "predictions.parquet")
    refused = predictions[predictions["status"] == "refused"]
    assert len(refused)
    assert refused["score"].isna().all()
    assert refused["reason"].str.startswith("no factors:").all()
    assert "35 of 70 scans of the manifest have no factors." in caplog.text
    assert "prepared.csv" not in caplog.text


@pytest.mark.parametrize(
    ("model", "override", "message"),
    [
        ("csacnet", "seed=0", "learns from input of the kind 'volume'.*'factors'"),
        ("factor_thresholds", "model.published=severity_detektion", "did you mean severity_det"),
        ("factor_thresholds", "model.class_weights=balanced", "takes no weights"),
        ("factor_thresholds", "model.classifier.folds=30", "30 folds need as many patients"),
        ("factor_thresholds", "model.classifier.rule=most", "no rule 'most'"),
        ("factor_thresholds", "label_rule=multi_class", "two classes"),
        ("factor_thresholds", "model.features=[volume]", "no feature or group of features"),
        ("factor_thresholds", "+data.colums=[form]", "did you mean columns"),
    ],
)
def test_what_cannot_be_learnt_is_said_before_the_training(
    model: str, override: str, message: str, run: Run, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(model, override)
    assert not list(tmp_path.glob("*/run/checkpoints/*"))


def test_factors_as_csv_and_the_configuration_of_a_run(run: Run, tmp_path: Path) -> None:
    folder = run("factor_thresholds", "split.fold=1", name="parquet")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["data"]["_target_"] == "covidlit.datamodules.tables.FactorDataModule"
    csv = tmp_path / "factors.csv"
    write_table(factor_cohort.factors(factor_cohort.manifest()), csv)
    other = run("factor_thresholds", "split.fold=1", f"data.factors={csv}", name="csv")
    scores = [read_predictions(f / "predictions.parquet")["score"] for f in (folder, other)]
    assert scores[0].tolist() == pytest.approx(scores[1].tolist())


PEERS = ["logistic_regression", "lightgbm", "best_single", "svm", "random_forest"]
FEW = {"lightgbm": ["model.classifier.n_estimators=20"]}


@pytest.mark.parametrize("model", PEERS)
def test_every_peer_learns_from_tables_with_an_empty_column_by_name(
    model: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        folder = run(model, "model.features=paper15", *FEW.get(model, []))
    features = pd.read_csv(folder / "features.csv").set_index("name")
    assert features.loc["volume_change_ml", "left_out"] == "missing throughout"
    assert len(features) == 8  # of the fifteen, those of lesions
    assert "paper15 the data lack neutrophil_percent, lymphocyte_percent" in caplog.text
    assert "tell nothing in the training part: volume_change_ml (missing throu" in caplog.text
    kept = load_model(folder / "checkpoints" / "model.skops")
    assert "volume_change_ml" in kept.features
    metrics = json.loads((folder / "metrics.json").read_text())["parts"]["test"]
    assert metrics["auc"]["value"] > 0.7
    page = (folder / "report.html").read_text()
    assert "volume_change_ml (missing throughout)" in page
    if model == "best_single":
        said = (
            r"<dt>rule</dt><dd>\w+ alone; (high|low) values speak for the positive class \(the la"
        )
        assert re.search(said, page)


def test_what_differs_between_folds_is_told_of_each_and_the_rest_once(run: Run) -> None:
    tuned = ["model.tune=true", "model.search.grid.C=[0.1,1.0]", "model.search.outer_folds=2"]
    folder = run(
        "logistic_regression", "split.fold=all", "model.features=[mean_density_hu]", *tuned
    )
    page = (folder / "report.html").read_text()
    said = re.search(r"<dt>parameters</dt><dd>(.*?)</dd>", page)
    assert said is not None
    assert len(re.findall(r"folds? [0-9, ]+: C ", said[1])) >= 2  # nested estimates differ
    assert "<dt>augmentation</dt><dd>none</dd>" in page


@pytest.mark.parametrize("model", ["logistic_regression", "lightgbm"])
def test_peers_are_tuned_by_their_grids(model: str, run: Run) -> None:
    short = {
        "logistic_regression": "model.search.grid.C=[0.1,1.0]",
        "lightgbm": "model.search.grid={num_leaves: [3, 5], n_estimators: [10]}",
    }
    folder = run(model, "model.tune=true", short[model], "model.search.outer_folds=2")
    assert json.loads((folder / "search.json").read_text())["estimate"] > 0.7


def test_a_selection_is_made_in_every_fold_told_and_all_that_is_asked_of_new_rows(
    run: Run, tmp_path: Path
) -> None:
    tuned = ["model.tune=true", "model.search.grid={C: [1.0, 10.0], gamma: [scale]}"]
    folder = run("svm", "split.fold=all", "model.k_best=3", "model.search.outer_folds=0", *tuned)
    page, kept = (folder / "report.html").read_text(), {}
    for fold in range(3):
        told = pd.read_csv(folder / f"fold_{fold}" / "features.csv").set_index("name")
        kept[fold] = told.index[told["left_out"].isna()].tolist()
        assert len(kept[fold]) == 3
        assert told["f_value"].nlargest(3).index.isin(kept[fold]).all()
    assert "<dt>features selected</dt>" in page
    assert "3 of 10 by F value" in page
    model = load_table_model(folder / "fold_0" / "checkpoints" / "model.skops")
    assert sorted(model.features) == sorted(kept[0])
    measured = read_table(next(folder.parent.rglob("factors.*")), ValueError)
    few = measured.dropna(subset=kept[0])[["patient_id", "scan_id", *kept[0]]].head(5)
    few.to_csv(tmp_path / "few.csv", index=False)
    found = predict_rows(model, tmp_path / "few.csv").table
    assert (found["n_missing"] == 0).all()  # what was not selected is not missed
    assert found["score"].between(0, 1).all()


def test_presets_are_taken_as_far_as_they_are_there(run: Run, tmp_path: Path) -> None:
    names = pd.read_csv(run("svm", "model.features=all28") / "features.csv")["name"].tolist()
    assert names == list(FACTORS)
    with pytest.raises(ConfigError, match="none of the 17 features of 'clinical'"):
        run("svm", "model.features=clinical", name="clinical")
    with pytest.raises(ConfigError, match="did you mean paper15"):
        run("svm", "model.features=paper_15", name="misspelt")


@pytest.mark.parametrize("missing", ["median_indicator", "iterative"])
def test_other_ways_with_missing_values_run_and_are_told(missing: str, run: Run) -> None:
    folder = run("logistic_regression", f"model.missing={missing}", "model.scale=true")
    assert f"<dt>missing values</dt><dd>{missing}</dd>" in (folder / "report.html").read_text()


def test_a_run_judges_at_the_threshold_of_least_cost(run: Run) -> None:
    point = {}
    for cost in ("100:1", "1:100"):
        rule = f"evaluation.operating_point=cost:{cost}@0.3"
        folder = run("logistic_regression", "model.features=[mean_density_hu]", rule, name=cost[:3])
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["operating_points"][0]["rule"] == f"cost:{cost}@0.3"
        point[cost] = metrics["operating_points"][0]["threshold"]
        assert "the least expected cost" in (folder / "report.html").read_text()
    assert point["100:1"] < point["1:100"]
