"""The whole evaluation: one JSON-able record, honest at its edges."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from calls import count_calls
from sklearn.metrics import confusion_matrix, roc_auc_score

from covidlit.errors import PredictionsError
from covidlit.evaluation import evaluate

pytestmark = pytest.mark.slow

Predictions = Callable[..., pd.DataFrame]


def _estimates(record: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(record, dict):
        if {"value", "low", "high", "n", "method"} <= record.keys():
            yield path, record
            return
        for key, value in record.items():
            yield from _estimates(value, f"{path}.{key}")
    elif isinstance(record, list):
        for index, value in enumerate(record):
            yield from _estimates(value, f"{path}[{index}]")


def _codes(metrics: dict[str, Any]) -> set[str]:
    return {item["code"] for item in metrics["cautions"]}


def test_every_number_has_its_interval_n_and_method_or_a_reason(predictions: Predictions) -> None:
    metrics = evaluate(predictions(), n_bootstrap=200).to_dict()
    json.dumps(metrics, allow_nan=False)
    found = list(_estimates(metrics))
    assert len(found) > 150
    for path, record in found:
        if record["value"] is None or record["low"] is None:
            assert record["reason"], path
        else:
            assert record["low"] <= record["value"] + 1e-9, path
            assert record["value"] <= record["high"] + 1e-9, path
            assert record["low"] < record["high"], path
            assert record["n"] > 0, path


def test_test_and_validation_are_kept_apart(predictions: Predictions) -> None:
    table = predictions()
    evaluation = evaluate(table, n_bootstrap=100)
    for part in ("test", "validation"):
        rows = table[table["part"] == part]
        wanted = roc_auc_score(rows["target"], rows["score"])
        assert evaluation.estimate("auc", part).value == pytest.approx(wanted)
        assert evaluation.metrics["parts"][part]["n_scans"] == len(rows)
    summary = evaluation.summary().set_index(["part", "measure"])
    assert summary.loc[("test", "auc"), "low"] == evaluation.estimate("auc").low


def test_same_seed_same_numbers(predictions: Predictions) -> None:
    first, again = (evaluate(predictions(), n_bootstrap=100, seed=3).to_dict() for _ in range(2))
    assert json.dumps(first) == json.dumps(again)


def test_several_scans_of_a_patient_switch_every_interval_to_the_patient_bootstrap(
    predictions: Predictions,
) -> None:
    table = predictions()
    table["patient_id"] = table["part"] + table.groupby("part").cumcount().floordiv(3).astype(str)
    metrics = evaluate(table, n_bootstrap=200).to_dict()
    test = metrics["parts"]["test"]
    assert test["n_patients"] == 40
    assert test["auc"]["method"] == "patient bootstrap, percentile"
    for name in ("sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy"):
        assert "patient" in test["at_operating_point"][name]["method"], name
    assert "patient-bootstrap" in test["roc"]["band"]["method"]
    assert "several_scans" in _codes(metrics)


def test_no_interval_ignores_that_patients_have_several_scans(predictions: Predictions) -> None:
    table = predictions()
    single = evaluate(table, n_bootstrap=100).metrics["parts"]["test"]["auc_logit"]
    assert single["method"] == "DeLong, logit-transformed"
    table["patient_id"] = table["part"] + table.groupby("part").cumcount().floordiv(3).astype(str)
    parts = evaluate(table, n_bootstrap=100).to_dict()["parts"]
    logit = parts["test"]["auc_logit"]
    assert (logit["value"], logit["low"], logit["high"]) == (None, None, None)
    assert "one scan per patient" in logit["reason"]
    for part in parts.values():
        part.pop("subgroups")  # a group may hold one scan of each of its patients
    found = list(_estimates(parts))
    assert len(found) > 80
    assert [
        path for path, record in found if record["low"] and "patient" not in record["method"]
    ] == []


def test_refused_scans_are_counted_and_cannot_improve_the_result(predictions: Predictions) -> None:
    table = predictions()
    wrong = table.index[(table["part"] == "test") & ((table["score"] >= 0.5) != table["target"])]
    lost = wrong[:4]
    table.loc[lost, "score"] = np.nan
    table.loc[lost, "status"] = "refused"
    table.loc[lost, "reason"] = ["missing slice", "missing slice", "gantry tilt", "truncated"]
    metrics = evaluate(table, operating_point=0.5, n_bootstrap=100).to_dict()
    full = evaluate(predictions(), operating_point=0.5, n_bootstrap=100)
    test = metrics["parts"]["test"]
    refused = test["refused"]
    assert (refused["n"], refused["n_of"], test["n_scored"]) == (4, 120, 116)
    assert refused["reasons"] == {"missing slice": 2, "gantry tilt": 1, "truncated": 1}
    assert {scan["scan_id"] for scan in refused["scans"]} == set(table.loc[lost, "scan_id"])
    # Leaving out four errors flatters; counting them as errors gives the accuracy back.
    accuracy = full.estimate("accuracy").value
    assert test["at_operating_point"]["accuracy"]["value"] > accuracy
    assert refused["counted_as_errors"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert refused["counted_as_errors"]["auc"]["value"] < full.estimate("auc").value
    assert "refused" in _codes(metrics)


def test_errors_are_listed_worst_first(predictions: Predictions) -> None:
    metrics = evaluate(predictions(), operating_point=0.5, n_bootstrap=100).to_dict()
    rows = metrics["parts"]["test"]["misclassified"]
    margins = [abs(row["score"] - 0.5) for row in rows]
    assert margins == sorted(margins, reverse=True)
    assert all((row["error"] == "missed") == (row["score"] < 0.5) for row in rows)
    counts = metrics["parts"]["test"]["confusion"]
    assert len(rows) == min(20, counts["fn"] + counts["fp"])


def test_a_test_part_of_one_class_is_evaluated_as_far_as_it_goes(predictions: Predictions) -> None:
    table = predictions()
    table = table[(table["part"] == "validation") | (table["target"] == 0)]
    evaluation = evaluate(table, n_bootstrap=100)
    json.dumps(evaluation.to_dict(), allow_nan=False)
    assert evaluation.estimate("auc").reason == "no positive scan"
    assert evaluation.estimate("specificity").value is not None
    assert evaluation.metrics["parts"]["test"]["roc"] is None
    assert "auc_undefined" in _codes(evaluation.metrics)


def test_an_auc_of_zero_is_not_called_undefined(predictions: Predictions) -> None:
    table = predictions()
    table["score"] = np.where(table["target"] == 1, 0.1, 0.9)
    table["patient_id"] = table["part"] + table.groupby("part").cumcount().floordiv(3).astype(str)
    evaluation = evaluate(table, n_bootstrap=100)
    assert evaluation.estimate("auc").value == 0.0
    assert "auc_undefined" not in _codes(evaluation.to_dict())


def test_an_auc_whose_interval_includes_chance_is_cautioned(predictions: Predictions) -> None:
    table = predictions()
    assert "auc_by_chance" not in _codes(evaluate(table, n_bootstrap=100).to_dict())
    table["score"] = np.random.default_rng(0).random(len(table))
    evaluation = evaluate(table, n_bootstrap=100)
    auc = evaluation.estimate("auc")
    assert auc.low is not None
    assert auc.high is not None
    assert auc.low < 0.5 < auc.high
    (said,) = [one for one in evaluation.metrics["cautions"] if one["code"] == "auc_by_chance"]
    assert f"{auc.low:.3f} to {auc.high:.3f}, includes 0.5" in said["text"]


def test_cautions_name_what_is_weak(predictions: Predictions) -> None:
    codes = _codes(evaluate(predictions(), n_bootstrap=100).to_dict())
    assert codes == {"synthetic", "threshold_uncertain", "small_test", "one_centre"}
    real = predictions(n_test=600, n_validation=300).assign(synthetic=False)
    real["centre"] = np.where(np.arange(900) % 2, "1", "2")
    assert _codes(evaluate(real, n_bootstrap=100).to_dict()) == set()


@pytest.mark.parametrize(
    ("centres", "code", "text"),
    [
        ([None, None], "unknown_centre", "The centres of the test scans are unknown"),
        (["3", None], "one_centre", "All test scans with a known centre come from one (3); the"),
        (["3", "3"], "one_centre", "All test scans come from one centre"),
        (["3", "4"], None, ""),
    ],
)
def test_an_unknown_centre_is_not_called_a_centre(
    predictions: Predictions, centres: list[str | None], code: str | None, text: str
) -> None:
    table = predictions()
    table["centre"] = [centres[index % 2] for index in range(len(table))]
    found = {c["code"]: c["text"] for c in evaluate(table, n_bootstrap=100).to_dict()["cautions"]}
    assert {"one_centre", "unknown_centre"} & found.keys() == ({code} if code else set())
    assert found.get(code or "", "").startswith(text)


def test_three_classes(predictions: Predictions) -> None:
    table, rng = predictions(), np.random.default_rng(0)
    names = ["np", "cap", "covid"]
    table["target"] = table["class_name"].map({name: i for i, name in enumerate(names)})
    logits = rng.normal(size=(len(table), 3))
    logits[np.arange(len(table)), table["target"]] += 1.5
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for index, name in enumerate(names):
        table[f"score_{name}"] = share[:, index]
    table["score"] = table["score_covid"]
    metrics = evaluate(table, n_bootstrap=200).to_dict()
    assert metrics["positive_class"] == "covid"
    test = (table["part"] == "test").to_numpy()
    y, p = table["target"].to_numpy()[test], share[test]
    found = metrics["parts"]["test"]["multiclass"]
    assert found["confusion"] == confusion_matrix(y, p.argmax(axis=1)).tolist()
    wanted = roc_auc_score(y, p, multi_class="ovr", average="macro")
    assert found["macro_auc"]["value"] == pytest.approx(wanted)
    assert metrics["parts"]["test"]["auc"] == found["one_vs_rest"]["covid"]
    with pytest.raises(PredictionsError, match="equals none"):
        evaluate(table.assign(score=0.5))
    with pytest.raises(PredictionsError, match="without a score per class"):
        evaluate(table.drop(columns=[f"score_{name}" for name in names]))


def test_folds_are_shown_one_by_one_and_pooled(folds: list[pd.DataFrame]) -> None:
    metrics = evaluate(pd.concat(folds), n_bootstrap=100).to_dict()
    test = metrics["parts"]["test"]
    assert [row["fold"] for row in test["folds"]] == [0, 1, 2]
    assert "folds" in _codes(metrics)
    assert (test["n_scored"], test["n_patients"]) == (360, 360)
    # The same patients in the validation parts of several folds are not counted as new.
    validation = metrics["parts"]["validation"]
    assert (validation["n_scored"], validation["n_patients"]) == (180, 60)
    assert validation["auc"]["method"] == "mean of 3 folds, influence curve"
    assert validation["auc_pooled"]["method"].startswith("patient bootstrap")


def test_what_cannot_be_evaluated_is_refused_by_name(predictions: Predictions) -> None:
    table = predictions()
    with pytest.raises(PredictionsError, match="no test part"):
        evaluate(table[table["part"] == "validation"])
    with pytest.raises(PredictionsError, match=r"confidence: .* did you mean 0.95"):
        evaluate(table, confidence=95)
    with pytest.raises(PredictionsError, match=r"subgroups: .*'sexx'.* did you mean sex"):
        evaluate(table, subgroups=["sexx"], n_bootstrap=100)
    with pytest.raises(PredictionsError, match="2 runs"):
        evaluate(pd.concat([table, table.assign(model="resnet3d")]))
    lost = table["part"] == "test"
    table.loc[lost, ["score", "status", "reason"]] = [np.nan, "refused", "truncated file"]
    with pytest.raises(PredictionsError, match=r"all 120 test scans were refused: truncated file"):
        evaluate(table)


def test_replicates_of_the_papers_size_are_computed_together(predictions: Predictions) -> None:
    """A loop over them would call functions for each, and take minutes."""
    table = predictions(n_test=549, n_validation=150)
    few, many = (count_calls(lambda n=n: evaluate(table, n_bootstrap=n)) for n in (200, 2200))
    assert many - few < 2000


def test_import_does_not_load_torch() -> None:
    code = "import sys, covidlit.evaluation; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        (lambda p: 0.5 + 0 * p, "all 120 scans have the score 0.5, so the AUC of 0.5 comes from"),
        (lambda p: np.where(p < 0.5, 0.0, 1.0), "one of two scores (0 and 1)"),
        (lambda p: 0.4 + p / 200, "all 120 scans have a score from 0.40"),
        (lambda p: np.where(p < 0.6, 0.2, p), "of the 120 scans have the same score, 0.2"),
    ],
    ids=["constant", "two values", "narrow", "mostly one value"],
)
def test_scores_that_do_not_spread_are_cautioned_against(
    predictions: Predictions, scores: Callable[[np.ndarray], np.ndarray], says: str
) -> None:
    table = predictions()
    test = table["part"] == "test"
    table["score"] = np.where(test, scores(table["score"].to_numpy()), table["score"])
    found = evaluate(table, n_bootstrap=100).metrics["cautions"]
    texts = [caution["text"] for caution in found if caution["code"] == "no_spread"]
    assert len(texts) == 1
    assert texts[0].startswith("The scores do not spread: of the test part, ")
    assert says in texts[0]


def test_ordinary_scores_and_few_scans_get_no_caution_about_spread(
    predictions: Predictions,
) -> None:
    table = predictions()
    two = table[table["part"] == "test"].iloc[[0, 3]]
    for case in (table, two):
        assert "no_spread" not in _codes(evaluate(case, n_bootstrap=100).metrics)
