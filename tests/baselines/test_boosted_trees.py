"""LightGBM on small tables, by name, and kept as text that is looked through first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from covidlit.baselines import BoostedTrees, ClassicalModel, load_model
from covidlit.baselines.boosted_text import check_model_text
from covidlit.baselines.classifier import build_classifier, build_pipeline
from covidlit.checkpoints.record import RunRecord
from covidlit.errors import CheckpointError, ConfigError

NODE = {"_target_": "covidlit.baselines.BoostedTrees", "n_estimators": 30}
RECORD = RunRecord.model_validate(
    {
        "config": {},
        "split_hash": "abc",
        "preprocess": {"kind": "factors", "columns": ["a"]},
        "model": "lightgbm",
    }
)


def rows(n: int = 120, classes: int = 2) -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % classes
    x = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    x["b"] += 2 * y
    return x.mask(rng.random(x.shape) < 0.1), y


def test_few_rows_are_learnt_from_where_lightgbm_gives_the_base_rate() -> None:
    x, y = rows(30)
    plain = lightgbm.LGBMClassifier(verbosity=-1).fit(x, y).predict_proba(x)[:, 1]
    assert np.ptp(plain) < 1e-12
    made = BoostedTrees().fit(x, y)
    assert made.min_child_samples_ == 3
    assert roc_auc_score(y, made.predict_proba(x)[:, 1]) > 0.9
    assert BoostedTrees().fit(*rows(500)).min_child_samples_ == 10


def test_no_split_at_all_is_said() -> None:
    with pytest.raises(ValueError, match="no tree finds a split"):
        BoostedTrees().fit(np.ones((20, 2)), np.arange(20) % 2)
    with pytest.raises(ValueError, match="two classes"):
        BoostedTrees().fit(np.ones((20, 2)), np.zeros(20))


def test_columns_are_taken_by_name() -> None:
    x, y = rows()
    made = BoostedTrees(n_estimators=30).fit(x, y)
    assert (made.predict_proba(x[["c", "b", "a"]]) == made.predict_proba(x)).all()
    with pytest.raises(ValueError, match="the table has no b"):
        made.predict_proba(x[["a", "c"]])
    with pytest.raises(ValueError, match="3 features are needed"):
        made.predict_proba(x.to_numpy()[:, :2])
    pipeline = build_pipeline(build_classifier(NODE, 0), scale=False, missing="own")
    model = ClassicalModel(pipeline.fit(x.to_numpy(), y), ("a", "b", "c"), RECORD)
    assert model.scores_of(x[["b", "a", "c"]]) == model.scores_of(x.to_numpy())


@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_lightgbm_and_comes_back_the_same(classes: int, tmp_path: Path) -> None:
    x, y = rows(classes=classes)
    pipeline = build_pipeline(build_classifier(NODE, 3), scale=False, missing="own")
    pipeline.fit(x.to_numpy(), y, classifier__sample_weight=np.where(y == 0, 2.0, 1.0))
    own: Any = pipeline[-1]
    peer = lightgbm.LGBMClassifier(
        n_estimators=30, learning_rate=0.03, num_leaves=5, min_child_samples=10, reg_lambda=5.0,
        subsample=0.8, subsample_freq=1, colsample_bytree=0.5, random_state=3, min_data_in_bin=1,
        deterministic=True, force_row_wise=True, verbosity=-1, n_jobs=1, feature_pre_filter=False,
    ).fit(x.to_numpy(), y, sample_weight=np.where(y == 0, 2.0, 1.0))  # fmt: skip
    assert own.predict_proba(x.to_numpy()) == pytest.approx(peer.predict_proba(x.to_numpy()))
    record = RECORD.model_copy(update={"classes": ["x", "y", "z"] if classes == 3 else []})
    model = ClassicalModel(pipeline, ("a", "b", "c"), record)
    again = load_model(model.save(tmp_path / "model.skops"))
    assert again.scores_of(x.to_numpy()) == model.scores_of(x.to_numpy())
    assert clone(own).get_params() == own.get_params()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tree\n", "", "no text of LightGBM"),
        ("split_feature=1", "split_feature=7", "a feature that is not there|sizes"),
        ("left_child=", "left_child=0 ", "sizes|lengths"),
        ("max_feature_idx=2", "max_feature_idx=9", "max_feature_idx is '9'"),
        ("objective=binary sigmoid:1", "objective=regression", "objective"),
        ("tree_sizes=", "tree_sizes=1 ", "sizes"),
        ("end of trees", "", "no text of LightGBM"),
        ("Tree=0\nnum_leaves=", "Tree=num_leaves=", "first lines|sizes"),
        ("leaf_count=", "leaf_kount=", "KeyError: 'leaf_count'"),
        ("is_linear=0", "is_linear=1", "a kind of tree"),
    ],
)
def test_a_damaged_text_is_refused_before_lightgbm_reads_it(
    old: str, new: str, message: str
) -> None:
    made = BoostedTrees(n_estimators=5).fit(*rows())
    check_model_text(made.text_, 3, 2)
    assert old in made.text_
    made.text_ = made.text_.replace(old, new, 1)
    with pytest.raises(CheckpointError, match=message):
        made.predict_proba(np.zeros((1, 3)))


def test_a_branch_to_nowhere_and_a_circle_are_refused() -> None:
    made = BoostedTrees(n_estimators=1).fit(*rows())
    lines = made.text_.splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line.startswith("left_child="))
    numbers = lines[at].partition("=")[2].split()
    for wrong in ("9", "0"):
        changed = [wrong, *numbers[1:]]
        if len(changed[0]) != len(numbers[0]):
            changed[0] = changed[0].rjust(len(numbers[0]))
        text = "".join([*lines[:at], f"left_child={' '.join(changed)}\n", *lines[at + 1 :]])
        with pytest.raises(CheckpointError, match=r"leads nowhere|sizes"):
            check_model_text(text, 3, 2)


def test_a_wrong_argument_is_said() -> None:
    with pytest.raises(ConfigError, match="LightGBM says"):
        BoostedTrees(num_leaves=1).fit(*rows())
    with pytest.raises(ConfigError, match="did you mean num_leaves"):
        build_classifier({**NODE, "num_leafs": 3}, 0)
