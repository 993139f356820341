"""The single variable that tells most: chosen in the training rows, its ROC curve its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import roc_auc_score

from covidlit.baselines import BestSingle, ClassicalModel, load_model
from covidlit.baselines.classifier import build_pipeline
from covidlit.checkpoints.record import RunRecord
from covidlit.errors import ConfigError

RECORD = RunRecord.model_validate(
    {
        "config": {},
        "split_hash": "abc",
        "preprocess": {"kind": "factors", "columns": ["a"]},
        "model": "best_single",
    }
)


def table(seed: int, n: int = 60) -> tuple[Any, Any]:
    """Column 2 tells most, by low values; column 3 is empty, column 4 constant."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 3 == 0).astype(int)
    x = rng.normal(size=(n, 5))
    x[:, 2] -= 3 * y
    x = x.round(1)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:, 3], x[:, 4] = np.nan, 5.0
    return x, y


@given(st.integers(0, 10_000))
def test_the_variable_is_the_one_with_scikit_learns_largest_auc(seed: int) -> None:
    x, y = table(seed)
    filled = np.where(np.isnan(x), [*np.nanmedian(x[:, :3], axis=0), 0, 0], x)
    aucs = [roc_auc_score(y, column) for column in filled.T]
    best = np.argmax(np.abs(np.array(aucs) - 0.5))
    made = BestSingle().fit(x, y)
    assert made.column_ == best
    assert made.above_ == (aucs[best] > 0.5)
    assert np.nanmax(made.aucs_) == pytest.approx(max(aucs[best], 1 - aucs[best]))
    # The scores rank new rows as the variable does, gaps at the median of the training rows.
    new, truth = table(seed + 1)
    # A median half-way between two values differs from an equal one by rounding alone.
    values = np.where(np.isnan(new[:, best]), made.median_, new[:, best]).round(6)
    expected = roc_auc_score(truth, values if made.above_ else -values)
    assert roc_auc_score(truth, made.predict_proba(new)[:, 1]) == pytest.approx(expected)


def test_it_says_what_it_chose_and_is_kept(tmp_path: Path) -> None:
    x, y = table(0)
    made = BestSingle()
    made.name_features(pd.DataFrame({"name": list("abcde"), "worse": ["high"] * 5}))
    pipeline = build_pipeline(made, scale=False).fit(x, y)
    assert made.sentence().startswith("c alone; low values speak for the positive class")
    assert "the largest AUC of 3 variables" in made.sentence()
    calibrated = CalibratedClassifierCV(pipeline, ensemble=False, cv=3).fit(x, y)
    model = ClassicalModel(calibrated, tuple("abcde"), RECORD)
    again = load_model(model.save(tmp_path / "model.skops"))
    assert again.scores_of(x) == model.scores_of(x)
    defined = BestSingle(direction="definition")
    defined.name_features(pd.DataFrame({"name": list("abcde"), "worse": ["high"] * 5}))
    assert defined.fit(x, y).column_ != 2  # by its definition it tells the wrong way


def test_what_cannot_be_learnt_is_said() -> None:
    x, y = table(0)
    with pytest.raises(ValueError, match="one value in all training rows"):
        BestSingle().fit(x[:, 3:], y)
    with pytest.raises(ValueError, match="two classes"):
        BestSingle().fit(x, np.zeros_like(y))
    with pytest.raises(ConfigError, match="there are more"):
        BestSingle().check_training(np.arange(3), np.arange(3))
    with pytest.raises(ConfigError, match="did you mean learnt"):
        BestSingle(direction="learned").fit(x, y)
    with pytest.raises(ConfigError, match="in their units"):
        build_pipeline(BestSingle(), scale=True)
