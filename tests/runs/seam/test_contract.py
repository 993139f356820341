"""Contract 5: every runner, with every kind of data and every outcome, passes through one run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import factor_cohort
import numpy as np
import pandas as pd
import patient_table
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from covidlit.checkpoints.record import OtherInput, RunRecord
from covidlit.cli.train import whole_run
from covidlit.cohort import Split
from covidlit.datamodules.build import build_datamodule
from covidlit.datamodules.cohort_data import CohortData
from covidlit.errors import CheckpointError, ConfigError
from covidlit.runs.outcomes import OUTCOMES, outcome_of
from covidlit.runs.outcomes.outcome import Outcome
from covidlit.runs.runner import Runner
from covidlit.runs.steps import begin, facts_of, load_data, score, train
from covidlit.settings.tree import config_dir

Config = dict[str, Any]


def _volumes(overrides: list[str]) -> Config:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", [*overrides, "name=test"])
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """Sixty patients of two centres, whose target is a line through two numbers."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    table = pd.DataFrame(x, columns=["age", "crp"]).assign(
        patient_id=[f"P{number:02d}" for number in range(60)],
        centre=["a", "b"] * 30,
        target=3.0 * x[:, 0] - x[:, 1] + 0.01 * rng.normal(size=60),
    )
    path = tmp_path / "patients.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def table_config(patients: Path, tiny_overrides: list[str]) -> Callable[[str], Config]:
    """The configuration of a run of these patients."""

    def make(model: str) -> Config:
        config = _volumes([*tiny_overrides, "split=k_fold", "trainer.max_epochs=40"])
        network = {
            **config["model"],
            "task": {
                "_target_": "patient_table.PatientRegression",
                "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.1},
            },
        }
        ridge = {"_target_": "patient_table.RidgeRunner", "name": "ridge", "alpha": 0.1}
        if model == "svm":
            svm = _volumes([*tiny_overrides, "model=svm", "model.calibration.folds=2"])
            table = pd.read_csv(patients)
            table["target"] = (table["target"] > 0).astype(int)
            table.to_csv(patients, index=False)
            data = {
                "_target_": "patient_table.PatientTable", "path": str(patients),
                "columns": ["age", "crp"],
            }  # fmt: skip
            classifier = {**svm["model"], "features": None}
            return {**svm, "split": config["split"], "data": data, "model": classifier}
        return {
            **config,
            "label_rule": None,
            "inclusion": None,
            "evaluation": {"unit": "mm"},
            "data": {
                "_target_": "patient_table.PatientTable",
                "path": str(patients),
                "columns": ["age", "crp"],
            },
            "model": {"ridge": ridge, "network": network}[model],
        }

    return make


KINDS = [
    "volumes of a network", "volumes of an SVM", "slices of a network", "factors", "clinical",
    "network", "ridge", "svm",
]  # fmt: skip


@pytest.fixture(params=KINDS)
def config(
    request: pytest.FixtureRequest, tiny_overrides: list[str], table_config: Any, tmp_path: Path
) -> Config:
    """A run of each kind."""
    if request.param == "factors":
        manifest, quantified = factor_cohort.write_cohort(tmp_path)
        given = [f"data.source.path={manifest}", f"data.factors={quantified}", "split=k_fold"]
        return _volumes(["model=factor_thresholds", "data=factors", *given])
    if request.param == "clinical":
        given = [f"data_dir={tmp_path}", "data.source.n_scans=150", "data.n_jobs=1"]
        return _volumes(["model=svm", "data=clinical", "model.calibration.folds=2", *given])
    if request.param == "slices of a network":
        slices: list[str] = request.getfixturevalue("slice_overrides")
        return _volumes([*slices, "model=maskrcnn_small"])
    kinds = {
        "volumes of a network": ["model=csacnet", "model.task.net.width=4"],
        "volumes of an SVM": ["model=svm", "model.calibration.folds=2"],
    }
    if request.param in kinds:
        return _volumes([*tiny_overrides, *kinds[request.param]])
    found: Config = table_config(request.param)
    return found


