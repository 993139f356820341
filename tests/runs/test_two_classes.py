"""`label_rule=multi_class` with two classes, from training to predictions on new scans."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from covidlit.checkpoints.file import load_checkpoint, read_record, update_record
from covidlit.deploy.predict import predict
from covidlit.errors import CheckpointError
from covidlit.evaluation.predictions import read_predictions

Run = Callable[..., Path]

RULE = ["label_rule=multi_class", "label_rule.classes=[covid,np]", "split=k_fold"]


@pytest.fixture(scope="module")
def network_run(train: Run) -> Path:
    return train(*RULE, "model=csacnet", "model.task.net.width=4")


def check_predictions(run_dir: Path) -> None:
    table = read_predictions(run_dir / "predictions.parquet")
    assert set(table["class_name"]) == {"covid", "np"}
    assert ((table["class_name"] == "covid") == (table["target"] == 1)).all()
    test = table[table["part"] == "test"]
    metrics = json.loads((run_dir / "metrics.json").read_text())
    expected = roc_auc_score(test["class_name"] == "covid", test["score"])
    assert metrics["parts"]["test"]["auc"]["value"] == pytest.approx(expected)
    report = (run_dir / "report.html").read_text()
    assert "A score near 1 means: covid; near 0: np." in report


def test_the_score_is_that_of_covid_whatever_the_order(network_run: Path, tiny_data: Path) -> None:
    check_predictions(network_run)
    checkpoint = network_run / "checkpoints" / "best.ckpt"
    manifest = Path((tiny_data / "manifest_path").read_text())
    scored = predict(checkpoint, manifest)
    update_record(checkpoint, operating_point=float(scored["score"].median()))
    scored = predict(checkpoint, manifest)
    above = scored["score"] >= scored["operating_point"]
    assert scored["predicted_class"].tolist() == np.where(above, "covid", "np").tolist()
    assert 0 < above.sum() < len(scored)
    tested = read_predictions(network_run / "predictions.parquet").set_index("scan_id")["score"]
    found = scored.set_index("scan_id")["score"][tested.index]
    np.testing.assert_allclose(found, tested, atol=1e-6)


def test_a_classical_score_is_that_of_covid(train: Run) -> None:
    run_dir = train(*RULE, "model=random_forest")
    check_predictions(run_dir)
    # Its features tell the synthetic classes apart in training, so a score the wrong way round
    # would show.
    table = read_predictions(run_dir / "predictions.parquet")
    assert roc_auc_score(table["class_name"] == "covid", table["score"]) > 0.7


def test_a_checkpoint_whose_score_is_of_the_other_class_is_refused(network_run: Path) -> None:
    path = network_run / "checkpoints" / "last.ckpt"
    checkpoint = load_checkpoint(path)
    assert read_record(checkpoint, path).classes == ["np", "covid"]
    checkpoint["covidlit"]["record"]["classes"] = ["covid", "np"]
    with pytest.raises(CheckpointError, match=r"probability of np, not of covid.*train it again"):
        read_record(checkpoint, path)
