"""Further columns of a table of contract 9: labels, features that are named, and names taken."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import clinical_tables as hospital
import numpy as np
import pandas as pd
import pytest

from covidlit.cohort.label_rule import ByClass, ByColumn, LabelRule, ManifestTarget, MultiClass
from covidlit.cohort.splits import patient_k_fold
from covidlit.datamodules.cohort_data import TO_CHECK
from covidlit.datamodules.tables import ClinicalDataModule
from covidlit.datamodules.tables.separation import separating
from covidlit.errors import ConfigError, ManifestError

DIED = ByColumn("outcome", ["died"], ["survived"])


def folds(table: pd.DataFrame) -> Any:
    return patient_k_fold(table, n_folds=4, validation_fraction=0.2)


def table(**columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    died = np.arange(60) % 3 == 0
    return pd.DataFrame(
        {
            "patient_id": [f"P{k:02d}" for k in range(60)],
            "date": "2021-01-01",
            "leukocytes_1e9_per_l": rng.normal(8, 2, 60).round(1),
            "outcome": np.where(died, "died", "survived"),
            "died_in_icu": died.astype(int),
        }
    ).assign(**columns)


def data_of(folder: Path, rows: pd.DataFrame, rule: Any = DIED) -> ClinicalDataModule:
    rows.to_csv(folder / "own.csv", index=False)
    return ClinicalDataModule(folder / "own.csv", folds, label_rule=rule)


TAKEN = [
    "target", "part", "moment", "key", "status", "fold", "seed", "score", "model", "run_id",
    "male", "time_days", "scan_days", "risk_score", "repeat", "_key", "Part",
]  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_a_column_with_a_name_of_covidlits_own_is_no_feature(tmp_path: Path, name: str) -> None:
    rows = table(sex="F", **{name: np.arange(60) % 2})
    data = data_of(tmp_path, rows.drop(columns="died_in_icu"))
    data.setup()
    data.check_columns()
    assert data.feature_table()["name"].tolist() == ["leukocytes_1e9_per_l", "male"]
    assert list(data.features_of("train")) == ["leukocytes_1e9_per_l", "male"]
    if name not in ("target", "model", "run_id"):  # a label, and texts
        assert any(f"1 column left out ({name})" in line for line in data.rows.lines)


def test_the_target_of_a_table_is_a_label(tmp_path: Path) -> None:
    own = np.arange(60) % 2
    for values in (own, own.astype(float), own.astype(bool)):
        data = data_of(tmp_path, table(target=values), ManifestTarget())
        data.setup()
        assert data.manifest["target"].tolist() == own.tolist()
    with pytest.raises(ManifestError, match=r"column 'target': 'yes' is no number of a class"):
        data_of(tmp_path, table(target="yes"), ManifestTarget()).setup()
    with pytest.raises(ManifestError, match=r"0.5.* is no number of a class"):
        data_of(tmp_path, table(target=0.5), ManifestTarget()).setup()


@pytest.mark.parametrize(
    "rule", [ManifestTarget(), LabelRule(), ByClass(["covid"]), MultiClass(["np", "covid"])]
)
def test_rules_of_scans_say_what_patients_lack(tmp_path: Path, rule: Any) -> None:
    with pytest.raises(ManifestError, match=r"class_name.*label_rule=died") as caught:
        data_of(tmp_path, table(), rule).setup()
    assert "KeyError" not in str(caught.value)


def test_a_class_name_of_the_table_is_a_label(tmp_path: Path) -> None:
    names = np.where(np.arange(60) % 2 == 0, "covid", "cap")
    data = data_of(tmp_path, table(class_name=names), ByClass(["covid"]))
    assert data.manifest["target"].tolist() == (np.arange(60) % 2 == 0).astype(int).tolist()


def test_further_features_are_named_and_columns_of_any_name_can_be_one(tmp_path: Path) -> None:
    rows = table(**{"CRP (mg/L)": 1.5, "Größe": 170.0, "体重": 70.0, "note": "x"})
    data = data_of(tmp_path, rows)
    names = ["leukocytes_1e9_per_l", "died_in_icu", "crp_mg_l", "groe"]
    assert data.feature_table()["name"].tolist() == names
    told = [line for line in data.rows.lines if line.startswith("Further columns")]
    assert len(told) == 1
    assert "died_in_icu, crp_mg_l, groe" in told[0]
    assert any("体重): covidlit's own" in line for line in data.rows.lines)
    with pytest.raises(ManifestError, match=r"'BMI' and 'bmi' would be one feature"):
        data_of(tmp_path, table(BMI=20.0, bmi=21.0)).setup()


def test_a_feature_that_is_the_outcome_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from covidlit.runs.log import log_cohort

    data = data_of(tmp_path, table())
    data.setup()
    assert "died_in_icu alone tells the two classes" in data.facts()[TO_CHECK]
    assert "leukocytes" not in data.facts()[TO_CHECK]
    with caplog.at_level(logging.WARNING):
        log_cohort(data)
    assert "Possible leakage: died_in_icu alone" in caplog.text


def test_diseases_of_a_table_stay_features(tmp_path: Path) -> None:
    ill = (np.arange(60) % 4 == 0).astype(object)
    ill[5] = None
    data = data_of(tmp_path, table(comorbidity_diabetes=ill, comorbidity_count=2))
    known = data.feature_table().set_index("name")
    assert known.loc["comorbidity_diabetes", "group"] == "demographic"
    values = data.numbers.table["comorbidity_diabetes"]
    assert values.isna().sum() == 1
    assert values.sum() == 15


@pytest.mark.parametrize(
    "change",
    [
        {"further": {"moment": {"names": "CRP", "unit": "mg/L"}}},
        {"further": {"part": {"names": "CRP", "unit": "mg/L"}}},
        {"further": {"symptom_score": {"names": "CRP", "unit": "1"}}},
        {"groups": {"status": "Status"}},
        {"groups": {"outcome": "Status"}},
        {"groups": {"score_a": "Status"}},
        {"comorbidities": {"flags": {"count": "Status"}}},
    ],
)
def test_a_mapping_cannot_take_these_names_either(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="another"):
        hospital.read(tmp_path, hospital.frame(), hospital.changed(**change))


def test_separation_is_that_of_the_auc_and_never_of_chance() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    target = pd.Series(np.repeat([0, 1], [150, 50]))
    values = pd.DataFrame(
        {
            "noise": rng.normal(size=200), "same": -target.astype(float), "most": target * 1.0,
            "gaps": target.where(rng.random(200) < 0.5),
        }
    )  # fmt: skip
    values.loc[0, "most"] = 2.0  # below all others before, now above: a hundredth of the pairs
    assert roc_auc_score(target, values["most"]) < 0.999
    assert separating(values, target) == ["same", "gaps"]
    few = pd.Series([0, 0, 1, 1])
    assert separating(few.to_frame("x").astype(float), few) == []
    assert separating(values, target.where(target.index > 3, 2)) == []
