"""A repeated cross-validation: means over repeats, and patients that never count twice."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from covidlit.errors import PredictionsError
from covidlit.evaluation import evaluate
from covidlit.evaluation.auc import sampled_auc
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.compare import compare
from covidlit.evaluation.corrected_t import corrected_interval

N, FOLDS = 63, 3


def cross_validated(repeat: int, *, shared: int = 0, noise: float = 1.0) -> pd.DataFrame:
    """Predictions of N patients in FOLDS folds that are drawn anew in each repeat."""
    truth, rng = np.random.default_rng(shared), np.random.default_rng(100 + repeat)
    target = np.arange(N) % 3 == 0
    signal = truth.normal(size=N) + 1.2 * target
    fold = np.zeros(N, int)
    for own in (target, ~target):
        fold[own] = rng.permutation(np.arange(own.sum()) % FOLDS)
    tables = []
    for number in range(FOLDS):
        logit = signal + noise * rng.normal(size=N)
        table = pd.DataFrame(
            {
                "run_id": "run", "model": "ann", "seed": 0, "fold": number, "repeat": repeat,
                "part": np.where(fold == number, "test", "validation"),
                "patient_id": [f"P{i:02d}" for i in range(N)],
                "scan_id": [f"S{i:02d}" for i in range(N)],
                "class_name": np.where(target, "severe", "mild"),
                "target": target.astype(int),
                "score": 1 / (1 + np.exp(-logit)),
                "sex": np.where(np.arange(N) % 2, "F", "M"),
                "age": 30 + np.arange(N),
            }
        )  # fmt: skip
        kept = (table["part"] == "test") | (fold == (number + 1) % FOLDS)
        tables.append(table[kept])
    return pd.concat(tables, ignore_index=True)


def several(n: int, **given: float) -> pd.DataFrame:
    tables = [cross_validated(repeat, **given) for repeat in range(n)]  # type: ignore[arg-type]
    return pd.concat(tables, ignore_index=True)


def copies(n: int) -> pd.DataFrame:
    """One cross-validation that stands n times in the table, as if it were repeats."""
    one = cross_validated(0)
    return pd.concat([one.assign(repeat=repeat) for repeat in range(n)], ignore_index=True)


def test_aucs_are_means_over_the_repeats_of_those_of_scikit_learn() -> None:
    table = several(4)
    test = table[table["part"] == "test"]
    part = evaluate(table, n_bootstrap=100).metrics["parts"]["test"]
    by_fold = test.groupby(["repeat", "fold"])[["target", "score"]].apply(
        lambda rows: roc_auc_score(rows["target"], rows["score"])
    )
    by_repeat = test.groupby("repeat")[["target", "score"]].apply(
        lambda rows: roc_auc_score(rows["target"], rows["score"])
    )
    assert part["auc"]["value"] == pytest.approx(by_fold.groupby("repeat").mean().mean())
    assert part["auc"]["method"].startswith("mean of 12 folds in 4 repeats")
    assert part["auc_pooled"]["value"] == pytest.approx(by_repeat.mean())
    assert [row["auc_pooled"]["value"] for row in part["repeats"]] == pytest.approx(list(by_repeat))
    found = [row["auc"]["value"] for row in part["folds"]]
    assert found == pytest.approx(list(by_fold))
    assert [(row["repeat"], row["fold"]) for row in part["folds"]] == list(by_fold.index)


def test_patients_are_counted_once() -> None:
    part = evaluate(several(5), n_bootstrap=100).metrics["parts"]["test"]
    assert (part["n_scans"], part["n_scored"], part["n_patients"]) == (N, N, N)
    assert (part["n_positive"], part["n_negative"]) == (N // 3, 2 * N // 3)
    assert part["several_scans_per_patient"] is False
    assert part["auc"]["n"] == part["auc_pooled"]["n"] == N
    assert part["at_operating_point"]["sensitivity"]["n"] == N // 3
    assert sum(part["confusion"].values()) == pytest.approx(N, abs=0.2)
    groups = [row for row in part["subgroups"] if row["column"] == "sex"]
    assert sorted(row["n"] for row in groups) == [N // 2, N - N // 2]
    assert sum(row["n"] for row in part["calibration"]["curve"]) == pytest.approx(N, abs=3)


def _intervals(record: object, path: str = "") -> dict[str, tuple[float, float]]:
    """Every interval of a record, by where it stands."""
    found = {}
    if isinstance(record, dict):
        if {"value", "low", "high"} <= set(record) and record["low"] is not None:
            found[path] = record["low"], record["high"]
        for name, value in record.items():
            found |= _intervals(value, f"{path}/{name}")
    if isinstance(record, list):
        for place, value in enumerate(record):
            found |= _intervals(value, f"{path}/{place}")
    return found


def test_copies_of_a_table_have_the_intervals_of_one() -> None:
    one = evaluate(copies(1).drop(columns="repeat"), n_bootstrap=300).metrics["parts"]["test"]
    many = evaluate(copies(5), n_bootstrap=300).metrics["parts"]["test"]
    left_out = ("ece", "curve", "folds", "repeats", "auc_corrected")  # of bins, or of each model
    first, second = (
        {k: v for k, v in _intervals(part).items() if not any(f"/{x}" in k for x in left_out)}
        for part in (one, many)
    )
    assert len(first) > 60
    assert second.keys() == first.keys()
    for name, ends in first.items():
        assert second[name] == pytest.approx(ends, abs=1e-9), name
    assert one["roc"]["band"]["low"] == pytest.approx(many["roc"]["band"]["low"])
    assert one["roc"]["band"]["high"] == pytest.approx(many["roc"]["band"]["high"])


def test_patients_with_several_scans_are_drawn_with_all_of_them_in_every_repeat() -> None:
    def doubled(table: pd.DataFrame) -> pd.DataFrame:
        other = table.assign(scan_id=table["scan_id"] + "b", score=table["score"] ** 0.5)
        return pd.concat([table, other], ignore_index=True)

    one = evaluate(doubled(copies(1)), n_bootstrap=300).metrics["parts"]["test"]
    many = evaluate(doubled(copies(3)), n_bootstrap=300).metrics["parts"]["test"]
    assert many["several_scans_per_patient"] is True
    for name in ("auc", "auc_pooled"):
        for end in ("value", "low", "high"):
            assert many[name][end] == pytest.approx(one[name][end]), (name, end)
    first, second = (p["at_operating_point"]["sensitivity"] for p in (one, many))
    assert (second["low"], second["high"]) == pytest.approx((first["low"], first["high"]))


def test_repeats_take_away_the_noise_of_trainings_and_no_more() -> None:
    """With all noise averaged out the interval is that of the patients, never narrower by count."""
    one, ten = (
        evaluate(several(n, noise=1.5), n_bootstrap=100).metrics["parts"]["test"]["auc"]
        for n in (1, 10)
    )
    width = ten["high"] - ten["low"]
    assert 0.4 < width / (one["high"] - one["low"]) < 1.1
    # Ten times as many patients would have an interval less than a third as wide.


def test_coverage_of_the_mean_over_repeats() -> None:
    rng, hit, naive, runs = np.random.default_rng(3), 0, 0, 300
    target = np.arange(80) < 30
    patient, repeat = np.tile(np.arange(80), 4), np.repeat(np.arange(4), 80)
    truth = float(stats.norm.cdf(1.2 / np.sqrt(2 * 1.25)))
    for _ in range(runs):
        signal = rng.normal(size=80) + 1.2 * target
        score = np.concatenate([signal + 0.5 * rng.normal(size=80) for _ in range(4)])
        y = np.tile(target, 4)
        found = sampled_auc(y, score, Sampling(patient, repeat=repeat))
        hit += found.low <= truth <= found.high
        alone = sampled_auc(y, score, Sampling(np.arange(320)))
        naive += alone.low <= truth <= alone.high
    assert 0.92 <= hit / runs <= 0.98
    assert naive / runs < 0.8


def test_the_corrected_interval_is_that_of_nadeau_and_bengio() -> None:
    table = several(4)
    part = evaluate(table, n_bootstrap=100).metrics["parts"]["test"]
    aucs = [row["auc"]["value"] for row in part["folds"]]
    # Of three folds one is tested, one validated, and one left to train on.
    error = np.sqrt((1 / 12 + 1.0) * np.var(aucs, ddof=1))
    low, high = stats.t.interval(0.95, 11, np.mean(aucs), error)
    found = part["auc_corrected"]
    assert found["value"] == pytest.approx(np.mean(aucs))
    assert (found["low"], found["high"]) == pytest.approx((max(0, low), min(1, high)))
    assert corrected_interval({0: 0.8}, {0: 0.1}, 5, 0.95).reason is not None


def test_without_validation_the_correction_is_one_over_folds_less_one() -> None:
    table = several(2)
    table = table[table["part"] == "test"]
    part = evaluate(table, operating_point=0.5, n_bootstrap=100).metrics["parts"]["test"]
    aucs = [row["auc"]["value"] for row in part["folds"]]
    error = np.sqrt((1 / 6 + 1 / (FOLDS - 1)) * np.var(aucs, ddof=1))
    low, high = stats.t.interval(0.95, 5, np.mean(aucs), error)
    found = part["auc_corrected"]
    assert (found["low"], found["high"]) == pytest.approx((max(0, low), min(1, high)))


def test_two_models_are_compared_by_patient_and_repeat() -> None:
    first, second = several(3, noise=0.3), several(3, noise=1.5).assign(model="svm", run_id="b")
    found = compare([first, second], n_bootstrap=200).results
    assert found["test"]["n_compared"] == found["test"]["n_patients"] == N
    assert found["test"]["n_positive"] == N // 3
    test = next(row for row in found["tests"] if row["measure"] == "auc")
    expected = [
        np.mean(
            [
                r["auc"]["value"]
                for r in evaluate(t, n_bootstrap=100).metrics["parts"]["test"]["folds"]
            ]
        )
        for t in (first, second)
    ]
    assert test["difference"]["value"] == pytest.approx(expected[0] - expected[1])
    assert test["difference"]["n"] == N
    assert len(found["by_fold"]) == 9
    trainings = found["over_trainings"][0]
    differences = [row["value"] for row in found["by_fold"]]
    error = np.sqrt((1 / 9 + 1.0) * np.var(differences, ddof=1))
    t = np.mean(differences) / error
    assert trainings["statistic"] == pytest.approx(t)
    assert trainings["p_value"] == pytest.approx(2 * stats.t.sf(abs(t), 8))


def test_a_comparison_of_copies_is_that_of_one_table() -> None:
    def made(n: int) -> dict[str, object]:
        one = copies(n)
        other = one.assign(
            model="svm", score=np.clip(one["score"] + 0.1 * (one["scan_id"] > "S30"), 0, 1)
        )
        return compare([one, other], n_bootstrap=300).results["tests"][0]  # type: ignore[no-any-return]

    one, many = made(1), made(4)
    assert many["p_value"] == pytest.approx(one["p_value"])
    for end in ("value", "low", "high"):
        assert many["difference"][end] == pytest.approx(one["difference"][end])  # type: ignore[index]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[(t["repeat"] == 0) | (t["fold"] != 2)], "repeat 1 does not test 21 scan"),
        (lambda t: t.assign(repeat=t["repeat"].where(t["repeat"] > 0)), "have a repeat and a fold"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "more than once in one run and fold"),
    ],
)
def test_incomplete_repeats_are_refused(change: object, message: str) -> None:
    with pytest.raises(PredictionsError, match=message):
        evaluate(change(several(2)), n_bootstrap=100)  # type: ignore[operator]


def test_runs_of_other_repeats_are_not_compared() -> None:
    with pytest.raises(PredictionsError, match="repeats differ"):
        compare([several(3), several(2).assign(model="svm")], n_bootstrap=100)
