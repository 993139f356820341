"""Labels that mean nothing: selection and filling inside the folds leave nothing to find.

AUCs of the folds are averaged, which ranks the scores of one model only. The AUC of all scores
together is known to lie somewhat below one half where there is nothing to learn: the patients that
a fold holds back lie on the other side of the whole's chance pattern than those it learns from.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from covidlit.baselines.classifier import build_classifier, build_pipeline
from covidlit.baselines.folds import patient_folds
from covidlit.baselines.runner import ClassicalRunner
from covidlit.cohort import ByColumn
from covidlit.cohort.feature_ranking import f_values, k_largest
from covidlit.cohort.splits import patient_k_fold
from covidlit.datamodules.tables import ClinicalDataModule
from covidlit.settings.tree import config_dir

pytestmark = pytest.mark.slow
N, N_FEATURES, K_BEST, N_FOLDS = 80, 40, 8, 5
NODE = yaml.safe_load((config_dir() / "model" / "logistic_regression.yaml").read_text())
HOW = {"scale": NODE["scale"], "missing": "median_indicator"}
PATIENTS = np.array([f"P{row:03d}" for row in range(N)])


def values() -> NDArray[np.float64]:
    """Skewed, a tenth of them missing."""
    rng = np.random.default_rng(7)
    found = rng.lognormal(size=(N, N_FEATURES))
    return np.where(rng.random(found.shape) < 0.1, np.nan, found)


def permuted(number: int) -> NDArray[np.int64]:
    return np.random.default_rng(100 + number).permutation(np.arange(N) % 2)


def aucs(
    x: NDArray[np.float64], y: NDArray[np.int64], k_best: int | None, seed: int
) -> list[float]:
    """The mean AUC of the folds, and that of all scores together."""
    classifier = build_classifier(NODE["classifier"], 0)
    pipeline = build_pipeline(classifier, k_best=k_best, **HOW)
    scores, each = np.zeros(N), []
    for fit, held in patient_folds(y, PATIENTS, N_FOLDS, seed=seed, where="folds", scored=True):
        scores[held] = clone(pipeline).fit(x[fit], y[fit]).predict_proba(x[held])[:, 1]
        each.append(roc_auc_score(y[held], scores[held]))
    return [float(np.mean(each)), float(roc_auc_score(y, scores))]


def test_selection_and_filling_inside_the_folds_find_nothing_in_30_permutations() -> None:
    x = values()
    inside = [aucs(x, permuted(number), K_BEST, number) for number in range(30)]
    by_fold, pooled = np.mean(inside, axis=0)
    assert by_fold == pytest.approx(0.5, abs=0.03)
    assert by_fold - 0.05 < pooled < by_fold + 0.01


def test_a_selection_on_all_patients_would_be_seen() -> None:
    found, filled = [], np.where(np.isnan(values()), np.nanmedian(values(), axis=0), values())
    for number in range(10):
        chosen = k_largest(f_values(filled, permuted(number)), K_BEST)
        found.append(aucs(values()[:, chosen], permuted(number), None, number))
    assert np.mean(found, axis=0).min() > 0.6


def test_a_run_selects_in_its_training_part_alone(tmp_path: Path) -> None:
    """The scores of a run's test part are those of the pipeline that saw its training part."""
    names = [f"x{place:02d}_g_per_l" for place in range(N_FEATURES)]
    table = pd.DataFrame(values().round(6), columns=names)
    outcome = np.where(permuted(0), "died", "survived")
    keys = {"patient_id": PATIENTS, "date": "2021-03-04", "outcome": outcome}
    table.assign(**keys).to_csv(tmp_path / "clinical.csv", index=False)
    split = partial(patient_k_fold, n_folds=N_FOLDS, fold=1, seed=0)
    data = ClinicalDataModule(
        tmp_path / "clinical.csv", split, label_rule=ByColumn("outcome", ["died"])
    )
    data.setup()
    runner = ClassicalRunner("test", NODE["classifier"], k_best=K_BEST, features=names, **HOW)
    runner.fit(data, tmp_path)
    parts = {part: data.rows_of(part) for part in ("train", "test")}
    x = {part: data.features_of(part)[names].to_numpy() for part in parts}
    alone = build_pipeline(build_classifier(NODE["classifier"], 0), k_best=K_BEST, **HOW)
    alone.fit(x["train"], parts["train"]["target"].to_numpy(dtype=int))
    expected = alone.predict_proba(x["test"])[:, 1]
    np.testing.assert_allclose(runner.predict(data, "test")["score"], expected)
    told = pd.read_csv(tmp_path / "features.csv").set_index("name")
    assert (told["left_out"] == f"not among the {K_BEST} best").sum() == N_FEATURES - K_BEST
    kept = told.index[told["left_out"].isna()]
    assert told["f_value"].nlargest(K_BEST).index.isin(kept).all()
    said = runner.training_facts({"data": {}})["features selected"]
    assert said.startswith(f"{K_BEST} of {N_FEATURES} by F value: {told['f_value'].idxmax()}")
    assert runner.model is not None
    assert set(runner.model.used_features) == set(kept)
