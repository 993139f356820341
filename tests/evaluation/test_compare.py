"""Comparisons from tables: who is compared with whom on what, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar

from covidlit.errors import PredictionsError
from covidlit.evaluation.compare import Comparison, compare
from covidlit.evaluation.difference import holm
from covidlit.evaluation.operating_point import choose_threshold
from covidlit.evaluation.paired import delong_test

Predictions = Callable[..., pd.DataFrame]


def test_part(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["part"] == "test"].sort_values("scan_id")


test_part.__test__ = False  # type: ignore[attr-defined]


def by(records: Sequence[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    """The one record with these values."""
    (found,) = (r for r in records if all(r[key] == value for key, value in wanted.items()))
    return found


def codes(comparison: Comparison) -> set[str]:
    return {note["code"] for note in comparison.results["notes"]}


def test_two_runs_of_two_models(run: Callable[..., pd.DataFrame]) -> None:
    a, b = run("csacnet", 1), run("resnet3d", 1, noise=0.6, draw=1)
    comparison = compare([a, b])
    results = comparison.results
    target = test_part(a)["target"].to_numpy(bool)
    scores = [test_part(table)["score"].to_numpy(float) for table in (a, b)]
    for model, score in zip(results["models"], scores, strict=True):
        assert model["auc"]["value"] == pytest.approx(roc_auc_score(target, score))
    called = []
    for table, score in zip((a, b), scores, strict=True):
        own = table[table["part"] == "validation"]
        threshold = choose_threshold(own["target"].to_numpy(), own["score"].to_numpy(), "youden")
        called.append(score >= threshold)
    auc = by(results["tests"], measure="auc")
    assert auc["p_value"] == pytest.approx(delong_test(target, *scores).p_value)
    assert auc["p_holm"] == auc["p_value"]
    for measure, rows, right in (
        ("sensitivity", target, called),
        ("specificity", ~target, [~one for one in called]),
    ):
        table = pd.crosstab(right[0][rows], right[1][rows])
        found = by(results["tests"], measure=measure)
        assert found["p_value"] == pytest.approx(mcnemar(table, exact=True).pvalue)
        value = right[0][rows].mean() - right[1][rows].mean()
        assert found["difference"]["value"] == pytest.approx(value)
    assert results["by_seed"] == []
    assert codes(comparison) == {
        "synthetic", "one_seed", "one_centre", "small_test", "threshold_uncertain", "splits",
    }  # fmt: skip
    json.dumps(results, allow_nan=False)


def test_every_pair_is_in_the_family_that_is_corrected(run: Callable[..., pd.DataFrame]) -> None:
    tables = [
        run(name, 1, noise=noise, draw=d)
        for d, (name, noise) in enumerate({"a": 0.1, "b": 0.3, "c": 0.4, "d": 0.9}.items())
    ]
    results = compare(tables).results
    pairs = [("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")]
    assert results["families"] == {"discrimination": 6, "decisions": 12}
    for family in results["families"]:
        own = [test for test in results["tests"] if test["family"] == family]
        assert [test["p_holm"] for test in own] == holm([test["p_value"] for test in own])
    auc = [test for test in results["tests"] if test["measure"] == "auc"]
    assert [(test["first"], test["second"]) for test in auc] == pairs
    for test, text in zip(results["tests"], results["conclusions"], strict=True):
        shown = test["p_holm"] is not None and test["p_holm"] < 0.05
        assert text.startswith("A difference was shown: ") == shown
        assert ("not a proof that they are equal" in text) == (
            not shown and test["p_holm"] is not None
        )
    assert by(auc, first="a", second="d")["p_holm"] < 0.05
    assert any(test["p_holm"] > 0.05 for test in auc)


def test_seeds_are_averaged_and_shown_one_by_one(run: Callable[..., pd.DataFrame]) -> None:
    first = [run("csacnet", seed) for seed in (1, 2, 3)]
    second = [run("resnet3d", seed, noise=0.6, draw=9) for seed in (2, 3)]
    comparison = compare([*first, *second])
    results = comparison.results
    target = test_part(first[0])["target"].to_numpy(bool)
    mean = np.mean([test_part(table)["score"] for table in first], axis=0)
    np.testing.assert_allclose(comparison.scores["csacnet"], mean)
    model = by(results["models"], model="csacnet")
    assert model["auc"]["value"] == pytest.approx(roc_auc_score(target, mean))
    own = [roc_auc_score(target, test_part(table)["score"]) for table in first]
    assert [seed["auc"]["value"] for seed in model["seeds"]] == pytest.approx(own)
    over = model["auc_over_seeds"]
    assert (over["mean"], over["sd"]) == pytest.approx((np.mean(own), np.std(own, ddof=1)))
    assert (over["min"], over["max"]) == pytest.approx((min(own), max(own)))
    # All seeds have one validation part: the threshold is chosen on their mean scores there.
    validation = first[0]["part"] == "validation"
    averaged = np.mean([table["score"][validation] for table in first], axis=0)
    threshold = choose_threshold(first[0]["target"][validation].to_numpy(), averaged, "youden")
    assert model["operating_points"][0]["threshold"] == pytest.approx(threshold)
    assert [row["seed"] for row in results["by_seed"]] == [2, 3]
    assert all(row["p_holm"] is None for row in results["by_seed"])
    assert {"seed_average", "unequal_seeds"} <= codes(comparison)
    assert "one_seed" not in codes(comparison)


def test_seeds_with_other_validation_scans_average_their_thresholds(
    run: Callable[..., pd.DataFrame],
) -> None:
    tables = [run("csacnet", seed) for seed in (1, 2)]
    moved = tables[1]["part"] == "validation"
    for name in ("scan_id", "patient_id"):
        tables[1].loc[moved, name] = "V" + tables[1].loc[moved, name]
    model = compare([*tables, run("resnet3d", 1, draw=3)]).results["models"][0]
    single = [
        choose_threshold(own["target"].to_numpy(), own["score"].to_numpy(), "youden")
        for own in (table[table["part"] == "validation"] for table in tables)
    ]
    point = model["operating_points"][0]
    assert point["threshold"] == pytest.approx(np.mean(single))
    assert (point["chosen_on"], point["n"]) == ("validation", 120)
    assert "mean of the seeds' thresholds" in point["sentence"]


def test_test_scores_never_move_a_threshold(run: Callable[..., pd.DataFrame]) -> None:
    tables = [run("csacnet", 1), run("csacnet", 2), run("resnet3d", 1, draw=3)]
    points = [model["operating_points"] for model in compare(tables).results["models"]]
    for table in tables:
        rows = table["part"] == "test"
        table.loc[rows, "score"] = 1 - table.loc[rows, "score"]
    assert [m["operating_points"] for m in compare(tables).results["models"]] == points


def test_folds_of_a_model_are_one_run_whose_auc_is_the_mean_of_theirs(
    folds: list[pd.DataFrame],
) -> None:
    other = [
        table.assign(model="svm", run_id=f"{fold}_svm", score=np.round(table["score"], 1))
        for fold, table in enumerate(folds)
    ]
    comparison = compare([*folds, *other])
    assert comparison.results["test"]["n_scans"] == 360
    model = by(comparison.results["models"], model="svm")
    assert model["seeds"][0]["run_ids"] == ["0_svm", "1_svm", "2_svm"]
    assert [point["fold"] for point in model["operating_points"]] == [0, 1, 2]
    rows = pd.concat(other)
    rows = rows[rows["part"] == "test"]
    pooled = roc_auc_score(rows["target"], rows["score"])
    assert model["auc_pooled"]["value"] == pytest.approx(pooled)
    tests = [[test_part(table) for table in tables] for tables in (folds, other)]
    aucs = [[roc_auc_score(t["target"], t["score"]) for t in tables] for tables in tests]
    assert model["auc"]["value"] == pytest.approx(np.mean(aucs[1]))
    assert model["auc"]["method"] == "mean of 3 folds, influence curve"
    test = by(comparison.results["tests"], measure="auc")
    assert test["difference"]["value"] == pytest.approx(np.mean(aucs[0]) - np.mean(aucs[1]))
    single = [
        delong_test(a["target"].to_numpy(), a["score"].to_numpy(), b["score"].to_numpy())
        for a, b in zip(*tests, strict=True)
    ]
    variance = sum((one.difference.value / one.statistic) ** 2 for one in single) / 9
    assert test["statistic"] == pytest.approx(test["difference"]["value"] / np.sqrt(variance))
    assert [row["value"] for row in comparison.results["by_fold"]] == pytest.approx(
        np.subtract(*aucs)
    )
    assert "folds" in codes(comparison)


def test_scores_of_folds_that_differ_in_scale_do_not_move_a_comparison(
    folds: list[pd.DataFrame],
) -> None:
    rng = np.random.default_rng(3)
    other = [
        table.assign(model="svm", score=(table["score"] + rng.random(len(table))) / 2)
        for table in folds
    ]
    moved = [t.assign(score=t["score"] ** (1 + 3 * fold)) for fold, t in enumerate(folds)]
    plain, bent = (compare([*tables, *other], operating_point=0.5) for tables in (folds, moved))
    for before, after in zip(
        (plain.results["models"][0], plain.results["tests"][0]),
        (bent.results["models"][0], bent.results["tests"][0]),
        strict=True,
    ):
        assert before.get("auc") == after.get("auc")
        assert before.get("difference") == after.get("difference")
    pooled = [one.results["models"][0]["auc_pooled"]["value"] for one in (plain, bent)]
    assert pooled[1] < pooled[0] - 0.05


def test_seeds_with_other_folds_are_pooled_and_said_so(folds: list[pd.DataFrame]) -> None:
    again = pd.concat(folds, ignore_index=True).assign(seed=1, run_id="again")
    test = again["part"] == "test"
    again.loc[test, "fold"] = np.arange(test.sum()) % 3
    other = [table.assign(model="svm") for table in folds]
    comparison = compare([*folds, again, *other])
    model = by(comparison.results["models"], model="csacnet")
    assert (model["cross_validated"], "auc_pooled" in model) == (False, False)
    assert (
        "csacnet have different folds"
        in by(comparison.results["notes"], code="folds_of_seeds")["text"]
    )


def test_other_test_scans_are_refused_and_named(run: Callable[..., pd.DataFrame]) -> None:
    a, b = run("csacnet", 1), run("resnet3d", 1)
    scans = test_part(a)["scan_id"].tolist()
    fewer = b[~b["scan_id"].isin(scans[:7])]
    with pytest.raises(PredictionsError, match="test scans differ: resnet3d, seed 1 lacks") as told:
        compare([a, fewer])
    assert f"{', '.join(scans[:5])} and 2 more" in str(told.value)
    renamed = b.assign(scan_id=b["scan_id"].replace({scans[0]: "NEW"}))
    with pytest.raises(
        PredictionsError,
        match=rf"csacnet, seed 1 lacks NEW; resnet3d, seed 1 lacks {scans[0]} \(of 121",
    ):
        compare([a, renamed])
    for column, value in (("target", 1 - b["target"]), ("patient_id", "Q" + b["patient_id"])):
        with pytest.raises(
            PredictionsError, match=f"'{column}' of resnet3d, seed 1 .* and 115 more"
        ):
            compare([a, b.assign(**{column: value})])


def test_refused_scans_are_left_out_for_all_and_said(run: Callable[..., pd.DataFrame]) -> None:
    a, b = run("csacnet", 1), run("resnet3d", 1, draw=1)
    scans = test_part(b)["scan_id"].iloc[[0, 5, 9]]
    gone = b["scan_id"].isin(scans)
    b.loc[gone, ["score", "status", "reason"]] = [np.nan, "refused", "too few slices"]
    comparison = compare([a, b])
    kept = test_part(a)[~test_part(a)["scan_id"].isin(scans)]
    model = by(comparison.results["models"], model="csacnet")
    assert model["auc"]["value"] == pytest.approx(roc_auc_score(kept["target"], kept["score"]))
    assert comparison.results["test"]["n_compared"] == 117
    note = by(comparison.results["notes"], code="refused")["text"]
    assert "3 of 120 test scans" in note
    assert "csacnet 0; resnet3d 3" in note
    rest = a["part"].eq("test") & ~gone
    a.loc[rest, ["score", "status", "reason"]] = [np.nan, "refused", "too few slices"]
    with pytest.raises(PredictionsError, match="no test scan has a score in every run"):
        compare([a, b])


def test_rows_that_are_ok_without_a_score_count_as_refused(
    run: Callable[..., pd.DataFrame],
) -> None:
    a, b = run("csacnet", 1), run("resnet3d", 1, draw=1)
    stated = b.copy()
    b.loc[[3, 100, 101], "score"] = np.nan
    stated.loc[[3, 100, 101], ["score", "status", "reason"]] = [np.nan, "refused", "dark"]
    comparison, expected = compare([a, b], n_bootstrap=100), compare([a, stated], n_bootstrap=100)
    assert comparison.results["tests"] == expected.results["tests"]
    note = by(comparison.results["notes"], code="without_score")["text"]
    assert "resnet3d 2 test and 1 validation rows. These rows count as refused" in note
    assert "csacnet" not in note
    assert "without_score" not in codes(expected)


def test_patients_with_several_scans_are_drawn_together(run: Callable[..., pd.DataFrame]) -> None:
    tables = [run("csacnet", 1), run("resnet3d", 1, noise=0.6, draw=1)]
    for table in tables:
        table["patient_id"] = table["part"] + table.groupby("part").cumcount().floordiv(2).astype(
            str
        )
    comparison = compare(tables, n_bootstrap=500)
    tests = comparison.results["tests"]
    assert {test["method"] for test in tests} == {"patient bootstrap"}
    assert "several_scans" in codes(comparison)
    assert compare(tables, n_bootstrap=500).results == comparison.results


def test_splits_are_held_against_each_other(run: Callable[..., pd.DataFrame]) -> None:
    a = [run("csacnet", seed).assign(split_hash=f"{seed}" * 64) for seed in (1, 2)]
    b = [run("resnet3d", seed, draw=1).assign(split_hash=f"{seed}" * 64) for seed in (1, 2)]
    (note,) = (n["text"] for n in compare([*a, *b]).results["notes"] if n["code"] == "splits")
    assert "different validation scans" in note
    assert "splits" not in codes(compare([a[0], b[0]]))
    (note,) = (n["text"] for n in compare([a[0], run("svm", 1)]).results["notes"]
               if n["code"] == "splits")  # fmt: skip
    assert "The split of svm, seed 1 is not known" in note
    with pytest.raises(
        PredictionsError, match=r"splits differ: csacnet, seed 1 \(csacnet_1\): 1{12};"
    ):
        compare([a[0], b[0].assign(split_hash="9" * 64)])


def test_runs_that_cannot_be_told_apart_are_refused(run: Callable[..., pd.DataFrame]) -> None:
    a = run("csacnet", 1)
    with pytest.raises(PredictionsError, match="only one run"):
        compare([a])
    with pytest.raises(PredictionsError, match=r"csacnet, seed 1: .*2 runs.*LABEL=RUN"):
        compare([a, a.assign(run_id="again")])
    with pytest.raises(PredictionsError, match="'model' is empty"):
        compare([a, a.assign(model=None)])
    with pytest.raises(PredictionsError, match="did you mean mid-p"):
        compare([a, run("resnet3d", 1)], mcnemar="midp")
    results = compare({"narrow": a, "wide": run("csacnet", 1, draw=4)}).results
    assert [model["model"] for model in results["models"]] == ["narrow", "wide"]


def test_one_model_alone_shows_its_spread(run: Callable[..., pd.DataFrame]) -> None:
    results = compare([run("csacnet", 1), run("csacnet", 2)]).results
    assert results["tests"] == []
    assert results["models"][0]["auc_over_seeds"]["n"] == 2
    assert results["notes"][1]["code"] == "one_model"


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("one class", "no positive scan"),
        ("ties everywhere", "DeLong's variance is 0: no scan changes its place"),
        ("two scans", "DeLong's variance needs two scans of each class"),
        ("same scores", "DeLong's variance is 0: no scan changes its place"),
    ],
)
def test_degenerate_tables_give_reasons_and_no_numbers(
    run: Callable[..., pd.DataFrame], case: str, reason: str
) -> None:
    a, b = run("csacnet", 1), run("resnet3d", 1, draw=1)
    if case == "one class":
        a, b = (t[(t["part"] == "validation") | (t["target"] == 0)] for t in (a, b))
    elif case == "ties everywhere":
        a, b = a.assign(score=0.5), b.assign(score=0.5)
    elif case == "two scans":
        rows = test_part(a)
        kept = [rows[rows["target"] == value]["scan_id"].iloc[0] for value in (0, 1)]
        a, b = (t[t["scan_id"].isin(kept)] for t in (a, b))
    else:
        b = b.assign(score=a["score"])
    results = compare([a, b]).results
    test = by(results["tests"], measure="auc")
    assert (test["p_value"], test["p_holm"], test["difference"]["low"]) == (None, None, None)
    assert test["reason"] == reason
    assert reason in results["conclusions"][0]
    json.dumps(results, allow_nan=False)
