"""What a run keeps of its cohort, its machine and its network."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from covidlit.cards.network_facts import count_flops, layers_by_kind, network_facts
from covidlit.cohort import Split
from covidlit.evaluation import read_predictions
from covidlit.runs.cohort_record import cohort_record
from covidlit.runs.hardware import hardware_record
from covidlit.tasks.load import load_task


def a_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "scan_id": list("abcdef"),
            "patient_id": list("abcdef"),
            "pixel_hash": ["1", "2", "3", "4", "1", "5"],
            "part": ["train", "train", "train", "validation", "test", None],
            "class_name": ["covid", "np", "np", "np", "covid", None],
            "target": pd.array([1, 0, 0, 0, 1, None], dtype="Int64"),
            "centre": ["1", "1", "2", "1", "3", "3"],
            "status": ["ok", "ok", "refused", "ok", "ok", "refused"],
            "reason": [None, None, "too dark", None, None, "no target"],
            "sex": ["F", None, "M", "F", None, "F"],
            "age": [30.0, 40.0, 50.0, None, 60.0, 70.0],
            "kvp": [100.0, 120.0, None, 120.0, None, 80.0],
            "acquisition_date": pd.to_datetime(["2020-01-31"] * 4 + ["2021-03-02", "2022-01-01"]),
        }
    )


@pytest.fixture
def record(tmp_path: Path) -> dict:
    table = a_table()
    known = table[table["part"].notna()]
    split = Split.of(
        known, kind="by hand", parts=dict(zip(known["scan_id"], known["part"], strict=True))
    )
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("scan_id\n")
    return json.loads(json.dumps(cohort_record(table, split, manifest)))


def test_what_stands_in_two_parts_is_counted(record: dict) -> None:
    assert record["in_two_parts"] == {
        "patients": {"compared": 5, "shared": 0},
        "studies": None,
        "series": None,
        "images": {"compared": 4, "shared": 1},
    }


def test_missing_values_and_refused_scans_are_counted(record: dict) -> None:
    assert {k: n for k, n in record["missing"].items() if n} == {"sex": 2, "age": 1, "kvp": 2}
    assert record["refused"] == {"train": {"too dark": 1}, "validation": {}, "test": {}}
    assert {"kernel", "manufacturer"} <= set(record["columns_absent"])
    assert (record["n_scans"], record["n_without_part"]) == (5, 1)
    assert record["n_synthetic"] is None


def test_scanners_and_months_are_told_without_days(record: dict) -> None:
    found = {row["centre"]: (row["scans"], row["kvp"]) for row in record["scanners"]}
    assert found == {"1": (3, "100 to 120"), "2": (1, None), "3": (1, None)}
    assert record["months"] == {"first": "2020-01", "last": "2021-03"}


def test_table_1_is_told_by_part(record: dict) -> None:
    total = record["table1"][0]
    assert list(total) == ["characteristic", "train", "validation", "test", "all"]
    assert list(total.values())[1:] == ["3", "1", "1", "5"]


def test_the_cohort_of_a_run_is_that_of_its_predictions(csacnet_run: Path) -> None:
    record = json.loads((csacnet_run / "cohort.json").read_text())
    scored = read_predictions(csacnet_run / "predictions.parquet")
    counted = {row["part"]: row["scans"] for row in record["parts"]}
    for part, rows in scored.groupby("part"):
        assert counted[part] == len(rows)
    assert sum(counted.values()) == record["n_scans"] == record["n_synthetic"] == 40
    named = {row["manufacturer"] for row in record["scanners"]}
    assert named >= set(scored["manufacturer"])
    assert {found["shared"] for found in record["in_two_parts"].values()} == {0}
    assert record["suspicions"] == {}


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        # Multiplications and additions: outputs x kernel volume x inputs per output, times two.
        (nn.Conv3d(1, 4, 3, padding=1), 2 * (4 * 5 * 6) * 4 * 27),
        (nn.Sequential(nn.Conv3d(1, 4, 1), nn.Conv3d(4, 4, 3, padding=1, groups=4)),
         2 * (4 * 5 * 6) * (4 + 4 * 27)),
        (nn.Sequential(nn.Flatten(), nn.Linear(120, 7)), 2 * 120 * 7),
    ],
)  # fmt: skip
def test_operations_are_those_of_a_hand_count(net: nn.Module, expected: int) -> None:
    net.to("meta")
    assert count_flops(net, torch.empty(1, 1, 4, 5, 6, device="meta")) == expected


def test_a_network_is_described_as_its_checkpoint_holds_it(csacnet_run: Path) -> None:
    path = csacnet_run / "checkpoints" / "best.ckpt"
    facts = network_facts(path)
    learned = sum(weight.numel() for weight in load_task(path).parameters())
    assert facts["parameters"] == facts["trainable"] == learned
    # Yao et al. 2021: 39 convolutions with dilation 1, 10 atrous ones, 3 + 5 poolings, 3 fully
    # connected layers.
    layers = facts["layers"]
    assert (layers["Conv3d"], layers["DepthwiseAtrousConv3d"]) == (39, 10)
    assert (layers["MaxPool3d"], layers["Linear"]) == (8, 3)
    assert facts["flops"] > 0
    assert facts["input"] == [16, 16, 16]


def test_layers_that_hold_others_are_not_counted() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU(), nn.Linear(1, 1)))
    assert layers_by_kind(net) == {"Linear": 1, "ReLU": 2}


@pytest.mark.parametrize(
    ("model", "cuda", "expected"),
    [
        ({"trainer": {"accelerator": "cpu", "devices": 1}}, True, ("cpu", 1, [])),
        ({"trainer": {"accelerator": "gpu", "devices": 2}}, True, ("cuda", 2, ["H"])),
        ({"trainer": {"accelerator": "auto", "devices": -1}}, True, ("cuda", 3, ["H"])),
        ({"trainer": {"accelerator": "auto", "devices": 1}}, False, ("cpu", 1, [])),
        ({"classifier": {}}, True, ("cpu", 1, [])),
    ],
)
def test_the_device_is_the_one_that_trains(
    model: dict, cuda: bool, expected: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "H")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 90000)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    record = hardware_record({"model": model})
    assert (record["accelerator"], record["n_devices"], record["device_names"]) == expected
