"""AUC of a cross-validation against published formulas, and its coverage by simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special, stats
from sklearn.metrics import roc_auc_score

from covidlit.evaluation import evaluate
from covidlit.evaluation.auc import auc_estimate, sampled_auc
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.cross_validation import fold_aucs, mean_auc_difference
from covidlit.evaluation.delong import delong_covariance
from covidlit.evaluation.paired import auc_difference
from covidlit.evaluation.unpaired import auc_difference_common_negatives

Scans = tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.int64]]


def draw(rng: np.random.Generator, sizes: list[tuple[int, int]]) -> Scans:
    """Targets, scores on a scale of each fold's own, and folds; m positive of m + n scans each."""
    target = np.concatenate([np.arange(m + n) < m for m, n in sizes])
    fold = np.repeat(np.arange(len(sizes)), [m + n for m, n in sizes])
    scale = np.exp(rng.normal(size=len(sizes)))[fold]
    return target, scale * (rng.normal(size=len(target)) + 1.2 * target) + 3 * scale, fold


def kernel(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> NDArray[np.float64]:
    """1, 1/2 or 0 for each pair of a positive and a negative scan."""
    a, b = positive[:, None], negative[None, :]
    return (a > b) + 0.5 * (a == b)


def test_the_variance_is_that_of_ledell_et_al_with_n_minus_1() -> None:
    sizes = [(20, 30)] * 4
    target, score, fold = draw(np.random.default_rng(0), sizes)
    # Equation of section 4.2: mean over folds of the mean square of the influence curve, over n.
    squares = {True: 0.0, False: 0.0}
    for number in range(4):
        rows = fold == number
        pairs = kernel(score[rows & target], score[rows & ~target])
        auc, share = pairs.mean(), 20 / 50
        curve = {
            True: (pairs.mean(axis=1) - auc) / share,
            False: (pairs.mean(axis=0) - auc) / (1 - share),
        }
        for kind, values in curve.items():
            squares[kind] += (values**2).sum() / rows.sum() / 4
    published = (squares[True] + squares[False]) / len(target)
    found = fold_aucs(target, score, Sampling(np.arange(len(target)), fold=fold))
    unbiased = (squares[True] * 20 / 19 + squares[False] * 30 / 29) / len(target)
    assert found.variance == pytest.approx(unbiased)
    assert published < found.variance < 1.06 * published


def test_with_one_scan_per_patient_it_is_the_mean_of_independent_aucs() -> None:
    sizes = [(12, 30), (25, 14), (6, 50)]
    target, score, fold = draw(np.random.default_rng(1), sizes)
    found = fold_aucs(target, score, Sampling(np.arange(len(target)), fold=fold))
    parts = [delong_covariance(target[fold == v], score[fold == v]) for v in range(3)]
    aucs = [roc_auc_score(target[fold == v], score[fold == v]) for v in range(3)]
    assert list(found.aucs.values()) == pytest.approx(aucs)
    assert found.mean == pytest.approx(np.mean(aucs))
    assert found.variance == pytest.approx(sum(float(c[0, 0]) for _, c in parts) / 9)


@pytest.mark.parametrize("mixed", [False, True])
def test_with_several_scans_per_patient_it_is_obuchowskis(mixed: bool) -> None:
    rng = np.random.default_rng(2)
    patient = np.repeat(np.arange(120), 3)
    target = patient % 3 == 0 if not mixed else rng.random(360) < 0.4
    fold = patient // 60
    score = rng.normal(size=120)[patient] + 0.5 * rng.normal(size=360) + target
    expected = 0.0
    for number in range(2):
        rows = fold == number
        positive, negative = rows & target, rows & ~target
        pairs = kernel(score[positive], score[negative])
        m, n = pairs.shape
        auc = pairs.mean()
        above, below = pairs.mean(axis=1) - auc, pairs.mean(axis=0) - auc
        people = np.unique(patient[rows])
        x = np.array([above[patient[positive] == p].sum() for p in people])
        y = np.array([below[patient[negative] == p].sum() for p in people])
        with_x, with_y = len(set(patient[positive])), len(set(patient[negative]))
        s10 = with_x / ((with_x - 1) * m) * (x**2).sum()
        s01 = with_y / ((with_y - 1) * n) * (y**2).sum()
        s11 = len(people) / (len(people) - 1) * (x * y).sum()
        expected += (s10 / m + s01 / n + 2 * s11 / (m * n)) / 4
    found = fold_aucs(target, score, Sampling(patient, fold=fold))
    assert found.variance == pytest.approx(expected, rel=0.01 if mixed else 1e-9)


def test_a_patient_in_several_validation_folds_is_counted_once() -> None:
    rng = np.random.default_rng(3)
    target, score, _ = draw(rng, [(30, 40)])
    patient, fold = np.tile(np.arange(70), 3), np.repeat(np.arange(3), 70)
    same = fold_aucs(np.tile(target, 3), np.tile(score, 3), Sampling(patient, fold=fold))
    once = fold_aucs(target, score, Sampling(np.arange(70)))
    assert same.variance == pytest.approx(once.variance)


def covers(interval: tuple[float | None, float | None], truth: float) -> bool:
    assert interval[0] is not None
    assert interval[1] is not None
    return interval[0] <= truth <= interval[1]


def test_the_interval_of_a_cross_validation_covers_the_mean_of_its_models_true_aucs() -> None:
    rng, repeats = np.random.default_rng(4), 400
    shift = np.array([1.0, 0.6, 0.0, 0.0])
    y, fold = np.arange(90) % 3 == 0, np.arange(90) // 3 % 5
    hit = pooled_hit = 0
    for _ in range(repeats):
        x = rng.normal(size=(90, 4)) + np.outer(y, shift)
        score, truths = np.zeros(90), []
        for number in range(5):  # discriminants of the means, each trained on four fifths
            train, test = fold != number, fold == number
            low, high = x[train & ~y].mean(axis=0), x[train & y].mean(axis=0)
            weight = high - low
            truth = stats.norm.cdf(weight @ shift / (np.sqrt(2) * np.linalg.norm(weight)))
            truths.append(float(truth))
            sure, balance = np.exp(rng.normal()), rng.normal()  # as of more or less penalty
            logit = sure * ((x[test] - (low + high) / 2) @ weight) + balance
            score[test] = special.expit(logit)
        found = sampled_auc(y, score, Sampling(np.arange(90), fold=fold))
        hit += covers((found.low, found.high), float(np.mean(truths)))
        whole = auc_estimate(y, score)
        pooled_hit += covers((whole.low, whole.high), float(np.mean(truths)))
    assert 0.93 <= hit / repeats <= 0.98
    assert pooled_hit / repeats < 0.85


@pytest.mark.parametrize("sizes", [[(40, 60)] * 5, [(3, 7)] * 10, [(4, 16), (10, 10), (20, 80)]])
@pytest.mark.parametrize("auc", [0.7, 0.95])
def test_coverage_where_folds_are_small_or_unequal(
    sizes: list[tuple[int, int]], auc: float
) -> None:
    rng, repeats, hit = np.random.default_rng(5), 300, 0
    distance = np.sqrt(2) * stats.norm.ppf(auc)
    for _ in range(repeats):
        target, _, fold = draw(rng, sizes)
        noise = rng.normal(size=len(target))
        found = sampled_auc(
            target, noise + distance * target, Sampling(np.arange(len(target)), fold=fold)
        )
        hit += covers((found.low, found.high), auc)
    assert 0.91 <= hit / repeats <= 0.995


def test_coverage_where_patients_have_several_scans() -> None:
    rng, repeats = np.random.default_rng(6), 300
    patient = np.repeat(np.arange(100), 4)
    target, fold = patient % 5 < 2, patient // 20
    truth = float(stats.norm.cdf(1.5 / np.sqrt(2 * 1.25)))
    hit = naive = 0
    for _ in range(repeats):
        score = rng.normal(size=100)[patient] + 0.5 * rng.normal(size=400) + 1.5 * target
        found = sampled_auc(target, score, Sampling(patient, fold=fold))
        alone = sampled_auc(target, score, Sampling(np.arange(400), fold=fold))
        hit += covers((found.low, found.high), truth)
        naive += covers((alone.low, alone.high), truth)
    assert 0.925 <= hit / repeats <= 0.985
    assert naive / repeats < 0.8


def test_a_paired_test_of_two_equal_models_is_wrong_at_its_level() -> None:
    rng, repeats = np.random.default_rng(7), 400
    wrong = 0
    for _ in range(repeats):
        target, _, fold = draw(rng, [(15, 25)] * 4)
        shared = rng.normal(size=len(target)) + target
        first, second = (shared + 0.7 * rng.normal(size=len(target)) for _ in range(2))
        sampling = Sampling(np.arange(len(target)), fold=fold)
        wrong += (auc_difference(target, first, second, sampling).p_value or 1.0) < 0.05
    assert 0.03 <= wrong / repeats <= 0.075


def test_one_model_is_the_case_of_one_fold() -> None:
    rng = np.random.default_rng(8)
    target, first, _ = draw(rng, [(30, 40)])
    second = first + rng.normal(size=70)
    sampling = Sampling(np.arange(70))
    expected = auc_difference(target, first, second, sampling)
    found = mean_auc_difference(
        fold_aucs(target, first, sampling), fold_aucs(target, second, sampling), 0.95
    )
    assert found.difference.value == pytest.approx(expected.difference.value)
    assert found.p_value == pytest.approx(expected.p_value)


def test_models_of_other_folds_and_of_none_are_compared_on_the_same_patients() -> None:
    rng = np.random.default_rng(9)
    target, score, fold = draw(rng, [(15, 25)] * 3)
    second = score + rng.normal(size=len(score))
    sampling = Sampling(np.arange(len(score)), fold=fold)
    whole = Sampling(np.arange(len(score)))
    test = auc_difference(target, score, second, sampling, whole)
    means = [roc_auc_score(target[fold == v], score[fold == v]) for v in range(3)]
    expected = np.mean(means) - roc_auc_score(target, second)
    assert test.difference.value == pytest.approx(expected)
    same = auc_difference(target, score, score, sampling)
    assert (same.p_value, same.difference.value) == (None, 0.0)
    assert same.reason == "the variance is 0: no scan changes its place"


def test_two_groups_of_cases_share_their_negatives_within_folds() -> None:
    rng = np.random.default_rng(10)
    target, score, fold = draw(rng, [(20, 25)] * 3)
    early = target & (np.arange(len(target)) % 2 == 0)
    sampling = Sampling(np.arange(len(target)), fold=fold)
    test = auc_difference_common_negatives(target, score, early, target & ~early, sampling)
    aucs = []
    for group in (early, target & ~early):
        rows = [(fold == v) & (group | ~target) for v in range(3)]
        aucs.append(np.mean([roc_auc_score(target[r], score[r]) for r in rows]))
    assert test.difference.value == pytest.approx(aucs[0] - aucs[1])
    assert test.difference.low < test.difference.value < test.difference.high


def test_a_fold_without_one_class_is_named(folds: list[pd.DataFrame]) -> None:
    table = pd.concat(folds)
    table = table[(table["fold"] != 1) | (table["part"] == "validation") | (table["target"] == 0)]
    metrics = evaluate(table, n_bootstrap=100).to_dict()
    part = metrics["parts"]["test"]
    known = [row["auc"]["value"] for row in part["folds"]]
    assert known[1] is None
    assert part["auc"]["value"] == pytest.approx((known[0] + known[2]) / 2)
    assert part["auc"]["method"] == "mean of 2 of 3 folds, influence curve"
    assert part["auc"]["n"] == 240
    (text,) = (c["text"] for c in metrics["cautions"] if c["code"] == "fold_without_auc")
    assert "leaves out 1 of 3 folds" in text
    assert "fold 1: no positive scan" in text
    nothing = table[(table["part"] == "validation") | (table["target"] == 0)]
    auc = evaluate(nothing, n_bootstrap=100).estimate("auc")
    assert auc.value is None
    assert auc.reason == (
        "no fold has an AUC (fold 0: no positive scan; fold 1: no positive scan; "
        "fold 2: no positive scan)"
    )


def test_every_auc_of_a_cross_validation_is_a_mean_of_folds(folds: list[pd.DataFrame]) -> None:
    metrics = evaluate(pd.concat(folds), n_bootstrap=100).to_dict()
    part = metrics["parts"]["test"]
    assert metrics["format"] == 2
    for row in part["subgroups"]:
        assert row["auc"]["method"].startswith("mean of 3 folds"), row["group"]
    assert part["auc"]["low"] < part["auc"]["value"] < part["auc"]["high"]
    assert part["auc_pooled"]["method"] == "DeLong"
    assert "auc_pooled" not in evaluate(folds[0], n_bootstrap=100).metrics["parts"]["test"]


def test_of_three_classes_too(folds: list[pd.DataFrame]) -> None:
    table, names = pd.concat(folds, ignore_index=True), ["np", "cap", "covid"]
    rng = np.random.default_rng(0)
    table["target"] = table["class_name"].map({name: i for i, name in enumerate(names)})
    share = rng.dirichlet(np.ones(3), len(table))
    share[np.arange(len(table)), table["target"]] += 0.3
    share /= share.sum(axis=1, keepdims=True)
    table = table.assign(**{f"score_{name}": share[:, i] for i, name in enumerate(names)})
    table["score"] = table["score_covid"]
    found = evaluate(table, n_bootstrap=100).metrics["parts"]["test"]["multiclass"]
    test = table[table["part"] == "test"]
    aucs = [
        roc_auc_score(rows["target"], rows[[f"score_{name}" for name in names]], multi_class="ovr")
        for _, rows in test.groupby("fold")
    ]
    assert found["macro_auc"]["value"] == pytest.approx(np.mean(aucs))
    assert found["macro_auc"]["low"] < np.mean(aucs) < found["macro_auc"]["high"]


def test_the_centre_check_compares_no_scores_of_different_models(
    predictions: Callable[..., pd.DataFrame],
) -> None:
    held_out = []
    for fold in range(3):  # one centre held out after the other, each model with a scale of its own
        table = predictions(seed=fold).assign(fold=fold, run_id=f"{fold}")
        test = table["part"] == "test"
        table.loc[test, "centre"] = f"C{fold}"
        for name in ("scan_id", "patient_id"):
            table.loc[test, name] = f"F{fold}" + table.loc[test, name]
        held_out.append(table.assign(score=table["score"] / (fold + 1)))
    check = evaluate(pd.concat(held_out), n_bootstrap=100).metrics["centre_check"]
    for stratum in check["strata"]:
        assert stratum["reason"].startswith("the scans of each fold are of one centre")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.floats(0.2, 5.0), min_size=3, max_size=3))
def test_a_scale_of_each_folds_own_changes_nothing(seed: int, powers: list[float]) -> None:
    target, score, fold = draw(np.random.default_rng(seed), [(5, 9), (8, 4), (3, 3)])
    sampling = Sampling(np.arange(len(target)), fold=fold)
    bent = np.sign(score) * np.abs(score) ** np.array(powers)[fold]
    assert sampled_auc(target, bent, sampling) == sampled_auc(target, score, sampling)