def test_the_contract(config: Config, tmp_path: Path) -> None:
    runner = begin(config, tmp_path)
    data = load_data(config, runner)
    outcome = outcome_of(runner)
    assert isinstance(runner, Runner)
    assert isinstance(data, CohortData)
    assert isinstance(outcome, Outcome)
    assert outcome.mode in ("max", "min")

    key = f"{data.unit}_id"
    ok = data.table[data.table["status"] == "ok"]
    assert {key, "patient_id", "target", "part", "reason"} <= set(data.table)
    assert set(ok[key]) <= set(data.split.parts)
    assert not ok.groupby("patient_id")["part"].nunique().gt(1).any()
    for part in ("train", "validation", "test"):
        names = data.rows_of(part)[key].tolist()
        assert names == ok.loc[ok["part"] == part, key].tolist()
        batches = list(data.dataloader_of(part))
        assert [name for batch in batches for name in batch[key]] == names
        features = data.features_of(part)
        assert len(features) == len(names)
        assert list(features) == data.feature_table()["name"].tolist()
    record = RunRecord(config={}, split_hash="", preprocess=data.input_record())  # type: ignore[arg-type]
    assert RunRecord.model_validate_json(record.model_dump_json()) == record
    assert json.loads(json.dumps(data.facts()))["source"]
    swapped = dict.fromkeys(data.split.parts, "train") | dict.fromkeys(names, "test")
    other = data.with_split(data.split.model_copy(update={"parts": swapped}))
    assert other.rows_of("test")[key].tolist() == names
    assert other.rows_of("validation").empty
    assert data.rows_of("validation")[key].tolist()

    outcome.check_settings(config)
    outcome.check(config, data)
    train(config, tmp_path, data, runner)
    tables = score(config, tmp_path, data, runner)
    again = outcome.read(tmp_path)
    assert {name: len(table) for name, table in again.items()} == {
        name: len(table) for name, table in tables.items()
    }
    assert outcome.value(again) == outcome.value(tables)
    assert json.loads(json.dumps(facts_of(runner, config)))["model"]["model"] == runner.name


@pytest.mark.parametrize("model", ["network", "ridge"])
def test_another_outcome_of_another_unit_is_a_whole_run(
    model: str, table_config: Callable[[str], Config], tmp_path: Path
) -> None:
    value = whole_run(table_config(model), tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert value is not None
    assert metrics["mae"] < 1.0  # of a target whose spread is about 3
    numbers = pd.read_parquet(tmp_path / "numbers.parquet")
    split = Split.load(tmp_path / "split.json")
    assert set(numbers["patient_id"]) == {*split.scans("validation"), *split.scans("test")}
    state = json.loads((tmp_path / "run.json").read_text())
    assert state["facts"]["selected_on"] == ("validation" if model == "network" else None)


def test_another_outcome_is_cross_validated(
    table_config: Callable[[str], Config], tmp_path: Path
) -> None:
    config = table_config("ridge")
    config["split"] = {**config["split"], "fold": "all", "n_folds": 4}
    whole_run(config, tmp_path)
    numbers = pd.read_parquet(tmp_path / "numbers.parquet")
    tested = numbers[numbers["part"] == "test"]
    assert sorted(tested["patient_id"]) == [f"P{number:02d}" for number in range(60)]
    assert json.loads((tmp_path / "metrics.json").read_text())["folds"] == 4


def test_a_model_of_a_table_scores_no_scans(
    table_config: Callable[[str], Config], tmp_path: Path
) -> None:
    data = build_datamodule(table_config("ridge"), trusted=True)
    record = RunRecord(config={}, split_hash="", preprocess=data.input_record())  # type: ignore[arg-type]
    assert isinstance(record.preprocess, OtherInput)
    with pytest.raises(CheckpointError, match="takes no scan, but input of the kind 'table'"):
        _ = record.volume_input


def test_what_the_data_lack_is_said_before_anything_is_prepared(
    table_config: Callable[[str], Config], tmp_path: Path
) -> None:
    config = table_config("ridge")
    config["data"]["columns"] = ["age", "crb"]
    with pytest.raises(ConfigError, match="no column 'crb'"):
        whole_run(config, tmp_path)


def test_a_class_of_the_user_s_is_built_from_the_command_line_alone(
    table_config: Callable[[str], Config],
) -> None:
    config = table_config("ridge")
    assert isinstance(build_datamodule(config, trusted=True), patient_table.PatientTable)
    with pytest.raises(ConfigError, match=r"PatientTable.*allow_target"):
        build_datamodule(config)


def test_every_outcome_that_a_task_may_name_is_there() -> None:
    for name in OUTCOMES:
        found = outcome_of(type("Named", (), {"outcome": name})())
        assert isinstance(found, Outcome)
