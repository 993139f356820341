"""Factors joined to a manifest: what is found, what is not, and what no lesion reads as."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import factor_cohort
import numpy as np
import pandas as pd
import pytest
import torch

from covidlit.cohort.factor_limits import FACTORS
from covidlit.cohort.factor_readings import READINGS
from covidlit.cohort.factor_tables import validate_factors
from covidlit.cohort.label_rule import ByClass
from covidlit.cohort.splits import from_column, patient_k_fold
from covidlit.datamodules.tables import FactorDataModule
from covidlit.errors import ConfigError, LeakageError, ManifestError, SplitError
from covidlit.tables import write_table

Make = Callable[..., FactorDataModule]
FOLDS = partial(patient_k_fold, n_folds=4, fold=0, validation_fraction=0.2, seed=0)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A datamodule of the cohort, or of other tables."""

    def build(
        scans: pd.DataFrame | None = None, measured: pd.DataFrame | None = None, **changes: Any
    ) -> FactorDataModule:
        manifest, quantified = factor_cohort.write_cohort(tmp_path, scans, measured)
        return FactorDataModule(manifest, quantified, **{"split": FOLDS, **changes})

    return build


def test_each_scan_has_its_own_factors_in_every_part(make: Make) -> None:
    data = make()
    measured = factor_cohort.factors(factor_cohort.manifest()).set_index("scan_id")
    seen = []
    for part in ("train", "validation", "test"):
        rows, found = data.rows_of(part), data.features_of(part)
        assert list(found) == list(FACTORS) == data.feature_table()["name"].tolist()
        assert found["total_volume_ml"].tolist() == pytest.approx(
            measured.loc[rows["scan_id"], "total_volume_ml"].tolist()
        )
        batches = list(data.dataloader_of(part))
        names = [name for each in batches for name in each["scan_id"]]
        assert names == rows["scan_id"].tolist()
        numbers = torch.cat([each["numbers"] for each in batches]).numpy()
        assert np.allclose(numbers, found.to_numpy(), equal_nan=True, rtol=1e-6)
        seen += names
    assert sorted(seen) == sorted(measured.index)
    assert not data.table.groupby("patient_id")["part"].nunique().gt(1).any()
    assert not set(FACTORS) & set(data.table)  # the predictions table describes scans


def test_the_parts_are_those_of_other_data_of_the_manifest(make: Make) -> None:
    scans = factor_cohort.manifest()
    whole = make().split
    few = make(measured=factor_cohort.factors(scans).iloc[5:]).split
    assert few.hash == whole.hash == FOLDS(scans).hash


def test_no_lesion_reads_as_nothing_found_and_not_as_0(make: Make) -> None:
    data = make(scans=factor_cohort.manifest())
    rows, found = data.rows_of("train"), data.features_of("train")
    none = found[found["n_lesions"] == 0]
    assert len(none)
    assert set(rows.loc[none.index, "class_name"]) == {"np"}
    for name, reading in READINGS.items():
        assert (
            none[name].isna().all()
            if reading.nothing_found is None
            else (none[name] == reading.nothing_found).all()
        )
    # On the side of health of every scan with lesions, so that one threshold tells them apart.
    some = found[found["n_lesions"] > 0]
    for name, reading in READINGS.items():
        if reading.nothing_found is not None:
            known = some[name].dropna()
            healthy = (
                known > reading.nothing_found
                if reading.worse == "high"
                else (known < reading.nothing_found)
            )
            assert healthy.all(), name
    # What is undefined in a scan with lesions is not known, whatever the factor.
    assert some["edge_clarity_hu_per_mm"].isna().any()
    assert found["volume_change_ml"].isna().all()
    record = data.input_record()
    assert record["kind"] == "factors"
    assert record["columns"] == list(FACTORS)
    assert record["nothing_found"]["pleural_distance_mm"] == 50.0
    table = data.feature_table().set_index("name")
    assert table.loc["form", ["unit", "worse", "nothing_found"]].tolist() == ["1", "low", 1.0]
    assert table.loc["edge_clarity_hu_per_mm", "unit"] == "HU/mm"


def test_every_factor_has_a_reading() -> None:
    assert list(READINGS) == list(FACTORS)


