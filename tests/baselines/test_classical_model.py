"""Kept models: loaded back with their record, and refused where they are not to be trusted."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.utils import all_estimators

from covidlit.baselines import load_model
from covidlit.baselines.classifier import build_pipeline
from covidlit.baselines.model import MODEL_FORMAT, ClassicalModel
from covidlit.baselines.runner import ClassicalRunner
from covidlit.checkpoints.record import GeometryRecord, PreprocessRecord, RunRecord
from covidlit.errors import CheckpointError
from covidlit.preprocess.features.catalogue import FEATURE_FORMAT, FEATURE_NAMES

RECORD = RunRecord(
    config={"seed": 3},
    split_hash="abc",
    preprocess=PreprocessRecord(
        geometry=GeometryRecord(spacing=(12, 12, 12), size=(10, 24, 32)), window=(-1000, 400)
    ),
    model="svm",
)
ALONE = {
    name: made
    for name, made in all_estimators(type_filter="classifier")
    if name not in ("CategoricalNB", "ComplementNB", "MultinomialNB")  # features are not counts
}

SHORT = {
    "HistGradientBoostingClassifier": {"max_iter": 5},
    "LogisticRegressionCV": {"Cs": 2, "cv": 2},
}
"""Arguments that make one quick."""


@pytest.fixture(scope="module")
def learned() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, len(FEATURE_NAMES)))
    return x[:, :6], (x[:, 0] + 0.3 * rng.normal(size=40) > 0).astype(int)


def test_a_kept_model_scores_as_the_run_did(make: Callable[..., Any], tmp_path: Path) -> None:
    data = make()
    node = {"_target_": "sklearn.svm.SVC"}
    runner = ClassicalRunner("svm", node, calibration={"folds": 3})
    runner.fit(data, tmp_path)
    runner.keep(operating_point=0.41)
    model = load_model(tmp_path / "checkpoints" / "model.skops")
    assert model.record.operating_point == 0.41
    assert model.record.split_hash == data.split.hash
    assert model.record.preprocess.geometry.size == data.geometry.size
    dataset = data.dataset_of("test")
    hu = np.stack([np.load(dataset.cache.array_path(key.decode())) for key in dataset.keys])
    assert model.scores(hu) == pytest.approx(runner.predict(data, "test")["score"].tolist())
    assert model.scores(hu[:0]) == []


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:Stochastic Optimizer")
@pytest.mark.parametrize("name", sorted(ALONE))
def test_every_classifier_that_stands_alone_comes_back_the_same(
    name: str, learned: tuple[Any, Any], tmp_path: Path
) -> None:
    try:
        classifier: ClassifierMixin = ALONE[name]()
    except TypeError:
        pytest.skip("it needs another estimator")
    short = {"n_estimators": 5} if "n_estimators" in classifier.get_params() else {}
    classifier.set_params(**SHORT.get(name, short))
    pipeline: Any = build_pipeline(classifier, scale=True)
    x, y = learned
    if not hasattr(pipeline, "predict_proba"):
        if name == "SelfTrainingClassifier":
            pytest.skip("it needs another estimator")
        pipeline = CalibratedClassifierCV(pipeline, ensemble=False, cv=2)
    model = ClassicalModel(pipeline.fit(x, y), FEATURE_NAMES[:6], RECORD)
    again = load_model(model.save(tmp_path / "model.skops"))
    assert again.record == RECORD
    assert again.scores_of(x) == model.scores_of(x)


class Foreign:
    """What a model has no use for."""

    value = 1


def content(**changes: Any) -> dict[str, Any]:
    whole = {
        "format": MODEL_FORMAT, "feature_format": FEATURE_FORMAT, "features": ["lung_mean"],
        "record": RECORD.model_dump_json(), "versions": {},
        "estimator": build_pipeline(ALONE["GaussianNB"](), scale=True).fit([[0.0], [1.0]], [0, 1]),
    }  # fmt: skip
    return whole | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"estimator": Foreign()}, r"untrusted: it holds .*Foreign"),
        ({"versions": print}, r"untrusted: it holds .*print"),
        ({"format": 0}, "has format 0"),
        ({"feature_format": 99}, "features of format 99"),
        ({"features": ["lung_means"]}, "its list of features"),
        ({"record": "{}"}, "its record of the run is incomplete"),
        ({"estimator": 3}, "its estimator"),
    ],
)
def test_files_that_are_not_a_whole_model_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.skops"
    skops.io.dump(content(**changes), path)
    with pytest.raises(CheckpointError, match=message):
        load_model(path)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    with pytest.raises(CheckpointError, match="no such file"):
        load_model(path)
    skops.io.dump(content(), path)
    whole = path.read_bytes()
    with pytest.raises(CheckpointError, match=r"choose one of model\.skops"):
        load_model(tmp_path)
    for text in (b"", b"nonsense", whole[: len(whole) // 2]):
        path.write_bytes(text)
        with pytest.raises(CheckpointError, match="truncated or not a model"):
            load_model(path)
    with zipfile.ZipFile(path, "w") as other:
        other.writestr("readme.txt", "no model")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_model(path)


def test_a_model_that_could_not_be_loaded_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    with pytest.raises(CheckpointError, match="Foreign"):
        ClassicalModel(Foreign(), ("lung_mean",), RECORD).save(path)
    assert not list(tmp_path.iterdir())
