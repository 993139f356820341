"""Targets of a manifest that is explained: those of the run's own label rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from volume_records import volume_record

from covidlit.checkpoints.record import RunRecord
from covidlit.cohort.manifest import write_manifest
from covidlit.deploy.known_targets import known_targets
from covidlit.explain import explain_image, layer_cam, layer_of
from covidlit.explain.run_sources import positive_target
from covidlit.tasks import VolumeClassification

MODULE = "covidlit.cohort.label_rule"
CLASSES = ["np", "cap", "covid", "covid", "cap"]


def record(label_rule: Any) -> RunRecord:
    config = {
        "data": {"geometry": {"spacing": [1, 1, 1], "size": [8, 8, 8]}, "window": [-1000, 400]},
        "model": {"name": "csacnet"},
        "label_rule": label_rule,
    }
    return RunRecord.model_validate(volume_record(config, split_hash="abc"))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Five scans; `target` numbers the classes, as a run with one score per class has them."""
    table = pd.DataFrame(
        {
            "scan_id": [f"s{k}" for k in range(5)],
            "patient_id": [f"p{k}" for k in range(5)],
            "path": [f"{k}.nii.gz" for k in range(5)],
            "centre": "a",
            "class_name": CLASSES,
        }
    )
    table["target"] = table["class_name"].map({"np": 0, "cap": 1, "covid": 2}).astype("Int64")
    return write_manifest(table, tmp_path / "manifest.csv")


@pytest.mark.parametrize(
    ("rule", "positive", "expected"),
    [
        ({"_target_": f"{MODULE}.MultiClass", "classes": ["np", "cap", "covid"]}, 2, "00110"),
        ({"_target_": f"{MODULE}.MultiClass", "classes": ["covid", "np", "cap"]}, 0, "00110"),
        ({"_target_": f"{MODULE}.MultiClass", "classes": ["np", "covid"]}, 1, "0.11."),
        ({"_target_": f"{MODULE}.MultiClass", "classes": ["covid", "np"]}, 1, "0.11."),
        ({"_target_": f"{MODULE}.ByClass", "positive": ["cap"]}, 1, "01001"),
        ({"_target_": f"{MODULE}.ByClass", "positive": ["cap"], "negative": ["np"]}, 1, "01..1"),
    ],
)
def test_the_targets_are_those_of_the_runs_label_rule(
    rule: dict[str, Any], positive: int, expected: str, manifest: Path
) -> None:
    found = known_targets(manifest, record(rule), positive)
    assert found.targets == {f"s{k}": int(t) for k, t in enumerate(expected) if t != "."}
    assert found.patients == {f"s{k}": f"p{k}" for k in range(5)}
    assert found.problem == ""


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (None, "names no label rule"),
        ({"_target_": "os.system", "command": "true"}, "'os.system'"),
        ({"_target_": f"{MODULE}.ByClass", "classes": ["covid"]}, "arguments do not fit"),
        ({"_target_": f"{MODULE}.LabelRule"}, "no row gets a target"),
    ],
)
def test_without_targets_it_is_said_why(rule: Any, problem: str, manifest: Path) -> None:
    found = known_targets(manifest, record(rule), 1)
    assert found.targets == {}
    assert len(found.patients) == 5
    assert problem in found.problem


def test_a_folder_has_no_targets(tmp_path: Path) -> None:
    assert known_targets(tmp_path, record(None), 1).problem == ""


@pytest.mark.parametrize("classes", [["np", "cap", "covid"], ["covid", "np", "cap"], ["np", "x"]])
def test_heat_is_that_of_the_class_of_interest(classes: list[str]) -> None:
    """With two classes there is one logit, which is that of target 1."""
    torch.manual_seed(0)
    net = {"_target_": "covidlit.models.CSACNet3D", "width": 4, "zero_init": False}
    task: Any = VolumeClassification(net=net, n_classes=len(classes)).eval()
    with torch.no_grad():
        task.net.head[-1].weight.normal_()
    rule = {"_target_": f"{MODULE}.MultiClass", "classes": classes}
    task.record = record(rule).model_dump(mode="json")
    wanted = classes.index("covid") if "covid" in classes else 1
    assert positive_target(task) == wanted
    image = torch.rand(1, 1, 16, 16, 16)
    found = explain_image(task, image, "subnet1_unit1", "layercam")
    layer = layer_of(task.net, "subnet1_unit1")
    with torch.no_grad():
        logits = task.net(image)[0]
    heats = [layer_cam(task.net, image, layer, output) for output in range(len(logits))]
    of_interest = wanted if len(logits) > 1 else 0
    np.testing.assert_allclose(found.values, heats[of_interest], rtol=1e-5)
    for other, heat in enumerate(heats):
        assert other == of_interest or not np.allclose(found.values, heat, rtol=0.1)
    expected = logits.softmax(0)[of_interest] if len(logits) > 1 else logits[0].sigmoid()
    assert found.score == pytest.approx(float(expected), abs=1e-5)
