"""Runs on clinical tables, end to end."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import clinical_tables as hospital
import numpy as np
import pandas as pd
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from covidlit.cli.train import whole_run
from covidlit.datamodules.build import build_datamodule
from covidlit.datamodules.tables import ClinicalDataModule
from covidlit.evaluation.predictions import read_predictions
from covidlit.settings.tree import config_dir


def run(folder: Path, *overrides: str) -> Path:
    given = [f"data_dir={folder}", "data.n_jobs=1", "evaluation.n_bootstrap=100", "name=test"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", ["data=clinical", *given, *overrides])
    plain: Any = OmegaConf.to_container(config, resolve=True)
    whole_run(plain, folder / "run")
    return folder / "run"


def test_the_synthetic_cohort_needs_no_path(tmp_path: Path) -> None:
    folder = run(tmp_path, "model=svm", "data.source.n_scans=150")
    metrics = json.loads((folder / "metrics.json").read_text())["parts"]["test"]
    assert metrics["auc"]["value"] > 0.5
    predictions = read_predictions(folder / "predictions.parquet")
    assert set(predictions["class_name"]) <= {"mild", "moderate", "severe", "critical"}
    assert "SYNTHETIC DATA" in (folder / "report.html").read_text()
    assert len(pd.read_csv(folder / "features.csv")) == 25


@pytest.fixture
def source(tmp_path: Path) -> list[str]:
    """A hospital's own table of 60 patients, who die with little haemoglobin, and its mapping."""
    rng = np.random.default_rng(0)
    rows = []
    for k in range(60):
        dead = k % 3 == 0
        own = list(hospital.ROWS[k % 4])
        own[0], own[1], own[2], own[3] = f"P{k:02d}", "2020-02-02", "2020-02-02", "2020-02-20"
        own[6], own[7] = "dead" if dead else "home", (9 if dead else 13) + rng.normal(0, 1)
        rows.append(own)
    table = hospital.frame(rows).assign(Hospital=["a", "b"] * 30)
    table.to_csv(tmp_path / "labs.csv", index=False)
    mapping = hospital.changed(centre="Hospital")
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(mapping, allow_unicode=True))
    return [
        f"data.source.path={tmp_path / 'labs.csv'}", f"data.mapping={tmp_path / 'own.yaml'}",
        "label_rule=died", "model=random_forest", "model.classifier.n_estimators=20",
    ]  # fmt: skip


def test_folds_of_a_hospitals_own_table(tmp_path: Path, source: list[str]) -> None:
    folder = run(tmp_path, *source, "split=k_fold", "split.n_folds=3", "split.fold=all")
    predictions = read_predictions(folder / "predictions.parquet")
    tested = predictions[predictions["part"] == "test"]
    assert sorted(tested["scan_id"]) == [f"P{k:02d}" for k in range(60)]
    assert (folder / "report.html").is_file()
    scores = tested.groupby("target")["score"].mean()
    assert scores[1] > scores[0] + 0.4


def test_a_centre_is_held_out(tmp_path: Path, source: list[str]) -> None:
    folder = run(tmp_path, *source, "split=centre_held_out", "split.test_centres=[b]",
                 "model.features=[clinical,age]")  # fmt: skip
    predictions = read_predictions(folder / "predictions.parquet")
    assert set(predictions.loc[predictions["part"] == "test", "centre"]) == {"b"}
    # The data can be built again from what the run's folder says.
    kept = yaml.safe_load((folder / "config.yaml").read_text())
    data = build_datamodule(kept)
    assert isinstance(data, ClinicalDataModule)
    assert pickle.loads(pickle.dumps(data)).rows_of("test")["patient_id"].tolist() == sorted(
        predictions.loc[predictions["part"] == "test", "patient_id"]
    )
    names = pd.read_csv(folder / "features.csv")["name"].tolist()
    assert names == ["leukocytes_1e9_per_l", "lymphocyte_percent", "haemoglobin_g_per_l",
                     "alt_u_per_l", "age"]  # fmt: skip
