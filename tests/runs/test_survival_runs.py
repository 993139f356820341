"""Runs of times to an endpoint, end to end."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from omegaconf import OmegaConf
from typer.testing import CliRunner

from covidlit.baselines.cox.model import load_cox
from covidlit.baselines.cox.runner import CoxRunner
from covidlit.baselines.survival.load import load_survival_model
from covidlit.cli.app import app
from covidlit.cli.train import whole_run
from covidlit.errors import CheckpointError, ConfigError, CovidlitError
from covidlit.evaluation.survival.concordance import concordance
from covidlit.evaluation.survival.tables import read_survival
from covidlit.settings.tree import config_dir


def run(folder: Path, *overrides: str, name: str = "run") -> Path:
    given = [f"data_dir={folder}", "evaluation.n_bootstrap=100", "name=test"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", ["data=clinical", "model=cox", *given, *overrides])
    plain: Any = OmegaConf.to_container(config, resolve=True)
    whole_run(plain, folder / name)
    return folder / name


def hospital(folder: Path, n: int = 90, **columns: Any) -> str:
    """A table of contract 9, in which few lymphocytes and age bring death forward."""
    rng = np.random.default_rng(3)
    percent, age = rng.uniform(3, 40, n), rng.integers(30, 90, n)
    latent = rng.exponential(15 * np.exp((percent - 20) / 6 - (age - 60) / 30))
    home = rng.exponential(25, n)
    table = pd.DataFrame(
        {
            "patient_id": [f"P{k:03d}" for k in range(n)],
            "date": "2020-02-01",
            "age": age,
            "lymphocyte_percent": percent.round(1),
            "platelets_1e9_per_l": rng.uniform(100, 300, n).round(),
            "outcome": np.where(latent <= home, "died", "survived"),
            "event_time_days": np.minimum(latent, home).round(2),
        }
    )
    table.assign(**columns).to_csv(folder / "clinical.csv", index=False)
    return f"data.source.path={folder / 'clinical.csv'}"


def metrics_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return found


def test_all_folds_as_one_run(tmp_path: Path) -> None:
    folder = run(
        tmp_path, hospital(tmp_path), "split.fold=all", "split.n_folds=3",
        "label_rule.competing=[survived]", "model.horizons=[5,10]",
    )  # fmt: skip
    table = read_survival(folder)
    test = table[table["part"] == "test"]
    raw = pd.read_csv(tmp_path / "clinical.csv").set_index("patient_id")["event_time_days"]
    # Values of a day after the index are used: time counts from then on, of who was there.
    later = raw[raw > 1]
    assert sorted(test["patient_id"]) == sorted(later.index)
    times = test.set_index("patient_id")["time_days"].astype(float)
    np.testing.assert_allclose(times, later[times.index] - 1)
    each = [
        float(concordance(own["time_days"], own["event"], own["risk_score"]))
        for _, own in test.groupby("fold")
    ]
    record = metrics_of(folder)["parts"]["test"]
    assert record["concordance"]["value"] == pytest.approx(np.mean(each))
    assert record["concordance"]["value"] > 0.7
    assert [f["concordance"] for f in record["folds"]] == pytest.approx(each)
    assert record["log_rank"]["p_value"] < 0.001
    risks = [group["risks"][1]["value"] for group in record["risk_groups"]]
    assert risks == sorted(risks)
    assert len(record["risk_groups"]) == 3
    assert {h["days"] for h in record["horizons"]} == {5, 10}
    competing = record["competing"]
    assert competing["n"] == competing["n_without_event"] == int((test["event"] == 0).sum())
    assert competing["incidence"][1] < competing["as_censoring"][1]
    page = (folder / "report.html").read_text()
    assert "Competing risk:" in page
    assert f"{90 - len(later)} of 90 patients are in no part" in page
    assert "from 1 day after the index, the end of the window" in page
    for part in ("log-rank p", "at risk", "Time-dependent AUC", "Hazard ratio per unit"):
        assert part in page
    assert (folder / "fold_2" / "checkpoints" / "cox.json").is_file()
    again = CliRunner().invoke(app, ["evaluate", str(folder), "--out", str(tmp_path / "again")])
    assert again.exit_code == 0, again.output
    parts = metrics_of(tmp_path / "again")["parts"]
    assert parts == metrics_of(folder)["parts"]
    cards = CliRunner().invoke(app, ["cards", str(folder)])
    assert cards.exit_code != 0
    assert "a run of survival" in f"{cards.output}{cards.exception}"


def test_a_model_of_classes_says_that_it_ignores_times(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ["model=best_single", "model.calibration=null", "label_rule=endpoint"]
    run(tmp_path, hospital(tmp_path), *settings)
    assert "This model has no use for times" in caplog.text


def test_the_kept_model_gives_the_risks_of_the_run(tmp_path: Path) -> None:
    folder = run(tmp_path, hospital(tmp_path), "model.horizons=7", "model.indicators=true")
    table = read_survival(folder)
    model = load_cox(folder / "checkpoints" / "cox.json")
    raw = pd.read_csv(tmp_path / "clinical.csv").set_index("patient_id")
    own = table[table["part"] == "test"].set_index("patient_id")
    found = model.scores(raw.loc[own.index, [*reversed(model.columns)]])
    np.testing.assert_allclose(found["risk_score"], own["risk_score"], atol=1e-6)
    np.testing.assert_allclose(found["risk_7_days"], own["risk_7_days"], atol=1e-6)
    coefficients = pd.read_csv(folder / "coefficients.csv").set_index("feature")
    assert coefficients.loc["lymphocyte_percent", "hazard_ratio"] < 0.6
    assert coefficients.loc["age", "hazard_ratio_low"] > 1
    with pytest.raises(CheckpointError, match="the table has no age"):
        model.scores(raw.drop(columns="age"))
    damaged = json.loads((folder / "checkpoints" / "cox.json").read_text())
    damaged["fit"]["coefficients"].pop()
    (tmp_path / "cox.json").write_text(json.dumps(damaged))
    with pytest.raises(CheckpointError, match="no Cox model"):
        load_cox(tmp_path / "cox.json")


def test_preparation_is_of_the_training_part_alone(tmp_path: Path) -> None:
    source = hospital(tmp_path)
    folder = run(tmp_path, source, "split.fold=0")
    before = json.loads((folder / "checkpoints" / "cox.json").read_text())
    table = read_survival(folder)
    tested = table.loc[table["part"] == "test", "patient_id"]
    raw = pd.read_csv(tmp_path / "clinical.csv")
    raw.loc[raw["patient_id"].isin(tested), ["age", "platelets_1e9_per_l"]] = [90, 900]
    raw.to_csv(tmp_path / "clinical.csv", index=False)
    folder = run(tmp_path, source, "split.fold=0", name="other")
    after = json.loads((folder / "checkpoints" / "cox.json").read_text())
    for name in ("preparation", "fit", "cuts"):
        assert before[name] == after[name]


def test_a_deterioration_within_a_horizon_on_the_synthetic_cohort(tmp_path: Path) -> None:
    folder = run(
        tmp_path, "data.source.n_scans=150", "label_rule.column=progressed",
        "label_rule.positive=[true]", "label_rule.horizon=21",
    )  # fmt: skip
    table = read_survival(folder)
    assert table["time_days"].max() <= 21
    page = (folder / "report.html").read_text()
    assert "SYNTHETIC DATA" in page
    assert "No competing event is named" in page


def test_all_have_the_event(tmp_path: Path) -> None:
    source = hospital(tmp_path, outcome="died")
    folder = run(tmp_path, source, "split.fold=all", "split.n_folds=3")
    metrics = metrics_of(folder)
    assert "all_events" in [c["code"] for c in metrics["cautions"]]
    assert metrics["parts"]["test"]["concordance"]["value"] > 0.6


def test_nobody_has_the_event(tmp_path: Path) -> None:
    source = hospital(tmp_path, outcome="survived")
    with pytest.raises(ConfigError, match=r"none of \d+ patients has the event"):
        run(tmp_path, source)


def test_folds_without_an_event_are_told(tmp_path: Path) -> None:
    few = np.where(np.arange(90) == 4, "died", "survived")
    source = hospital(tmp_path, outcome=few, event_time_days=np.arange(1.0, 91.0))
    folder = run(tmp_path, source, "split.fold=all", "split.n_folds=3")
    metrics = metrics_of(folder)
    codes = {c["code"]: c["text"] for c in metrics["cautions"]}
    assert "folds_left_out" in codes
    assert "none of" in codes["model"]
    concordances = [f["concordance"] for f in metrics["parts"]["test"]["folds"]]
    assert concordances.count(None) >= 2


def test_nothing_varies(tmp_path: Path) -> None:
    source = hospital(tmp_path, age=60, lymphocyte_percent=20.0, platelets_1e9_per_l=200.0)
    metrics = metrics_of(run(tmp_path, source))
    test = metrics["parts"]["test"]
    assert test["concordance"]["reason"] == "all risks are the same"
    assert test["log_rank"]["p_value"] is None


def test_repeats_are_runs_of_their_own(tmp_path: Path) -> None:
    folds = ("split.fold=all", "split.n_folds=3", "cross_validation.repeats=3", "split.seed=4")
    with pytest.raises(ConfigError, match=r"-m split\.seed=4,5,6"):
        run(tmp_path, hospital(tmp_path), *folds)


def test_rows_without_times_need_another_rule(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="label_rule=endpoint"):
        run(tmp_path, hospital(tmp_path), "label_rule=died")


@pytest.mark.parametrize(
    "wrong",
    ["evaluation.operating_point=youden", "evaluation.subgroups=[sex]", "cards=true",
     "model.features=[lymphocytes]"],
)  # fmt: skip
def test_settings_that_do_not_fit_are_named(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(CovidlitError) as caught:
        run(tmp_path, hospital(tmp_path), wrong)
    assert wrong.partition("=")[0].rpartition(".")[2] in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"penalty": -1}, {"penalty": True}, {"horizons": [0]}, {"horizons": []}, {"risk_groups": 9},
     {"transform": "log"}, {"ckpt_path": "last.ckpt"}],
    ids=str,
)  # fmt: skip
def test_arguments_out_of_their_range_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        CoxRunner(**wrong)


LIGHTGBM = ("model=lightgbm", "label_rule=endpoint")


def test_lightgbm_learns_the_hazard_of_an_endpoint(tmp_path: Path) -> None:
    folder = run(
        tmp_path, hospital(tmp_path), *LIGHTGBM, "split.fold=all", "split.n_folds=3",
        "label_rule.competing=[survived]", "model.horizons=[5,10]",
    )  # fmt: skip
    table = read_survival(folder)
    assert set(table["model"]) == {"lightgbm"}
    record = metrics_of(folder)["parts"]["test"]
    assert record["concordance"]["value"] > 0.7
    assert record["concordance"]["low"] < record["concordance"]["value"]
    assert record["log_rank"]["p_value"] < 0.001
    assert [h["days"] for h in record["horizons"]] == [5, 10]
    assert all(h["brier"]["value"] < h["brier_all_alike"]["value"] for h in record["horizons"])
    assert 0.6 < record["horizons"][1]["ratio"]["value"] < 1.6
    test = table[table["part"] == "test"]
    assert test["risk_group"].value_counts().min() >= 15  # of 90: cuts hold in patients held out
    page = (folder / "report.html").read_text()
    for part in ("log-rank p", "Time-dependent AUC", "partial likelihood", "held back in 5 folds"):
        assert part in page
    assert "Hazard ratio per unit" not in page
    peer = run(
        tmp_path, hospital(tmp_path), "split.fold=all", "split.n_folds=3",
        "label_rule.competing=[survived]", "model.horizons=[5,10]", name="cox",
    )  # fmt: skip
    called = ["compare", str(folder), str(peer), "--out", str(tmp_path / "both")]
    said = CliRunner().invoke(app, [*called, "--bootstrap", "100"])
    assert said.exit_code == 0, said.output
    found = json.loads((tmp_path / "both" / "comparison.json").read_text())
    assert [model["model"] for model in found["models"]] == ["lightgbm", "cox"]
    assert found["models"][0]["measures"]["concordance"]["value"] == record["concordance"]["value"]
    assert [note["code"] for note in found["notes"]] == ["competing_risk"]  # one split, all known


def test_the_kept_trees_give_the_risks_of_the_run(tmp_path: Path) -> None:
    folder = run(tmp_path, hospital(tmp_path), *LIGHTGBM, "model.horizons=7")
    table = read_survival(folder)
    path = folder / "checkpoints" / "boosted_hazards.json"
    model = load_survival_model(path)
    raw = pd.read_csv(tmp_path / "clinical.csv").set_index("patient_id")
    own = table[table["part"] == "test"].set_index("patient_id")
    found = model.scores(raw.loc[own.index, [*reversed(model.columns)]])
    np.testing.assert_allclose(found["risk_score"], own["risk_score"], atol=1e-9)
    np.testing.assert_allclose(found["risk_7_days"], own["risk_7_days"], atol=1e-9)
    with pytest.raises(CheckpointError, match="the table has no age"):
        model.scores(raw.drop(columns="age"))


@pytest.mark.parametrize(
    ("where", "value"),
    [("text", "tree\n"), ("times", [1.0]), ("hazard", "many"), ("factor", -1.0), ("centre", None),
     ("n_features", 7), ("text", None)],
)  # fmt: skip
def test_damaged_trees_are_refused(where: str, value: Any, tmp_path: Path) -> None:
    folder = run(tmp_path, hospital(tmp_path), *LIGHTGBM)
    content = json.loads((folder / "checkpoints" / "boosted_hazards.json").read_text())
    content["fit"][where] = value
    path = tmp_path / "boosted_hazards.json"
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=re.escape(str(path))):
        load_survival_model(path)


def test_trees_learn_from_the_training_part_alone(tmp_path: Path) -> None:
    source = hospital(tmp_path)
    folder = run(tmp_path, source, *LIGHTGBM, "split.fold=0")
    before = json.loads((folder / "checkpoints" / "boosted_hazards.json").read_text())
    table = read_survival(folder)
    tested = table.loc[table["part"] == "test", "patient_id"]
    raw = pd.read_csv(tmp_path / "clinical.csv")
    raw.loc[raw["patient_id"].isin(tested), ["age", "platelets_1e9_per_l"]] = [90, 900]
    raw.to_csv(tmp_path / "clinical.csv", index=False)
    folder = run(tmp_path, source, *LIGHTGBM, "split.fold=0", name="other")
    after = json.loads((folder / "checkpoints" / "boosted_hazards.json").read_text())
    assert before["fit"] == after["fit"]
    assert before["cuts"] == after["cuts"]


def test_trees_of_few_or_no_events_are_told(tmp_path: Path) -> None:
    few = np.where(np.arange(90) == 4, "died", "survived")
    source = hospital(tmp_path, outcome=few, event_time_days=np.arange(1.0, 91.0))
    metrics = metrics_of(run(tmp_path, source, *LIGHTGBM, "split.fold=all", "split.n_folds=3"))
    codes = {c["code"]: c["text"] for c in metrics["cautions"]}
    assert "none of" in codes["model"]
    with pytest.raises(ConfigError, match=r"none of \d+ patients has the event"):
        run(tmp_path, hospital(tmp_path, outcome="survived"), *LIGHTGBM, name="none")


@pytest.mark.parametrize(
    "wrong",
    ["model.tune=true", "model.calibration={method: sigmoid, folds: 5}", "model.scale=true",
     "model.missing=median", "model.class_weights=balanced", "model.held_back_folds=1",
     "model.risk_groups=1", "model.classifier._target_=sklearn.svm.SVC"],
)  # fmt: skip
def test_settings_of_classes_are_refused_of_an_endpoint(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(InstantiationException) as caught:  # the command shows its cause alone
        run(tmp_path, hospital(tmp_path), *LIGHTGBM, wrong)
    assert isinstance(caught.value.__cause__, ConfigError)
    assert str(caught.value.__cause__.where) == wrong.partition("=")[0].removesuffix("._target_")


def test_horizons_need_an_endpoint(tmp_path: Path) -> None:
    given = ("model=lightgbm", "label_rule=died", "model.horizons=[7]")
    with pytest.raises(InstantiationException, match=r"model\.horizons.*label_rule=endpoint"):
        run(tmp_path, hospital(tmp_path), *given)
