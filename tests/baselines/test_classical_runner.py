"""Classical models behind the runner's contract: fitted, calibrated, searched, scored."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from covidlit.baselines.classifier import build_classifier, build_pipeline, scan_weights
from covidlit.baselines.folds import patient_folds
from covidlit.baselines.runner import ClassicalRunner
from covidlit.baselines.search import TrainingScans, nested_search
from covidlit.datamodules import VolumeDataModule
from covidlit.datamodules.balance import draw_weights
from covidlit.errors import ConfigError, SplitError
from covidlit.runs.lightning_runner import LightningRunner
from covidlit.runs.runner import Runner

pytestmark = pytest.mark.slow

SVC = {"_target_": "sklearn.svm.SVC"}
FOREST = {"_target_": "sklearn.ensemble.RandomForestClassifier", "n_estimators": 15}
LOGISTIC = {"_target_": "sklearn.linear_model.LogisticRegression", "max_iter": 500}
NEIGHBOURS = {"_target_": "sklearn.neighbors.KNeighborsClassifier", "n_neighbors": 3}
SIGMOID = {"method": "sigmoid", "folds": 3}
Make = Callable[..., VolumeDataModule]


def runner(classifier: dict[str, Any], **arguments: Any) -> ClassicalRunner:
    return ClassicalRunner("test", classifier, **arguments)


@pytest.mark.parametrize(
    ("classifier", "calibration"),
    [(SVC, SIGMOID), (SVC, {"method": "isotonic", "folds": 3}), (FOREST, None), (LOGISTIC, None)],
)
def test_a_classifier_learns_and_scores_are_probabilities(
    classifier: dict[str, Any], calibration: Any, make: Make, tmp_path: Path
) -> None:
    data = make()
    made = runner(classifier, calibration=calibration)
    assert isinstance(made, Runner)
    made.fit(data, tmp_path)
    table = made.predict(data, "test")
    assert table["scan_id"].tolist() == data.scans("test")
    assert table["score"].between(0, 1).all()
    assert roc_auc_score(data.dataset_of("test").targets, table["score"]) == 1
    assert len(made.predict(data, "validation")) == len(data.scans("validation"))
    assert (tmp_path / "checkpoints" / "model.skops").is_file()
    assert len(pd.read_csv(tmp_path / "features.csv")) == len(made.features)


def test_only_the_training_part_is_learned_from(
    cohort: pd.DataFrame, make: Make, tmp_path: Path
) -> None:
    turned = cohort.assign(
        target=cohort["target"].where(cohort["split"] == "train", 1 - cohort["target"])
    )
    scores = []
    for name, rows in (("own", cohort), ("turned", turned)):
        made, data = runner(SVC, calibration=SIGMOID), make(rows)
        made.fit(data, tmp_path / name)
        scores.append(made.predict(data, "test")["score"].tolist())
    assert scores[0] == scores[1]


def test_one_score_per_class(cohort: pd.DataFrame, make: Make, tmp_path: Path) -> None:
    classes = ["np", "cap", "covid"]
    rows = cohort.assign(target=cohort["class_name"].map(classes.index))
    data = make(rows, n_classes=3)
    made = runner(SVC, calibration=SIGMOID, classes=classes)
    made.fit(data, tmp_path)
    table = made.predict(data, "test")
    columns = table[[f"score_{name}" for name in classes]]
    assert columns.sum(axis=1).to_numpy() == pytest.approx(1)
    assert table["score"].equals(table["score_covid"])
    assert (columns.to_numpy().argmax(axis=1) == data.dataset_of("test").targets).mean() > 0.7


def test_a_class_without_a_training_scan_gets_probability_0(
    cohort: pd.DataFrame, make: Make, tmp_path: Path
) -> None:
    classes = ["np", "cap", "covid"]
    rows = cohort.assign(target=cohort["class_name"].map(classes.index))
    rows = rows[(rows["split"] != "train") | (rows["class_name"] != "cap")]
    made, data = runner(FOREST, classes=classes), make(rows, n_classes=3)
    made.fit(data, tmp_path)
    table = made.predict(data, "test")
    assert (table["score_cap"] == 0).all()
    assert (table["score_np"] + table["score_covid"]).to_numpy() == pytest.approx(1)


def test_a_missing_class_in_training_is_refused(
    cohort: pd.DataFrame, make: Make, tmp_path: Path
) -> None:
    rows = cohort[(cohort["split"] != "train") | (cohort["target"] == 0)]
    with pytest.raises(SplitError):
        runner(FOREST).fit(make(rows), tmp_path)


def test_features_that_are_missing_or_constant_are_handled() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 4))
    y = (x[:, 0] > 0).astype(int)
    x[:, 1], x[:, 2] = 7.0, np.nan
    x[::5, 3] = np.nan
    fitted = build_pipeline(build_classifier(SVC, 0), scale=True).fit(x, y)
    assert fitted.named_steps["varying"].get_support().tolist() == [True, False, False, True]
    assert np.isfinite(fitted.decision_function(np.full((2, 4), np.nan))).all()


def test_folds_keep_patients_together_and_classes_in_proportion() -> None:
    patients = np.repeat(np.arange(40), 2)
    target = np.repeat((np.arange(40) % 4 == 0).astype(int), 2)
    folds = patient_folds(target, patients, 5, seed=0, where="folds")
    for fit, score in folds:
        assert not set(patients[fit]) & set(patients[score])
        assert target[score].mean() == pytest.approx(0.25)
    assert sorted(np.concatenate([score for _, score in folds])) == list(range(80))
    with pytest.raises(ConfigError, match="target 1 has 10"):
        patient_folds(target, patients, 11, seed=0, where="model.calibration.folds")


def test_calibration_learns_from_scores_of_patients_that_were_held_back(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sklearn.calibration

    seen = []
    original = sklearn.calibration.CalibratedClassifierCV.fit

    def watched(self: Any, x: Any, y: Any, **rest: Any) -> Any:
        seen.append(self.cv)
        return original(self, x, y, **rest)

    monkeypatch.setattr(sklearn.calibration.CalibratedClassifierCV, "fit", watched)
    data, made = make(), runner(SVC, calibration=SIGMOID)
    made.fit(data, tmp_path)
    patients = np.array([scan_id.split("-")[0] for scan_id in data.scans("train")])
    assert len(seen[0]) == 3
    assert all(not set(patients[fit]) & set(patients[score]) for fit, score in seen[0])
    assert made.model is not None
    assert made.model.estimator.cv is None  # which scans were in a fold is not kept


def test_weights_do_what_draws_and_loss_weights_do_for_networks() -> None:
    target = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    centres = np.array(["a", "a", "b", "b", "b", "b", "a", "a"], dtype=object)
    weigh = {"target": target, "centres": centres, "n_classes": 2}
    assert scan_weights(**weigh, balanced=False, class_weights=None) is None
    balanced = scan_weights(**weigh, balanced=False, class_weights="balanced")
    assert balanced == pytest.approx(scan_weights(**weigh, balanced="class", class_weights=None))
    assert balanced is not None
    assert balanced[target == 0].sum() == pytest.approx(balanced[target == 1].sum())
    drawn = draw_weights("centre", target, centres)
    found = scan_weights(**weigh, balanced="centre", class_weights=None)
    assert found == pytest.approx(drawn * len(target))
    given = scan_weights(**weigh, balanced=False, class_weights=[1.0, 3.0])
    assert given is not None
    assert given[-1] == pytest.approx(3 * given[0])
    with pytest.raises(ConfigError, match="2 positive numbers"):
        scan_weights(**weigh, balanced=False, class_weights=[1.0])


def test_weights_reach_the_classifier(cohort: pd.DataFrame, make: Make, tmp_path: Path) -> None:
    """With nothing to tell the classes apart, the score is the classes' share by weight."""
    prior = {"_target_": "sklearn.dummy.DummyClassifier", "strategy": "prior"}
    shares = {}
    for weights in (None, "balanced"):
        made, data = runner(prior, class_weights=weights), make()
        made.fit(data, tmp_path)
        shares[weights] = made.predict(data, "test")["score"].unique()
    assert shares["balanced"] == pytest.approx([0.5])
    assert shares[None] == pytest.approx([make().dataset_of("train").targets.mean()])


