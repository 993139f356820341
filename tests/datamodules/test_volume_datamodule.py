"""The datamodule: which scans are where, what a batch holds, and what stops a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from covidlit.cohort.label_rule import ByClass, ManifestTarget, MultiClass
from covidlit.cohort.scan_reader import load_scan
from covidlit.cohort.splits import from_column
from covidlit.datamodules import VolumeDataModule, apply_window
from covidlit.errors import ConfigError, LeakageError, ManifestError, SplitError
from covidlit.preprocess import Geometry, prepare_scan

Make = Callable[..., VolumeDataModule]


def test_a_batch_holds_the_windowed_volume(make: Make, table: pd.DataFrame) -> None:
    data = make(window=(-1000, 400))
    batches = list(data.dataloader_of("train"))
    assert [len(b["scan_id"]) for b in batches] == [4, 4, 1]
    batch = batches[0]
    assert batch["image"].shape == (4, 1, 4, 12, 12)
    assert batch["image"].dtype == torch.float32
    assert batch["affine"].shape == (4, 4, 4)
    assert batch["affine"].dtype == torch.float32
    assert batch["target"].dtype == torch.int64
    assert batch["scan_id"] == ["S0", "S1", "S2", "S3"]
    prepared = prepare_scan(load_scan(table["path"][2]), Geometry((5, 2, 2), (4, 12, 12)))
    expected = np.clip((prepared.array.astype(float) + 1000) / 1400, 0, 1)
    np.testing.assert_allclose(batch["image"][2, 0], expected, atol=1e-6)
    np.testing.assert_allclose(batch["affine"][2], prepared.affine, atol=1e-5)


def test_the_window_is_linear_and_clipped() -> None:
    hu = torch.tensor([-2000, -1000, -300, 400, 3000], dtype=torch.int16)
    assert apply_window(hu, (-1000, 400)).tolist() == pytest.approx([0, 0, 0.5, 1, 1])


def test_the_parts_are_those_of_the_split(make: Make, table: pd.DataFrame) -> None:
    data = make()
    for part in ("train", "validation", "test"):
        assert data.scans(part) == list(table.loc[table["split"] == part, "scan_id"])
        seen = [s for batch in data.dataloader_of(part) for s in batch["scan_id"]]
        assert seen == data.scans(part)
    with pytest.raises(SplitError, match="no part 'dev'"):
        data.scans("dev")


def test_the_split_may_be_a_function_a_split_or_a_file(
    make: Make, table: pd.DataFrame, tmp_path: Path
) -> None:
    split = from_column(table, column="split")
    path = split.save(tmp_path / "split.json")
    assert {make(split=s).split.hash for s in (from_column, split, path, str(path))} == {split.hash}


def test_a_split_of_another_manifest_is_refused(make: Make, table: pd.DataFrame) -> None:
    split = from_column(table, column="split")
    with pytest.raises(SplitError, match="another manifest"):
        make(table.iloc[:-1], split=split).prepare_data()


def test_a_refused_scan_keeps_its_row_but_is_not_loaded(
    make: Make, table: pd.DataFrame, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"nothing")
    table.loc[3, "path"] = table.loc[12, "path"] = str(broken)
    table.loc[12, "path"] = str(tmp_path / "missing.nii.gz")
    data = make(table)
    rows = data.table.set_index("scan_id")
    assert list(rows.index) == list(table["scan_id"])
    assert rows.loc["S3", "status"] == "refused"
    assert rows.loc["S3", "part"] == "train"
    assert rows.loc["S12", "part"] == "test"
    assert "no such file" in rows.loc["S12", "reason"]
    assert "S3" not in data.scans("train")
    assert data.scans("test") == ["S11", "S13"]


def test_a_scan_that_the_manifest_refuses_is_not_read(make: Make, table: pd.DataFrame) -> None:
    table["status"] = "ok"
    table["reason"] = None
    table.loc[5, ["status", "reason"]] = ["refused", "gantry tilt"]
    data = make(table)
    row = data.table.set_index("scan_id").loc["S5"]
    assert (row["status"], row["reason"], row["part"]) == ("refused", "gantry tilt", "train")
    assert pd.isna(row["key"])


def test_the_label_rule_is_used_where_there_is_no_target(make: Make, table: pd.DataFrame) -> None:
    table.loc[4, "class_name"] = None
    rows = table.drop(columns="target")
    data = make(rows, label_rule=ByClass(positive=["covid"]))
    found = data.table.set_index("scan_id")
    assert found.loc["S7", "target"] == 1
    assert found.loc["S0", "target"] == 0
    assert found.loc["S4", "status"] == "refused"
    assert "no class_name" in found.loc["S4", "reason"]
    assert "S4" not in data.scans("train")
    with pytest.raises(ManifestError, match="no label rule"):
        make(rows).prepare_data()


def test_a_label_rule_decides_also_where_there_is_a_target(make: Make, table: pd.DataFrame) -> None:
    rule = MultiClass(classes=["np", "covid", "cap"])
    data = make(table, label_rule=rule, n_classes=3)
    found = data.table.set_index("scan_id")
    expected = table.set_index("scan_id")["class_name"].map({"np": 0, "covid": 1, "cap": 2})
    assert found["target"].astype(float).equals(expected[found.index].astype(float))
    own = make(table, label_rule=ManifestTarget()).table.set_index("scan_id")
    given = table.set_index("scan_id")["target"][own.index]
    assert own["target"].astype(float).equals(given.astype(float))


def test_a_target_out_of_range_is_said(make: Make, table: pd.DataFrame) -> None:
    table.loc[6, "target"] = 2
    with pytest.raises(
        ManifestError, match=r"row 7 \(line 8 of the file\), column 'target': value 2"
    ):
        make(table).prepare_data()
    assert make(table, n_classes=3).table["target"].max() == 2


def test_a_patient_in_two_parts_stops_the_run(make: Make, table: pd.DataFrame) -> None:
    split = from_column(table, column="split")
    table.loc[0, "patient_id"] = "P13"
    table.loc[0, "split"] = "train"
    changed = split.model_copy(update={"manifest_hash": from_hash(table)})
    with pytest.raises(LeakageError, match="the same patient P13"):
        make(table, split=changed).setup()


def from_hash(table: pd.DataFrame) -> str:
    """The manifest hash of a table whose parts would be refused by from_column."""
    whole = table.assign(split=["train"] * (len(table) - 2) + ["test", "train"])
    whole.loc[0, "split"] = whole.loc[len(table) - 1, "split"]
    return from_column(whole, column="split").manifest_hash


def test_the_same_pixels_in_two_parts_stop_the_run(
    make: Make, table: pd.DataFrame, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.nii.gz"
    copy.write_bytes(Path(table["path"][0]).read_bytes())
    table.loc[13, "path"] = str(copy)
    with pytest.raises(LeakageError, match=r"the same pixels in row 1 .*row 14"):
        make(table).setup()


def test_training_scans_of_one_class_stop_the_run(make: Make, table: pd.DataFrame) -> None:
    table["status"], table["reason"] = "ok", None
    positive = (table["split"] == "train") & (table["target"] == 1)
    table.loc[positive, ["status", "reason"]] = ["refused", "gantry tilt"]
    with pytest.raises(SplitError, match=r"only target 0, of the class np \(7\).*leave a centre"):
        make(table).train_dataloader()


def test_no_training_scan_is_said(make: Make, table: pd.DataFrame) -> None:
    table.loc[table["split"] == "train", "path"] = [f"/nowhere/{i}.nii" for i in range(9)]
    with pytest.raises(SplitError, match="no scan of the training part"):
        make(table).train_dataloader()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"window": (400, -1000)}, "window"),
        ({"window": ("a", "b")}, "window"),
        ({"window": 400}, "window"),
        ({"batch_size": 0}, "batch_size: .* not 0"),
        ({"batch_size": "abc"}, "batch_size: .* not 'abc'"),
        ({"batch_size": True}, "batch_size: .* not True"),
        ({"num_workers": 1.5}, "num_workers: .* not 1.5"),
        ({"n_jobs": 0}, "n_jobs: .* not 0"),
        ({"seed": None}, "seed: .* not None"),
        ({"cache_dir": None}, "cache_dir: .* not None"),
        ({"geometry": {"spacng": [5, 2, 2]}}, "geometry: .*spacng"),
        ({"geometry": {"size": ["a", "b", "c"]}}, "geometry"),
        ({"geometry": {"spacing": [5, 2], "size": [4, 12, 12]}}, "geometry.spacing"),
    ],
)
def test_a_wrong_argument_is_named(make: Make, changes: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        make(**changes)
