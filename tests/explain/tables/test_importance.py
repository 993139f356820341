"""What models of tables look at: planted features are found, others have an interval around 0."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from covidlit.deploy.tables.fusion import FusionModel
from covidlit.explain.tables.figure import importance_figure
from covidlit.explain.tables.importance import importance_of
from covidlit.explain.tables.permutation import ScoredPart, permutation_importance
from covidlit.explain.tables.shapley import shapley_values
from covidlit.models.fusion_ann.ensemble import FusionEnsemble
from covidlit.models.fusion_ann.fit import fit_preparation
from covidlit.tasks.fusion import Fusion

NAMES = [f"f{k}" for k in range(8)]


def rows(n: int, seed: int) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """f1 tells most, f4 less, the others nothing."""
    rng = np.random.default_rng(seed)
    values = pd.DataFrame(rng.normal(size=(n, len(NAMES))), columns=NAMES)
    logits = 2.5 * values["f1"] - 1.5 * values["f4"]
    return values, (logits + rng.logistic(size=n) > 0).to_numpy(dtype=np.int64)


def known(values: pd.DataFrame) -> NDArray[np.float64]:
    found: NDArray[np.float64] = (2.5 * values["f1"] - 1.5 * values["f4"]).to_numpy()
    return found


def part(n: int, seed: int, scores: Any = known) -> ScoredPart:
    values, target = rows(n, seed)
    return ScoredPart(values, target, np.array([f"P{seed}-{k}" for k in range(n)]), scores)


def test_a_drop_is_the_auc_less_that_of_shuffled_numbers() -> None:
    from sklearn.metrics import roc_auc_score

    own = part(300, 0)
    found = permutation_importance([own], NAMES, n_repeats=200, n_bootstrap=50)
    rng = np.random.default_rng(7)
    lost = []
    for _ in range(200):
        shuffled = own.values.assign(f1=rng.permutation(own.values["f1"].to_numpy()))
        lost.append(roc_auc_score(own.target, known(shuffled)))
    expected = roc_auc_score(own.target, known(own.values)) - np.mean(lost)
    assert found["feature"].tolist()[:2] == ["f1", "f4"]
    assert found["auc_drop"].iloc[0] == pytest.approx(expected, abs=0.01)


def test_what_tells_nothing_has_an_interval_around_0() -> None:
    def noisy(values: pd.DataFrame) -> NDArray[np.float64]:
        return known(values) + 0.3 * values["f6"].to_numpy()

    found = permutation_importance([part(200, k, noisy) for k in range(3)], NAMES)
    found = found.set_index("feature")
    assert (found.loc[["f1", "f4"], "low"] > 0).all()
    assert found.loc["f6", "low"] < 0 < found.loc["f6", "high"]
    assert (found.loc[["f0", "f2"], ["auc_drop", "low", "high"]] == 0).all(axis=None)


def test_rows_of_one_patient_are_drawn_together() -> None:
    own = part(60, 0)
    many = ScoredPart(
        pd.concat([own.values] * 4, ignore_index=True), np.tile(own.target, 4),
        np.tile(own.patients, 4), known,
    )  # fmt: skip
    apart = ScoredPart(many.values, many.target, np.arange(240).astype(str), known)
    widths = [
        (found["high"] - found["low"]).iloc[0]
        for found in (permutation_importance([each], NAMES, n_repeats=20) for each in (many, apart))
    ]
    assert widths[0] > 1.5 * widths[1]


def test_a_part_of_one_class_has_no_importance() -> None:
    own = part(20, 0)
    single = ScoredPart(own.values, np.ones(20, dtype=int), own.patients, known)
    assert permutation_importance([single], NAMES)["auc_drop"].isna().all()
    both = permutation_importance([own, single], NAMES)
    alone = permutation_importance([own], NAMES)
    assert both.set_index("feature").loc["f1", "auc_drop"] == pytest.approx(
        alone.set_index("feature").loc["f1", "auc_drop"]
    )


def trained(attention: bool) -> FusionModel:
    """A network with feature attention on 400 rows."""
    values, target = rows(400, 11)
    preparation = fit_preparation(values.to_numpy(), target, list(range(8)), NAMES)
    hparams = {
        "net": {"_target_": "covidlit.models.FusionANN", "members": 4, "hidden": [8],
                "attention": attention, "seed": 3},
        "preparation": preparation, "columns": NAMES, "calibration_folds": 0,
        "calibration_members": 1,
    }  # fmt: skip
    task = Fusion(hparams)
    numbers = torch.tensor(values.to_numpy(dtype=np.float32))
    wanted = torch.tensor(target).float().expand(4, -1)
    optimizer = torch.optim.AdamW(task.parameters(), lr=0.02, weight_decay=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        functional.binary_cross_entropy_with_logits(task(numbers), wanted).backward()
        optimizer.step()
    record: Any = SimpleNamespace(model="fusion_ann")
    weights = {name: weight.numpy() for name, weight in task.state_dict().items()}
    return FusionModel(FusionEnsemble(hparams, weights), record)


def test_attention_and_permutation_find_the_planted_features(tmp_path: Path) -> None:
    model = trained(attention=True)
    values, target = rows(300, 12)
    data: Any = SimpleNamespace(
        rows_of=lambda part: pd.DataFrame(
            {"target": target, "patient_id": [f"P{k}" for k in range(300)]}
        ),
        features_of=lambda part: values,
        feature_table=lambda groups: pd.DataFrame(
            {"name": NAMES, "group": "g", "description": NAMES, "unit": ""}
        ),
    )
    found = importance_of([model], [data])
    assert found is not None
    assert found.table["feature"].tolist()[:2] == ["f1", "f4"]
    attended = found.table.sort_values("attention", ascending=False)["feature"]
    assert set(attended.iloc[:2]) == {"f1", "f4"}
    assert found.table["attention"].sum() == pytest.approx(1, abs=1e-4)
    assert found.spearman is not None
    assert f"{found.spearman:.2f}" in found.sentence
    others = found.table[~found.table["feature"].isin(["f1", "f4"])]
    assert (others["low"] < 0.01).all()
    assert importance_figure(found).startswith(b"\x89PNG")


def test_contributions_are_exact_for_a_sum_and_complete_for_anything() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 6))
    values[1, 2] = np.nan
    reference = np.zeros(6)
    slopes = np.array([3.0, -2, 0, 1, 0.5, 0])

    def of_sum(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(np.isnan(x), 0.7, slopes * np.sin(x)).sum(axis=1)

    found = shapley_values(of_sum, values, reference, n_pairs=2)
    expected = np.where(np.isnan(values), 0.7, slopes * np.sin(values))
    np.testing.assert_allclose(found, expected, atol=1e-12)

    def of_product(x: NDArray[np.float64]) -> NDArray[np.float64]:
        x = np.nan_to_num(x)
        return x[:, 0] * x[:, 1] * x[:, 3] + np.maximum(x[:, 2], x[:, 4])

    found = shapley_values(of_product, values, reference, n_pairs=1)
    np.testing.assert_allclose(
        found.sum(axis=1), of_product(values) - of_product(reference[None]), atol=1e-12
    )


def test_two_numbers_that_work_together_share() -> None:
    found = shapley_values(lambda x: x[:, 0] * x[:, 1], np.array([[2.0, 3.0]]), np.zeros(2))
    np.testing.assert_allclose(found, [[3.0, 3.0]])


def test_contributions_of_a_network_sum_to_its_log_odds() -> None:
    model = trained(attention=False)
    values, _ = rows(3, 13)
    values.iloc[0, 1] = np.nan
    reference = np.zeros(8)

    def of_rows(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return model.log_odds(pd.DataFrame(x, columns=NAMES))

    found = shapley_values(of_rows, values.to_numpy(), reference)
    scores = model.scores(values)
    odds = np.log(scores / (1 - scores)) - of_rows(reference[None])
    np.testing.assert_allclose(found.sum(axis=1), odds, atol=1e-4)
    assert np.abs(found[1]).argmax() in (1, 4)