def test_a_value_of_ones_own_and_further_columns(make: Make) -> None:
    data = make(
        columns=["form", "density_sd_hu"], nothing_found={"density_sd_hu": 0.0, "form": 0.9}
    )
    with pytest.raises(KeyError):
        _ = data.features_of("train")["n_lesions"]
    found = data.features_of("train")
    assert found["density_sd_hu"].eq(0).any()
    assert found["form"].max() <= 0.9
    table = data.feature_table().set_index("name")
    assert table.loc["density_sd_hu", ["group", "unit"]].tolist() == ["further", "HU"]
    assert data.feature_table(["imaging"])["name"].tolist() == ["form"]
    assert data.feature_table(["density_sd_hu"])["name"].tolist() == ["density_sd_hu"]


def test_scans_and_factors_without_a_counterpart_are_counted_and_told(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    scans = factor_cohort.manifest()
    measured = factor_cohort.factors(scans)
    other = measured.tail(3).assign(scan_id=["X1", "X2", "X3"], patient_id=["Q1", "Q2", "Q3"])
    data = make(scans, pd.concat([measured.iloc[2:], other], ignore_index=True))
    data.setup()
    table = data.table.set_index("scan_id")
    assert table.loc["S00-0", "status"] == "refused"
    assert "no factors: it has no row in" in table.loc["S00-0", "reason"]
    assert (table["status"] == "refused").sum() == 2
    assert table.loc["S00-0", "part"] in ("train", "validation", "test")
    assert "2 of 70 scans of the manifest have no factors." in caplog.text
    assert "3 of 71 scans with factors are not in the manifest" in caplog.text
    assert data.facts()["scans without factors"] == "2"
    with pytest.raises(ManifestError, match=r"2 of 70 scans have no factors, such as S00-0"):
        make(scans, measured.iloc[2:], strict=True).prepare_data()


def test_the_list_of_scans_says_why_one_was_not_measured(make: Make, tmp_path: Path) -> None:
    scans = factor_cohort.manifest()
    data = make(scans, factor_cohort.factors(scans).iloc[1:])
    listed = pd.DataFrame(
        {"scan_id": ["S00-0", None], "status": ["refused"] * 2, "reason": ["no lungs", "broken"]}
    )
    write_table(listed, tmp_path / "quantified" / "scans.csv")
    assert data.table.set_index("scan_id").loc["S00-0", "reason"] == "no factors: no lungs"


def test_a_scan_that_was_refused_before_keeps_its_reason(make: Make) -> None:
    scans = factor_cohort.manifest().assign(status="ok", reason=None)
    scans.loc[0, ["status", "reason"]] = ["refused", "a slice is missing"]
    data = make(scans, factor_cohort.factors(scans).iloc[1:])
    assert data.table["reason"].dropna().tolist() == ["a slice is missing"]
    assert data.facts()["scans without factors"] == "0"


def test_factors_of_other_scans_or_of_other_patients_are_refused(make: Make) -> None:
    scans = factor_cohort.manifest()
    measured = factor_cohort.factors(scans)
    with pytest.raises(ManifestError, match=r"none of the 70 scans.*covidlit quantify"):
        make(scans, measured.assign(scan_id=measured["scan_id"] + "x")).setup()
    torn = measured.assign(patient_id=[f"Z{number}" for number in range(len(measured))])
    with pytest.raises(ManifestError, match=r"S00-0 and S00-1 are of one patient in the manifest"):
        make(scans, torn).setup()
    joined = measured.assign(patient_id=measured["patient_id"].replace("P01", "P02"))
    with pytest.raises(ManifestError, match=r"of one patient in .*factors\.parquet and of two"):
        make(scans, joined).setup()


def test_other_pseudonyms_of_the_same_people_are_fine(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    measured = factor_cohort.factors(factor_cohort.manifest())
    data = make(None, measured.assign(patient_id="K" + measured["patient_id"]))
    data.setup()
    assert "The patients of 70 scans have other names" in caplog.text
    assert set(data.table["patient_id"].str[0]) == {"P"}


def test_leaks_by_patient_stop_and_the_same_numbers_are_named(make: Make) -> None:
    scans = factor_cohort.manifest()
    parts = np.where(scans.index % 2, "train", "test")
    with pytest.raises(LeakageError, match="the same patient"):
        make(scans.assign(split=parts), split=partial(from_column, column="split")).setup()
    by_patient = scans["patient_id"].str[1:].astype(int) % 4 // 2
    scans["split"] = np.where(by_patient, "train", "test")
    measured = factor_cohort.factors(scans)
    twin = measured.columns.drop(["patient_id", "scan_id", "acquisition_date"])
    first = scans.index[scans["scan_id"] == "S01-0"][0]
    second = scans.index[scans["scan_id"] == "S03-0"][0]
    measured.loc[second, twin] = measured.loc[first, twin]
    data = make(scans, measured, split=partial(from_column, column="split"))
    data.setup()
    (found,) = [each for each in data.suspicions if each.kind == "same numbers"]
    assert "S01-0 (test) and S03-0 (train)" in found.text


def test_another_split_of_the_same_rows_reads_nothing_again(make: Make, tmp_path: Path) -> None:
    data = make()
    data.setup()
    (tmp_path / "quantified" / "factors.parquet").unlink()
    assert pickle.loads(pickle.dumps(data)).table.equals(data.table)
    other = data.with_split(partial(patient_k_fold, n_folds=4, fold=1, seed=0))
    assert set(other.rows_of("test")["scan_id"]) != set(data.rows_of("test")["scan_id"])


def test_a_label_rule_says_which_rows_have_a_target(make: Make) -> None:
    data = make(label_rule=ByClass(["covid"], ["np"]))
    table = data.table
    assert set(table.loc[table["part"].notna(), "class_name"]) == {"covid", "np"}
    assert table.loc[table["class_name"] == "cap", "reason"].str.startswith("no target").all()
    one = make(factor_cohort.manifest().assign(target=1))
    with pytest.raises(SplitError, match="would hold only target 1"):
        one.check_learnable()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": ["total_volume"]}, "did you mean total_volume_ml"),
        ({"columns": []}, "no column is named"),
        ({"columns": ["patient_id"]}, "no column of numbers 'patient_id'"),
        ({"columns": ["form", "form"]}, "stands twice"),
        ({"nothing_found": {"forms": 1.0}}, r"data\.nothing_found\.forms.*did you mean form"),
        ({"nothing_found": {"form": "round"}}, "must be a number, not 'round'"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], message: str, make: Make) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**changes).setup()