def test_a_classifier_that_takes_no_weights_says_so(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made, data = runner(NEIGHBOURS), make(balanced="class")
    with caplog.at_level(logging.WARNING):
        made.fit(data, tmp_path)
    assert "data.balanced has no effect" in caplog.text
    facts = made.training_facts({"data": {"balanced": "class"}})
    assert facts["rows weighted"].startswith("not at all")
    with pytest.raises(ConfigError, match="takes no weights"):
        runner(NEIGHBOURS, class_weights="balanced").fit(data, tmp_path)


def test_the_search_is_nested_and_kept(make: Make, tmp_path: Path) -> None:
    search = {"grid": {"C": [1e-6, 1.0], "kernel": ["linear"]}, "folds": 2, "outer_folds": 2}
    made, data = runner(SVC, calibration=SIGMOID, tune=True, search=search), make()
    assert made.selected_on == "folds of the training part"
    made.fit(data, tmp_path)
    kept = json.loads((tmp_path / "search.json").read_text())
    assert kept["scoring"] == "roc_auc"
    assert [entry["parameters"]["C"] for entry in kept["candidates"]] == [1e-6, 1.0]
    assert len(kept["outer"]) == 2
    assert kept["estimate"] == pytest.approx(np.mean([fold["score"] for fold in kept["outer"]]))
    assert made.model is not None
    svm = made.model.estimator.calibrated_classifiers_[0].estimator.named_steps["classifier"]
    assert svm.get_params()["C"] == kept["chosen"]["C"]
    facts = made.training_facts({"data": {}})
    assert f"C {kept['chosen']['C']}" in facts["settings"]
    assert "of 2 candidates by roc_auc; nested" in facts["parameters"]


def test_nested_estimates_are_not_optimistic_where_there_is_nothing_to_learn() -> None:
    """The best of many candidates looks better than chance in its own folds, and is not."""
    tree = {"_target_": "sklearn.tree.DecisionTreeClassifier", "max_features": 1}
    pipeline = build_pipeline(build_classifier(tree, 0), scale=False)
    settings = {"grid": {"random_state": list(range(10))}, "scoring": "accuracy"}
    settings |= {"folds": 2, "outer_folds": 2}
    inner, outer = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        scans = TrainingScans(rng.normal(size=(60, 5)), np.arange(60) % 2, np.arange(60))
        found = nested_search(pipeline, scans, settings, seed=seed, progress=False)
        inner.append(max(entry["mean"] for entry in found.candidates))
        outer.append(found.estimate)
    assert np.mean(inner) > 0.57
    assert np.mean(outer) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    ("classifier", "calibration", "grid", "scoring"),
    [
        (SVC, SIGMOID, {"C": [1e-6, 1.0]}, "balanced_accuracy"),  # no probabilities of its own
        (FOREST, None, {"max_depth": [1, 3]}, "roc_auc_ovr"),
    ],
)
def test_several_classes_are_searched_by_a_score_that_the_classifier_has(
    classifier: Any, calibration: Any, grid: Any, scoring: str,
    cohort: pd.DataFrame, make: Make, tmp_path: Path,
) -> None:  # fmt: skip
    classes = ["np", "cap", "covid"]
    data = make(
        cohort.assign(target=cohort["class_name"].map(classes.index)), n_classes=len(classes)
    )
    search = {"grid": grid, "folds": 2, "outer_folds": 0}
    made = runner(classifier, calibration=calibration, classes=classes, tune=True, search=search)
    made.fit(data, tmp_path)
    assert made.found is not None
    assert made.found.scoring == scoring
    assert all(0 <= entry["mean"] <= 1 for entry in made.found.candidates)


