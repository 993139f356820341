"""Differences of survival models: values, pairing, and runs that cannot be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.errors import PredictionsError
from covidlit.evaluation.survival.compare import compare_survival
from covidlit.evaluation.survival.concordance import concordance
from covidlit.evaluation.survival.horizons import brier_score, cumulative_dynamic_auc
from covidlit.evaluation.survival.runs import read_labelled_survival
from covidlit.evaluation.survival.tables import read_survival, write_survival

N = 160


def table(
    model: str, noise: float, *, seed: int = 0, folds: int = 1, n: int = N, **columns: Any
) -> pd.DataFrame:
    """Risks of the test part that follow the truth up to some noise, of the same patients."""
    truth, rng = np.random.default_rng(0), np.random.default_rng([seed, ord(model[0])])
    hazard = truth.normal(size=n)
    latent, censored = truth.exponential(10 * np.exp(-hazard)), truth.exponential(20, n)
    score = hazard + noise * rng.normal(size=n)
    return pd.DataFrame(
        {
            "run_id": f"{model}{seed}", "model": model, "seed": seed,
            "fold": np.arange(n) % folds if folds > 1 else None, "part": "test",
            "patient_id": [f"P{k:03d}" for k in range(n)], "status": "ok", "reason": None,
            "event": (latent <= censored).astype(int), "time_days": np.minimum(latent, censored),
            "row_id": [f"P{k:03d}" for k in range(n)], "risk_score": score,
            "risk_group": (score > 0).astype(int),
            "risk_5_days": -np.expm1(-0.5 * np.exp(score)),
            "risk_9_days": -np.expm1(-0.9 * np.exp(score)),
        }
    ).assign(**columns)  # fmt: skip


def kept(folder: Path, *tables: pd.DataFrame) -> list[str]:
    for one in tables:
        write_survival(one, folder / str(one["run_id"].iloc[0]))
    return [str(folder / str(one["run_id"].iloc[0])) for one in tables]


def results_of(folder: Path, *tables: pd.DataFrame, **settings: Any) -> dict[str, Any]:
    given = {"n_bootstrap": 400, **settings}
    return compare_survival(read_labelled_survival(kept(folder, *tables)), **given)


def test_values_are_those_of_each_model_and_their_difference(tmp_path: Path) -> None:
    good, poor = table("good", 0.3), table("poor", 2.0)
    found = results_of(tmp_path, good, poor.sample(frac=1, random_state=0))
    own = {model["model"]: model["measures"] for model in found["models"]}
    for one in (good, poor):
        time, event, risk = one["time_days"], one["event"], one["risk_score"]
        measures = own[one["model"].iloc[0]]
        assert measures["concordance"]["value"] == pytest.approx(concordance(time, event, risk))
        auc = cumulative_dynamic_auc(time, event, risk, 5)
        assert measures["auc_5_days"]["value"] == pytest.approx(float(auc))
        brier = brier_score(time, event, one["risk_9_days"], 9)
        assert measures["brier_9_days"]["value"] == pytest.approx(float(brier))
    tests = {test["measure"]: test for test in found["tests"]}
    assert found["families"] == {"concordance": 1, "AUC": 2, "Brier score": 2}
    for name, test in tests.items():
        expected = own["good"][name]["value"] - own["poor"][name]["value"]
        assert test["difference"]["value"] == pytest.approx(expected)
    assert tests["concordance"]["difference"]["low"] > 0
    assert tests["concordance"]["p_holm"] < 0.01
    assert "good has a higher concordance than poor" in found["conclusions"][0]


def test_differences_are_paired_by_patient(tmp_path: Path) -> None:
    first = table("first", 1.0)
    near = first.assign(run_id="near0", model="near", risk_score=first["risk_score"] + 1e-3 * (
        np.arange(N) % 7
    ))  # fmt: skip
    found = results_of(tmp_path, first, near)
    test = found["tests"][0]["difference"]
    width = found["models"][0]["measures"]["concordance"]
    assert test["high"] - test["low"] < 0.05 * (width["high"] - width["low"])
    # the same draws by hand
    rng = np.random.default_rng(0)
    drawn = rng.integers(N, size=(400, N))
    each = []
    for sample in drawn:
        rows = [one.iloc[sample] for one in (first, near)]
        values = [float(concordance(r["time_days"], r["event"], r["risk_score"])) for r in rows]
        each.append(values[0] - values[1])
    ends = np.quantile(each, [0.025, 0.975])
    # A patient who is drawn twice is no pair with himself, by weights or by hand.
    np.testing.assert_allclose([test["low"], test["high"]], ends, atol=2e-4)


def test_of_cross_validations_the_concordance_is_the_folds_mean(tmp_path: Path) -> None:
    one, other = table("one", 0.5, folds=4), table("two", 1.0, folds=4)
    shifted = one["risk_score"] + 5 * one["fold"]  # folds' scores are not on one scale
    found = results_of(tmp_path, one.assign(risk_score=shifted), other)
    each = [
        float(concordance(own["time_days"], own["event"], own["risk_score"]))
        for _, own in one.groupby("fold")
    ]
    value = found["models"][0]["measures"]["concordance"]["value"]
    assert value == pytest.approx(np.mean(each))


def test_seeds_of_a_model_are_averaged(tmp_path: Path) -> None:
    seeds = [table("model", 1.5, seed=seed) for seed in range(3)]
    other = table("other", 1.5)
    found = results_of(tmp_path, *seeds, other)
    mean = np.mean([one["risk_score"] for one in seeds], axis=0)
    value = found["models"][0]["measures"]["concordance"]["value"]
    assert found["models"][0]["seeds"] == [0, 1, 2]
    assert value == pytest.approx(concordance(other["time_days"], other["event"], mean))
    assert "seed_average" in [note["code"] for note in found["notes"]]


def test_folds_in_runs_of_their_own_are_pooled(tmp_path: Path) -> None:
    whole, other = table("good", 0.5, folds=2), table("poor", 2.0, folds=2)
    halves = [own.assign(run_id=f"half{fold}") for fold, own in whole.groupby("fold")]
    apart = results_of(tmp_path, *halves, other)
    assert apart["models"][0]["run_ids"] == ["half0", "half1"]
    assert (
        apart["models"][0]["measures"]
        == (results_of(tmp_path, whole, other)["models"][0]["measures"])
    )


def test_rows_that_a_run_refused_are_left_out_for_all(tmp_path: Path) -> None:
    one, other = table("one", 0.5), table("two", 1.0)
    gone = other["row_id"].isin(["P003", "P010"])
    none = ["risk_score", "risk_group", "risk_5_days", "risk_9_days", "event"]
    other.loc[gone, none] = None
    one.loc[gone, "event"] = None
    other.loc[gone, "status"] = "refused"
    found = results_of(tmp_path, one, other)
    assert found["test"]["n_compared"] == N - 2
    note = next(n["text"] for n in found["notes"] if n["code"] == "refused")
    assert "2 of 160 test patients" in note
    assert "two 2" in note


@pytest.mark.parametrize("what", ["patients", "times", "events", "one model", "twice"])
def test_runs_that_cannot_be_compared_are_named(what: str, tmp_path: Path) -> None:
    one, other = table("one", 0.5), table("two", 1.0)
    if what == "patients":
        other = other.iloc[:-1]
    elif what == "times":
        other["time_days"] = other["time_days"].clip(upper=10)
    elif what == "events":
        other.loc[4, "event"] = 1 - other.loc[4, "event"]
    elif what == "one model":
        other = other.assign(model="one", seed=1)
    runs = kept(tmp_path, one, other)
    said = {
        "patients": "test patients differ: two.* lacks P159", "times": "times of two",
        "events": "'target' of two.* P004", "one model": "only one model", "twice": "given twice",
    }  # fmt: skip
    given = [runs[0], runs[0]] if what == "twice" else runs
    with pytest.raises(PredictionsError, match=said[what]):
        compare_survival(read_labelled_survival(given), n_bootstrap=100)


def test_what_is_undefined_is_said(tmp_path: Path) -> None:
    none, other = table("none", 0.5).assign(risk_score=1.0), table("two", 1.0)
    found = results_of(tmp_path, none, other)
    test = found["tests"][0]
    assert test["difference"]["value"] is None
    assert test["reason"] == "all risks are the same"
    assert "cannot be compared" in found["conclusions"][0]
    empty = [one.assign(event=0, risk_score=np.arange(N) / N) for one in (none, other)]
    found = results_of(tmp_path, *empty)
    assert {test["difference"]["value"] for test in found["tests"]} == {None}
    assert "no_event" in [note["code"] for note in found["notes"]]


def test_horizons_that_only_one_has_are_not_compared(tmp_path: Path) -> None:
    one = table("one", 0.5).drop(columns="risk_5_days")
    assert results_of(tmp_path, one, table("two", 1.0))["horizons"] == [9]
    alone = one.rename(columns={"risk_9_days": "risk_3_days"})
    found = results_of(tmp_path, alone, table("two", 1.0))
    assert list(found["measures"]) == ["concordance"]
    assert "horizons" in [note["code"] for note in found["notes"]]


def test_the_command_writes_page_table_and_json(tmp_path: Path) -> None:
    runs = kept(tmp_path, table("one", 0.3), table("two", 2.0))
    (tmp_path / "unfinished").mkdir()
    out = tmp_path / "out"
    called = ["compare", f"First={runs[0]}", runs[1], str(tmp_path / "unfinished"), "--out",
              str(out), "--bootstrap", "200"]  # fmt: skip
    said = CliRunner().invoke(app, called)
    assert said.exit_code == 0, said.output
    assert "First has a higher concordance than two" in said.output.replace("\n", " ")
    page = (out / "comparison.html").read_text()
    for text in ("AUC until 5 days", "Brier score until 9 days", "Skipped", "200 samples"):
        assert text in page
    rows = pd.read_csv(out / "comparison.csv")
    assert set(rows["result"]) == {"model", "difference"}
    assert len(rows) == 2 * 5 + 5
    again = CliRunner().invoke(app, called)  # over its own results
    assert again.exit_code == 0, again.output
    wrong = CliRunner().invoke(app, [*called, "--operating-point", "youden"])
    assert "neither positive nor negative" in f"{wrong.output}{wrong.exception}"


def test_runs_of_times_and_of_classes_are_not_mixed(tmp_path: Path) -> None:
    runs = kept(tmp_path, table("one", 0.3))
    (tmp_path / "classes").mkdir()
    (tmp_path / "classes" / "predictions.parquet").touch()
    said = CliRunner().invoke(app, ["compare", *runs, str(tmp_path / "classes")])
    assert "compare runs of one label rule" in f"{said.output}{said.exception}"
    assert len(read_survival(Path(runs[0]))) == N
