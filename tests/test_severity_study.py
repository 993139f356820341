"""The report of the severity study says what its runs hold, and what they were measured in."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from covidlit.evaluation.survival.concordance import concordance

ROOT = Path(__file__).parents[1]
N = 60
MODULES = ("studies", "compared", "survival_compared", "cohorts", "shortcut", "recipe", "report",
           "record")  # fmt: skip


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """The module of the report, on runs and for results in a folder of the test."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "experiments" / "severity_fusion"), *sys.path])
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import report
    import studies

    for module in (report, studies):
        monkeypatch.setattr(module, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(report, "HERE", tmp_path)
    monkeypatch.setattr(report, "REPEATS", 2)
    monkeypatch.setattr(report, "PERMUTED", {"logistic_regression": 3})
    yield report
    for name in MODULES:
        sys.modules.pop(name, None)


def write_run(folder: Path, table: pd.DataFrame, name: str, commit: str = "abc") -> pd.DataFrame:
    folder.mkdir(parents=True)
    table.to_parquet(folder / name)
    (folder / "report.html").write_text("done")
    asked = {"overrides": [], "environment": {"cores": 2, "commit": commit}}
    (folder / "asked.json").write_text(json.dumps(asked))
    return table


def scores(seed: int, strength: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    target = np.arange(N) % 2
    fold = np.arange(N) // 2 % 5
    score = strength * target + rng.normal(size=N) + 2.0 * fold  # a level of its own in each fold
    names = [f"P{k:02d}" for k in range(N)]
    return pd.DataFrame(
        {"run_id": "one", "model": "any", "seed": seed, "fold": fold, "part": "test",
         "patient_id": names, "scan_id": names, "centre": "A", "class_name": "any",
         "target": target, "score": 1 / (1 + np.exp(-score / 8)), "status": "ok", "reason": None}
    )  # fmt: skip


def figures(folder: Path) -> dict[str, dict[str, object]]:
    content = json.loads((folder / "results.json").read_text())
    return {figure["figure"]: figure for figure in content["figures"]}


def test_the_best_peer_is_the_best_of_tuned_and_untuned_and_commits_are_told(
    study: ModuleType, tmp_path: Path
) -> None:
    strengths = {("labs", "fusion_ann"): 5.0, ("labs", "svm"): 3.0, ("tuned", "svm"): 7.0,
                 ("labs", "lightgbm"): 5.5}  # fmt: skip
    aucs = {}
    for (part, model), strength in strengths.items():
        tables = [scores(seed, strength).assign(repeat=seed, seed=0) for seed in range(2)]
        write_run(tmp_path / "runs" / part / "labs" / model, pd.concat(tables),
                  "predictions.parquet", commit=part)  # fmt: skip
        aucs[part, model] = float(
            np.mean([roc_auc_score(own["target"], own["score"]) for own in tables])
        )
    study.write()
    found = figures(tmp_path)
    assert found["real labs, labs, svm, tuned: AUC"]["value"] == pytest.approx(
        aucs["tuned", "svm"], abs=1e-4
    )
    lower = found["real labs, labs, fusion network - best peer: lower bound"]
    assert lower["peer"] == "svm, tuned"
    assert lower["value"] < aucs["labs", "fusion_ann"] - aucs["tuned", "svm"] < 0
    text = (tmp_path / "tables.md").read_text()
    assert "| labs | svm, tuned (best peer) |" in text
    assert "| labs | lightgbm |" in text
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["environment"] == {"cores": 2, "commit": "labs, tuned"}


def test_permutations_are_averaged_over_folds_and_the_shortcut_is_paired(
    study: ModuleType, tmp_path: Path
) -> None:
    by_fold: dict[str, list[float]] = {"inside": [], "shortcut": []}
    for way, strength in (("inside", 0.0), ("shortcut", 1.5)):
        for number in range(3):
            table = scores(number, strength)
            place = tmp_path / "runs" / "permuted" / way / "logistic_regression" / str(number)
            write_run(place, table, "predictions.parquet")
            each = [roc_auc_score(own["target"], own["score"]) for _, own in table.groupby("fold")]
            by_fold[way].append(float(np.mean(each)))
    study.write()
    found = figures(tmp_path)
    inside = found[
        "permuted labels, logistic_regression, 15 selected inside the folds: mean of folds"
    ]
    assert inside["value"] == pytest.approx(np.mean(by_fold["inside"]), abs=1e-4)
    assert inside["target"] == "0.47 to 0.53"
    apart = np.array(by_fold["shortcut"]) - np.array(by_fold["inside"])
    test = stats.ttest_1samp(apart, 0).confidence_interval()
    named = "permuted labels, logistic_regression, shortcut - inside: mean of folds"
    assert found[named]["value"] == pytest.approx(apart.mean(), abs=1e-4)
    assert found[f"{named}, lower"]["value"] == pytest.approx(test.low, abs=1e-4)
    assert found[f"{named}, upper"]["value"] == pytest.approx(test.high, abs=1e-4)


def test_prognoses_are_ranked_within_their_folds(study: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    time, fold = rng.uniform(1, 20, N), np.arange(N) // 2 % 5
    event, expected = rng.random(N) < 0.6, []
    for seed in range(2):
        risk = -time + 4 * np.random.default_rng(seed).normal(size=N)
        within = [concordance(time[k], event[k], risk[k]) for k in (fold == f for f in range(5))]
        expected.append(np.mean(within))
        table = pd.DataFrame(
            {"patient_id": [f"P{k:02d}" for k in range(N)], "part": "test", "fold": fold,
             "time_days": time, "event": event.astype(int), "competing_event": ~event,
             "risk_score": risk + 30 * fold}
        )  # fmt: skip
        write_run(tmp_path / "runs" / "prognosis" / "cox" / str(seed), table, "survival.parquet")
    study.write()
    found = figures(tmp_path)
    value = found["prognosis, cox: concordance"]["value"]
    assert value == pytest.approx(np.mean(expected), abs=1e-4)
    ends = [found[f"prognosis, cox: concordance, {end}"]["value"] for end in ("lower", "upper")]
    assert ends[0] < value < ends[1]
    assert found["prognosis, cox: AUC at 10 days, a discharge alive as survival"]["value"] > 0.5
    assert f"{N} patients, {int(event.sum())} deaths" in (tmp_path / "tables.md").read_text()


def test_without_a_run_nothing_is_written(study: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="run a part first"):
        study.write()
    assert not (tmp_path / "results.json").is_file()


def test_a_run_of_other_settings_is_not_taken(study: ModuleType, tmp_path: Path) -> None:
    import studies

    folder = tmp_path / "runs" / "labs" / "one"
    write_run(folder, scores(0, 1.0), "predictions.parquet")
    studies.cross_validated("labs/one", [])  # done already
    with pytest.raises(SystemExit, match="other settings"):
        studies.cross_validated("labs/one", ["model=svm"])
    (folder / "asked.json").unlink()
    with pytest.raises(SystemExit, match="does not say"):
        studies.cross_validated("labs/one", [])