@pytest.mark.parametrize(("scoring", "n_classes"), [("neg_log_loss", 2), ("f1", 3)])
def test_a_score_that_cannot_be_computed_is_refused(scoring: str, n_classes: int) -> None:
    pipeline = build_pipeline(build_classifier(SVC, 0), scale=True)
    target = np.arange(24) % n_classes
    rng = np.random.default_rng(0)
    scans = TrainingScans(rng.normal(size=(24, 3)), target, np.arange(24))
    settings = {"grid": {"C": [1.0]}, "folds": 2, "scoring": scoring}
    with pytest.raises(ConfigError, match=f"score {scoring} cannot be computed") as refused:
        nested_search(pipeline, scans, settings, seed=0, progress=False)
    assert refused.value.where == "model.search.scoring"


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"grid": {"Cc": [1]}}, "model.search.grid.Cc"),
        ({"grid": {"C": 1}}, "list of values"),
        ({}, "nothing to choose from"),
        ({"grid": {"C": [1]}, "scoring": "roc_auk"}, "did you mean roc_auc"),
        ({"grid": {"C": [1]}, "fold": 2}, "model.search.fold"),
        ({"grid": {"C": [1]}, "folds": 40}, "model.search.folds"),
    ],
)
def test_a_wrong_search_is_refused(search: Any, message: str, make: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        runner(SVC, calibration=SIGMOID, tune=True, search=search).fit(make(), tmp_path)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"_target_": "os.system"}, "must be a classifier of scikit-learn"),
        ({}, "must be a classifier of scikit-learn"),
        ({"_target_": "sklearn.svm.SVR"}, "is no classifier"),
        ({"_target_": "sklearn.svm.svc"}, "has no sklearn.svm.svc"),
        ({"_target_": "sklearn.svn.SVC"}, "has no sklearn.svn.SVC"),
        ({"_target_": "sklearn.svm.SVC", "gama": 1}, "did you mean gamma"),
        ({"_target_": "sklearn.ensemble.VotingClassifier"}, "cannot be built"),
        (
            {"_target_": "sklearn.ensemble.AdaBoostClassifier", "estimator": SVC},
            "must be plain values",
        ),
    ],
)
def test_what_is_no_classifier_is_refused(node: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_classifier(node, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"calibration": None}, "gives no probabilities"),
        ({"calibration": {"method": "platt"}}, "no calibration 'platt'"),
        ({"calibration": {"fold": 3}}, "model.calibration.fold"),
        ({"calibration": SIGMOID, "ckpt_path": "last.ckpt"}, "ckpt_path"),
    ],
)
def test_settings_that_do_not_fit_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        runner(SVC, **arguments)


def test_features_that_the_data_lack_are_named(make: Make) -> None:
    with pytest.raises(ConfigError, match="did you mean histogram"):
        runner(SVC, calibration=SIGMOID, features=["histogramm"]).check(make())


def test_values_that_the_classifier_refuses_are_named(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SVC cannot be fitted: The 'C' parameter"):
        runner({**SVC, "C": -1.0}, calibration=SIGMOID).fit(make(), tmp_path)


def test_the_seed_is_the_classifiers() -> None:
    assert build_classifier(FOREST, 7).get_params()["random_state"] == 7
    assert build_classifier({**FOREST, "random_state": 3}, 7).get_params()["random_state"] == 3
    assert "random_state" not in build_classifier(NEIGHBOURS, 7).get_params()


def test_networks_keep_the_same_contract() -> None:
    node = {"_target_": "covidlit.tasks.VolumeClassification"}
    assert isinstance(LightningRunner("net", task=node, trainer={}), Runner)