def test_a_folder_without_factors_is_named(tmp_path: Path) -> None:
    manifest, quantified = factor_cohort.write_cohort(tmp_path)
    (quantified / "factors.parquet").unlink()
    with pytest.raises(ManifestError, match=r"no factors\.parquet in this folder.*quantify"):
        FactorDataModule(manifest, quantified, FOLDS).setup()
    with pytest.raises(ManifestError, match=r"data have no|no such file|cannot be read"):
        FactorDataModule(manifest, tmp_path / "other.parquet", FOLDS).setup()


def test_unknown_features_are_named(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"did you mean total_volume_ml"):
        make().feature_table(["total_volume"])
    with pytest.raises(ConfigError, match="no feature is chosen"):
        make().feature_table([])
    assert validate_factors(factor_cohort.factors(factor_cohort.manifest(3)))["form"].notna().any()


def test_a_factor_that_no_scan_has_is_told(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    scans = factor_cohort.manifest()
    measured = factor_cohort.factors(scans).assign(edge_clarity_hu_per_mm=np.nan)
    measured.loc[measured["n_lesions"] == 0, "n_lesions"] = 1  # else it counts as nothing found
    data = make(scans, measured)
    data.setup()
    said = "edge_clarity_hu_per_mm, volume_change_ml are undefined in all 70 scans with factors"
    assert said in caplog.text
    caplog.clear()
    train = set(data.rows_of("train")["scan_id"])
    partly = factor_cohort.factors(scans).assign(volume_change_ml=1.0)
    partly.loc[partly["scan_id"].isin(train), "volume_change_ml"] = np.nan
    make(scans, partly).setup()
    assert "all 70 scans" not in caplog.text
    said = f"volume_change_ml is undefined in all {len(train)} scans of the training part"
    assert said in caplog.text
    caplog.clear()
    make(scans, partly, columns=["n_lesions", "total_volume_ml"]).setup()
    assert "undefined" not in caplog.text
