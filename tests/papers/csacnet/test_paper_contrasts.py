"""Figure 2 left and Table 3 against scikit-learn, statsmodels and the published counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from covidlit.errors import PredictionsError
from covidlit.papers.csacnet import Subsets, paper, published
from covidlit.papers.csacnet.contrasts import contrasts
from covidlit.papers.methods import Method

Cohort = Callable[..., pd.DataFrame]
MethodOf = Callable[..., Method]

AGAINST = {"S1 vs S2 + S3": ["np", "cap"], "S1 vs S2": ["np"], "S1 vs S3": ["cap"]}


def _youden(rows: pd.DataFrame) -> float:
    """The lowest of the best thresholds on a grid between all scores, by counting."""
    scores = np.unique(rows["score"])
    cuts = np.r_[scores[0], (scores[1:] + scores[:-1]) / 2]
    positive = rows["target"] == 1
    gain = [
        (rows["score"][positive] >= cut).mean() + (rows["score"][~positive] < cut).mean()
        for cut in cuts
    ]
    return float(cuts[int(np.flatnonzero(np.array(gain) >= max(gain) - 1e-12)[0])])


def test_every_contrast_has_its_own_threshold_from_its_validation_scans(
    cohort: Cohort, method: MethodOf
) -> None:
    table = cohort()
    records = contrasts(method(table), Subsets())
    assert [record["name"] for record in records] == list(AGAINST)
    found = []
    for record in records:
        rows = table[table["class_name"].isin(["covid", *AGAINST[record["name"]]])]
        validation, test = (rows[rows["part"] == part] for part in ("validation", "test"))
        (point,) = record["operating_points"]
        assert point["threshold"] == pytest.approx(_youden(validation))
        assert point["chosen_on"] == "validation"
        assert point["n"] == len(validation)
        found.append(point["threshold"])
        assert record["auc"]["value"] == pytest.approx(roc_auc_score(test["target"], test["score"]))
        called, positive = test["score"] >= point["threshold"], test["target"] == 1
        for measure, hits, n in (
            ("sensitivity", int((called & positive).sum()), int(positive.sum())),
            ("specificity", int((~called & ~positive).sum()), int((~positive).sum())),
        ):
            estimate = record[measure]
            assert (estimate["count"], estimate["n"]) == (hits, n)
            assert [estimate["low"], estimate["high"]] == pytest.approx(
                proportion_confint(hits, n, method="wilson")
            )
    assert len(set(found)) > 1


def test_no_threshold_looks_at_a_test_scan(cohort: Cohort, method: MethodOf) -> None:
    table = cohort()
    other = table.copy()
    test = other["part"] == "test"
    other.loc[test, "score"] = (1 - other.loc[test, "score"]).round(3)
    chosen = [
        [record["operating_points"] for record in contrasts(method(rows), Subsets())]
        for rows in (table, other)
    ]
    assert chosen[0] == chosen[1]


def test_without_validation_scans_of_a_contrast_its_threshold_is_fixed_and_says_so(
    cohort: Cohort, method: MethodOf
) -> None:
    table = cohort()
    table = table[(table["part"] == "test") | (table["class_name"] != "np")]
    for rule in ("auto", "sensitivity>=0.9"):
        overall, s2, s3 = contrasts(method(table, rule), Subsets())
        assert overall["operating_points"][0]["chosen_on"] == "validation"
        assert s3["operating_points"][0]["chosen_on"] == "validation"
        (point,) = s2["operating_points"]
        assert (point["threshold"], point["chosen_on"]) == (0.5, None)
        assert "fixed beforehand, not chosen on data (" in point["sentence"]
        assert "all of one class" in point["sentence"]


def test_a_rule_that_the_method_itself_cannot_follow_is_the_users_error(cohort: Cohort) -> None:
    table = cohort()
    with pytest.raises(PredictionsError, match="cannot be applied"):
        paper(table[table["part"] == "test"], operating_point="youden")


def test_other_class_names_and_scans_outside_the_subsets(cohort: Cohort, method: MethodOf) -> None:
    table = cohort()
    renamed = table.assign(class_name=table["class_name"].replace({"np": "healthy", "cap": "flu"}))
    plain = contrasts(method(table), Subsets())
    same = contrasts(method(renamed), Subsets(s2="healthy", s3="flu"))
    assert [record["auc"] for record in same] == [record["auc"] for record in plain]
    assert Subsets().remarks(table) == []
    few = Subsets(s2="healthy")
    overall, _, s3 = contrasts(method(renamed), few)
    assert overall["auc"] == plain[0]["auc"]
    assert s3["auc"]["value"] is None
    assert s3["auc"]["reason"] == "no negative scan"
    (remark,) = few.remarks(renamed[renamed["part"] == "test"])
    assert remark.startswith("40 negative scans neither of the class 'healthy' (S2)")
    assert "flu (40)" in remark
    (remark,) = Subsets(s1="COVID-19").remarks(table[table["part"] == "test"])
    assert remark.startswith("40 of the 40 positive scans are not of the class 'COVID-19'")


def test_table_3_of_the_published_counts_has_the_published_percentages() -> None:
    """Scores with the paper's counts at its thresholds: our rates must be those it printed."""
    rows = published().table3.thresholds
    late = [int(row.tp_initially_negative) for row in rows]
    early = [int(row.tp) - count for row, count in zip(rows, late, strict=True)]
    false = [336 - int(row.tn) for row in rows]
    scores = np.concatenate([_scores(early, 132), _scores(late, 81), _scores(false, 336)])
    n = len(scores)
    table = pd.DataFrame(
        {
            "part": "test",
            "patient_id": np.arange(n).astype(str),
            "scan_id": np.arange(n).astype(str),
            "centre": "centre_4",
            "class_name": np.repeat(["covid", "np", "cap"], [213, 162, 174]),
            "target": np.repeat([1, 0], [213, 336]),
            "score": scores,
            "rtpcr_initial": np.repeat(["positive", "negative", None], [132, 81, 336]),
        }
    )
    for reader in published().table3.readers:
        hits = int(reader.tp) - int(reader.tp_initially_negative)
        calls = np.zeros(n, dtype=int)
        calls[:hits] = calls[132 : 132 + int(reader.tp_initially_negative)] = 1
        calls[213 + int(reader.tn) :] = 1
        table[f"reader_{reader.name}"] = calls
    found = paper(table, n_bootstrap=100).to_dict()["table3"]
    pairs = list(zip(found["thresholds"], rows, strict=True))
    pairs += list(zip(found["readers"], published().table3.readers, strict=True))
    assert len(pairs) == 13
    for ours, printed in pairs:
        for measure, text, count in (
            ("sensitivity", printed.tpr, printed.tp),
            (
                "sensitivity_initially_negative",
                printed.tpr_initially_negative,
                printed.tp_initially_negative,
            ),
            ("specificity", printed.tnr, printed.tn),
        ):
            assert ours[measure]["count"] == int(count)
            # 273 of 336 are 81.25 percent, which the paper rounded up.
            assert 100 * ours[measure]["value"] == pytest.approx(float(text[:-1]), abs=0.0501)


def _scores(above: list[int], n: int) -> np.ndarray:
    """n scores of which `above[k]` are at least 0.1 (k + 1)."""
    counts = [n, *above, 0]
    steps = [counts[place] - counts[place + 1] for place in range(len(above) + 1)]
    return np.repeat(np.arange(len(steps)) * 0.1 + 0.05, steps)
