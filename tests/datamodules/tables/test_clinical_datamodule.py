"""Patients of clinical tables as the data of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import clinical_tables as hospital
import numpy as np
import pandas as pd
import pytest

from covidlit.cohort.endpoint import Endpoint
from covidlit.cohort.label_rule import ByColumn
from covidlit.cohort.splits import centre_held_out, patient_k_fold
from covidlit.datamodules.tables import ClinicalDataModule
from covidlit.datamodules.tables.clinical_source import clinical_file
from covidlit.errors import ConfigError, LeakageError, ManifestError
from covidlit.tables import write_table

DIED = ByColumn("outcome", ["died"], ["survived"])
SEVERE = ByColumn("severity", ["severe", "critical"], ["mild", "moderate"])


def folds(table: pd.DataFrame) -> Any:
    return patient_k_fold(table, n_folds=4, validation_fraction=0.2)


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clinical_file(folder=str(tmp_path_factory.mktemp("labs")), n_scans=200)


def test_rows_are_patients_with_raw_values(labs: Path) -> None:
    data = ClinicalDataModule(labs, folds, label_rule=SEVERE, after_days=0)
    table = pd.read_csv(labs)
    data.setup()
    assert data.unit == "patient"
    assert len(data.table) == table["patient_id"].nunique()
    assert set(data.split.parts) == set(data.table["patient_id"])
    first = table.sort_values("date").groupby("patient_id", as_index=False).head(1)
    first = first.set_index("patient_id")
    features = data.features_of("train")
    rows = data.rows_of("train")
    for name in ("haemoglobin_g_per_l", "lymphocyte_percent", "age"):
        expected = first.loc[rows["patient_id"], name].to_numpy(float)
        np.testing.assert_allclose(features[name].to_numpy(), expected)
    assert features["lymphocyte_percent"].isna().any()
    known = data.feature_table().set_index("name")
    assert set(known["group"]) == {"clinical", "demographic", "symptom"}
    assert known.loc["pao2_mmhg", "unit"] == "mmHg"
    assert len(data.feature_table(["clinical"])) == 17
    batch = next(iter(data.dataloader_of("train")))
    assert batch["patient_id"][0] == rows["patient_id"].iloc[0]
    np.testing.assert_allclose(batch["numbers"][0], features.iloc[0].to_numpy(), rtol=1e-6)
    assert data.facts()["source"].endswith("clinical.csv")


def test_values_after_the_index_do_not_matter(labs: Path, tmp_path: Path) -> None:
    table = pd.read_csv(labs)
    days = pd.to_datetime(table["date"])
    later = days > days.groupby(table["patient_id"]).transform("min")
    assert later.any()
    table.loc[later, "haemoglobin_g_per_l"] = 61.0
    table.loc[later, "symptom_fever"] = True
    write_table(table, tmp_path / "other.csv")
    both = []
    for path in (labs, tmp_path / "other.csv"):
        data = ClinicalDataModule(path, folds, label_rule=SEVERE, after_days=0)
        both.append(data.numbers.table)
    pd.testing.assert_frame_equal(*both)


def test_other_hospitals_by_configuration_alone(labs: Path, tmp_path: Path) -> None:
    data = ClinicalDataModule(
        labs, lambda table: centre_held_out(table, ["second", "third"]), centre="first",
        hospitals=hospital.others(tmp_path, pd.read_csv(labs)), label_rule=SEVERE,
    )  # fmt: skip
    data.setup()
    tested = data.rows_of("test")
    assert set(tested["centre"]) == {"second", "third"}
    values = data.features_of("test").set_index(tested["patient_id"])
    own = data.features_of("train").set_index(data.rows_of("train")["patient_id"])
    assert values.filter(like="s", axis=0)["albumin_g_per_l"].isna().sum() >= len(tested) / 2
    same = values.loc["t" + own.index].set_index(own.index)
    pd.testing.assert_frame_equal(same, own, rtol=1e-9)
    told = data.missingness().warnings
    assert any(text.startswith("albumin_g_per_l is missing throughout") for text in told)


def test_patients_of_one_name_in_two_hospitals(labs: Path) -> None:
    data = ClinicalDataModule(
        labs, folds, hospitals={"again": {"path": str(labs)}}, label_rule=SEVERE
    )
    with pytest.raises(ManifestError, match=r"of different hospitals share.*patient.prefix"):
        data.setup()


def labelled(folder: Path, rows: list[tuple[str, int]]) -> Path:
    table = pd.DataFrame(rows, columns=["patient_id", "target"])
    return write_table(table, folder / "labels.csv")


def clinical(folder: Path, **options: Any) -> ClinicalDataModule:
    rows = [[f"P{k:02d}", *hospital.ROWS[k % 4][1:]] for k in range(40)]
    hospital.frame(rows).to_csv(folder / "labs.csv", index=False)
    return ClinicalDataModule(folder / "labs.csv", folds, mapping=hospital.MAPPING, **options)


def test_labels_of_another_table(tmp_path: Path) -> None:
    labels = labelled(tmp_path, [(f"P{k:02d}", k % 2) for k in range(38)])
    data = clinical(tmp_path, labels=labels)
    data.setup()
    assert int(data.table["target"].notna().sum()) == 38
    assert (data.table["status"] == "refused").sum() == 2
    labels = labelled(tmp_path, [("P01", 1), ("P02", 0), ("X1", 1)])
    with pytest.raises(ManifestError) as caught:
        clinical(tmp_path, labels=labels).setup()
    for part in ("labels.csv", "rows 3 (line 4 of the file)", "'X1'", "unknown_patients"):
        assert part in str(caught.value)
    labels = labelled(tmp_path, [(f"P{k:02d}", k % 2) for k in range(40)] + [("X1", 1)])
    kept = clinical(tmp_path, labels=labels, unknown_patients="leave_out")
    kept.setup()
    assert len(kept.table) == 40
    labels = labelled(tmp_path, [("P01", 1), ("P01", 0)])
    with pytest.raises(ManifestError, match="different labels"):
        clinical(tmp_path, labels=labels).setup()


def test_the_window_and_the_rule_reach_the_numbers(tmp_path: Path) -> None:
    hospital.frame().to_csv(tmp_path / "labs.csv", index=False)

    def numbers(**options: Any) -> pd.DataFrame:
        data = ClinicalDataModule(
            tmp_path / "labs.csv", folds, mapping=hospital.MAPPING, label_rule=DIED, **options
        )
        return data.numbers.table.set_index("patient_id")

    assert numbers()["haemoglobin_g_per_l"].tolist() == [135, 110, 142]
    assert numbers(rule="worst", after_days=5)["lymphocyte_percent"].tolist() == [10, 5, 30]
    rules = {"default": "first", "crp_mg_per_l": ["worst", "slope"]}
    found = numbers(rule=rules, after_days=None)
    assert found["crp_mg_per_l"].tolist()[0] == 125
    assert found["crp_mg_per_l_slope_per_day"].tolist()[0] == pytest.approx(115 / 2)
    # C was admitted a day before its first values.
    assert np.isnan(numbers(after_days=0)["haemoglobin_g_per_l"].tolist()[2])
    assert numbers(after_days=0, index="first_measurement")["haemoglobin_g_per_l"].tolist() == [
        135, 110, 142,
    ]  # fmt: skip


def test_times_to_an_endpoint_run_from_the_index(tmp_path: Path) -> None:
    hospital.frame().to_csv(tmp_path / "labs.csv", index=False)
    rule = Endpoint("outcome", ["died"], competing=["survived"])
    times = {}
    for index in ("admission", "first_measurement"):
        data = ClinicalDataModule(
            tmp_path / "labs.csv", folds, mapping=hospital.MAPPING, label_rule=rule, index=index,
            after_days=0,
        )  # fmt: skip
        rows = data.manifest
        times[index] = rows["time_days"].tolist()
        assert rows["target"].tolist() == [0, 1, 0]
        assert rows["competing_event"].tolist() == [True, False, True]
        assert not {"time_days", "event_time_days", "outcome"} & set(data.numbers.names)
    # C was admitted a day before its first values.
    assert times == {"admission": [19, 8, 24], "first_measurement": [19, 8, 23]}


def died_after(folder: Path, days: list[int], **options: Any) -> ClinicalDataModule:
    """Patients admitted on 1 February with values of that day and the next two, who all died."""
    rows = []
    for k, day in enumerate(days):
        left = f"2020-02-{1 + day:02d}"
        for seen in range(3):
            rows.append([f"P{k:02d}", f"2020-02-{1 + seen:02d} 07:00", "2020-02-01 07:00", left, 60,
                         1, "dead", 13.0 + seen, 5000, 0.25, 0.5, 1.0])  # fmt: skip
    hospital.frame(rows).to_csv(folder / "labs.csv", index=False)
    return ClinicalDataModule(
        folder / "labs.csv", folds, mapping=hospital.MAPPING, rule="last", **options
    )


DAYS = [0, 1, 2, 3, 5, 9, 9, 9, 9, 9]


@pytest.mark.parametrize(
    ("after", "times"),
    [(0, DAYS), (1, [None, None, 1, 2, 4, *[8] * 5]), (2, [None, None, None, 1, 3, *[7] * 5])],
)
def test_time_counts_from_the_end_of_the_window(
    tmp_path: Path, after: float, times: list[float | None]
) -> None:
    data = died_after(tmp_path, DAYS, after_days=after, label_rule=Endpoint("outcome", ["died"]))
    rows = data.manifest
    assert rows["time_days"].fillna(-1).tolist() == [-1 if t is None else t for t in times]
    left = times.count(None)
    assert rows["target"].isna().sum() == left
    reasons = rows.loc[rows["target"].isna(), "reason"]
    assert reasons.str.contains(f"within {after} day").all()
    if after:
        assert f"{left} of 10 patients had the event or were lost" in data.facts()["times"]
    assert data.input_record()["landmark_days"] == after
    # A value after the clock's start is never used, so none tells that a day was survived.
    haemoglobin = data.numbers.table["haemoglobin_g_per_l"][rows["target"].notna()]
    assert haemoglobin.max() <= 130 + 10 * after


def test_scans_of_later_than_the_window_move_the_clock(tmp_path: Path) -> None:
    import factor_cohort

    scans = factor_cohort.manifest(60).assign(acquisition_date="2020-02-01")
    _, quantified = factor_cohort.write_cohort(tmp_path, scans)
    data = clinical(
        tmp_path, factors=quantified, latest_days=8, label_rule=Endpoint("outcome", ["died"])
    )
    rows = data.manifest
    assert data.input_record()["landmark_days"] == 8
    assert rows["time_days"].isna().tolist()[:4] == [False, False, True, False]  # 8 days after
    assert rows["time_days"].tolist()[0] == 19 - 8


def test_a_window_up_to_the_outcome_has_no_clock(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.after_days.*data\.after_days=1"):
        died_after(tmp_path, DAYS, after_days=None, label_rule=Endpoint("outcome", ["died"]))
    died_after(tmp_path, DAYS, after_days=None, label_rule=DIED)  # as a class it can be


def test_a_horizon_counts_from_the_end_of_the_window(tmp_path: Path) -> None:
    rule = Endpoint("outcome", ["died"], horizon=3)
    rows = died_after(tmp_path, DAYS, after_days=2, label_rule=rule).manifest
    assert rows["target"].fillna(-1).tolist() == [-1, -1, -1, 1, 1, 0, 0, 0, 0, 0]
    assert rows["time_days"].max() == 3


def test_deterioration_is_timed_by_its_own_date(tmp_path: Path) -> None:
    rows, visits = [], {1: "mild", 3: "moderate", 6: "critical", 9: "severe"}
    for k in range(12):
        for day, severity in visits.items():
            own = "moderate" if k % 3 and severity in ("critical", "severe") else severity
            rows.append([f"P{k:02d}", f"2020-02-{day:02d}", "2020-02-01", "2020-02-27", 60, 1,
                         "home", 12 + day / 2, 5000, 0.25, 0.5, 1.0, own])  # fmt: skip
    table = pd.DataFrame(rows, columns=[*hospital.COLUMNS, "Severity"])
    table.to_csv(tmp_path / "labs.csv", index=False)
    for severity, said in (("Severity", ""), (None, "none of the 4 patients")):
        flag = ["yes" if k % 3 == 0 else "no" for k in range(12) for _ in visits]
        table.assign(Worse=flag).to_csv(tmp_path / "labs.csv", index=False)
        data = ClinicalDataModule(
            tmp_path / "labs.csv", folds, rule="last", after_days=2,
            mapping=hospital.changed(severity=severity, progressed="Worse"),
            label_rule=Endpoint("progressed", [True]),
        )  # fmt: skip
        if said:
            with pytest.raises(ManifestError, match=said):
                data.setup()
            continue
        found = data.manifest
        assert found["target"].tolist() == [1, 0, 0] * 4
        # Worse after 5 days, home after 26; the clock starts with the end of the window, after 2.
        assert found["time_days"].tolist() == [3, 24, 24] * 4
    late = ClinicalDataModule(
        tmp_path / "labs.csv", folds, rule="last", after_days=None,
        mapping=hospital.changed(severity="Severity", progressed="Worse"),
        label_rule=ByColumn("progressed", [True]),
    )  # fmt: skip
    # As a class too, no value of who was found worse is of that day or later.
    assert late.numbers.table["haemoglobin_g_per_l"].tolist() == [135, 165, 165] * 4


def test_another_column_is_the_index(tmp_path: Path) -> None:
    table = hospital.frame().assign(Onset=["2020-02-03", "2020-02-03", "2020-02-02", "2020-02-05"])
    table.to_csv(tmp_path / "labs.csv", index=False)
    data = ClinicalDataModule(
        tmp_path / "labs.csv", folds, mapping=hospital.MAPPING, label_rule=DIED, index="Onset",
        rule="last", after_days=0,
    )  # fmt: skip
    assert data.numbers.table["haemoglobin_g_per_l"].tolist() == [120, 110, 142]


def test_a_feature_of_the_day_of_the_outcome_is_refused_by_name(tmp_path: Path) -> None:
    table = hospital.frame().assign(Ventilated=["yes", "no", "yes", "no"])
    table.to_csv(tmp_path / "labs.csv", index=False)
    further = {"ventilated": {"names": "Ventilated", "map": {"yes": 1, "no": 0}, "date": "Left"}}
    data = ClinicalDataModule(
        tmp_path / "labs.csv", folds, mapping=hospital.changed(further=further), label_rule=DIED
    )
    with pytest.raises(ManifestError, match="ventilated was known only after the outcome"):
        data.setup()
    table.loc[1, "Left"] = None
    table.loc[0, "Left"] = None
    table.to_csv(tmp_path / "labs.csv", index=False)
    with pytest.raises(ManifestError, match=r"line 2 of the file.*has no date of its own"):
        data.setup()


def test_factors_and_scores_join_by_date(tmp_path: Path) -> None:
    import factor_cohort

    scans = factor_cohort.manifest(60).assign(acquisition_date="2020-02-01")
    _, quantified = factor_cohort.write_cohort(tmp_path, scans)
    predictions = scans[["patient_id", "scan_id", "target", "class_name"]].assign(
        part=["validation" if k % 5 == 0 else "test" for k in range(len(scans))],
        score=np.linspace(0, 1, len(scans)), model="resnet3d", status="ok",
    )  # fmt: skip
    write_table(predictions, tmp_path / "predictions.parquet")
    data = clinical(
        tmp_path, label_rule=DIED, factors=quantified,
        predictions=tmp_path / "predictions.parquet", scan_dates=tmp_path / "manifest.csv",
    )  # fmt: skip
    data.setup()
    known = data.feature_table().set_index("name")
    assert (known["group"] == "imaging").sum() == 11
    assert known.loc["score_of_resnet3d", "group"] == "score"
    rows = data.numbers.table.set_index("patient_id")
    factors = pd.read_parquet(quantified / "factors.parquet").set_index("scan_id")
    # The index of P03 is on 4 February, three days after its scan, and P01's is on the second.
    for patient in ("P01", "P03"):
        own = factors.loc[f"S{patient[1:]}-0"]
        assert rows.loc[patient, "n_lesions"] == own["n_lesions"]
    tested = predictions[predictions["part"] == "test"].set_index("patient_id")["score"]
    assert rows.loc["P02", "score_of_resnet3d"] == tested["P02"]
    assert rows.loc["P04":"P04", "score_of_resnet3d"].isna().all()  # of the validation part
    assert any("rows of factors belong to no clinical row" in line for line in data.rows.lines)


@pytest.mark.parametrize(
    ("column", "positive", "feature"), [("smoker", True, "smoker"), ("sex", "M", "male")]
)
def test_what_is_predicted_is_no_feature(
    labs: Path, column: str, positive: Any, feature: str
) -> None:
    data = ClinicalDataModule(labs, folds, label_rule=ByColumn(column, [positive]))
    assert feature not in data.feature_table()["name"].tolist()
    assert feature not in data.features_of("train")
    assert any(line.startswith(feature) for line in data.rows.lines)


def test_settings_that_do_not_fit(labs: Path) -> None:
    with pytest.raises(ConfigError, match="unknown_patients"):
        ClinicalDataModule(labs, folds, unknown_patients="ignore")
    with pytest.raises(ConfigError, match=r"data.hospitals.north"):
        ClinicalDataModule(labs, folds, hospitals={"north": "n.csv"}).setup()
    with pytest.raises(ManifestError, match="no index date"):
        ClinicalDataModule(labs, folds, index="admission").setup()
    with pytest.raises(ManifestError, match="did you mean outcome"):
        ClinicalDataModule(labs, folds, label_rule=ByColumn("outcom", ["died"])).setup()


def test_one_patient_under_two_names_is_a_leak(tmp_path: Path) -> None:
    rows = [[f"P{k:02d}", *hospital.ROWS[k % 4][1:]] for k in range(40)]
    rows.append(["p01", *rows[1][1:]])
    hospital.frame(rows).to_csv(tmp_path / "labs.csv", index=False)
    parts = {row[0]: "test" if row[0] == "p01" else "train" for row in rows}

    def split(table: pd.DataFrame) -> Any:
        found = patient_k_fold(table, n_folds=4, validation_fraction=0)
        return found.model_copy(update={"parts": parts})

    data = ClinicalDataModule(
        tmp_path / "labs.csv", split, mapping=hospital.MAPPING, label_rule=DIED
    )
    with pytest.raises(LeakageError, match="the same patient"):
        data.setup()
