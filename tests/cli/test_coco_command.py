"""`covidlit coco`: both ways, by the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.scans.images import read_volume, write_nifti
from covidlit.scans.lesion_labels import read_labels

AFFINE = np.array([[0, 0, 7.0, -160], [0, 6.0, 0, -110], [8.0, 0, 0, -900], [0, 0, 0, 1]])
SHAPE = (5, 40, 48)


def _classes() -> np.ndarray:
    """Two lungs with a lesion of two classes that touch, one of them with a hole."""
    _, y, x = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    classes = np.zeros(SHAPE, np.uint8)
    for centre in (13, 35):
        classes[((y - 20) / 14) ** 2 + ((x - centre) / 9) ** 2 < 1] = 1
    classes[1:4, 14:22, 8:14], classes[1:4, 14:22, 14:17] = 3, 2
    classes[1:4, 17:19, 10:12] = 1
    classes[2, 34:36, 13] = 6
    return classes


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    classes = _classes()
    hu = np.full(SHAPE, -1000, np.int16)
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    hu[:, ((y - 20) / 19) ** 2 + ((x - 24) / 23) ** 2 < 1] = 40
    hu[classes == 1], hu[classes > 1] = -850, -500
    write_nifti(hu, AFFINE, tmp_path / "S1.nii.gz")
    write_nifti(classes, AFFINE, tmp_path / "truth" / "S1.classes.nii.gz")
    rows = [{"patient_id": "a", "scan_id": "S1", "path": "S1.nii.gz", "class_name": "covid"}]
    pd.DataFrame(rows).to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path


def _run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["coco", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return f"{result.exit_code} {result.output}"


@pytest.mark.parametrize("polygons", [(), ("--polygons",)])
def test_label_volumes_become_coco_and_come_back_to_the_voxel(
    labelled: Path, polygons: tuple[str, ...]
) -> None:
    out, back = labelled / "coco", labelled / "back"
    said = _run(labelled / "truth", out, "--manifest", labelled / "manifest.csv", *polygons)
    assert said.startswith("0 "), said
    content = json.loads((out / "annotations.json").read_text())
    assert len(content["images"]) == SHAPE[0]
    kinds = {type(a["segmentation"]).__name__ for a in content["annotations"]}
    assert kinds == ({"list", "dict"} if polygons else {"dict"})
    table = out / "slices.parquet"
    said = _run(out / "annotations.json", back, "--to", "labels", "--table", table)
    assert said.startswith("0 "), said
    labels = read_labels(back, "S1")
    assert np.array_equal(labels.classes, _classes())
    assert labels.affine == pytest.approx(AFFINE)
    assert labels.instances.max() == 3
    volume, _ = read_volume(labelled / "truth" / "S1.classes.nii.gz")
    assert np.array_equal(volume, labels.classes)


def test_coco_becomes_mask_pictures_and_comes_back(labelled: Path) -> None:
    out, masks, again = labelled / "coco", labelled / "masks", labelled / "again"
    _run(labelled / "truth", out, "--manifest", labelled / "manifest.csv")
    said = _run(out / "annotations.json", masks, "--to", "masks")
    assert said.startswith("0 "), said
    classes = _classes()
    for name, expected in (
        ("ground_glass", classes == 3),
        ("lung", (classes > 0) & (classes < 6)),
        ("fibrosis", classes == 4),
    ):
        pictures = [np.asarray(Image.open(masks / name / f"S1.{z:04d}.png")) for z in range(5)]
        assert np.array_equal(np.stack(pictures), expected * np.uint8(255))
    table = pd.read_csv(masks / "slices.csv")
    table.assign(patient_id="a").to_csv(masks / "slices.csv", index=False)
    given = [f"--mask={name}={name}" for name in ("lung", "consolidation", "ground_glass")]
    said = _run(masks, again, *given, "--images", "lung")
    assert said.startswith("0 "), said
    content = json.loads((again / "annotations.json").read_text())
    areas = {c["id"]: c["name"] for c in content["categories"]}
    found = sum(a["area"] for a in content["annotations"] if areas[a["category_id"]] != "lung")
    assert found == np.isin(classes, (2, 3)).sum()


def test_what_cannot_be_converted_is_said(labelled: Path) -> None:
    out = labelled / "out"
    for arguments, said in (
        ((labelled / "truth", out), "--manifest"),
        ((labelled / "truth", out, "--to", "labels"), "is no file"),
        ((labelled / "none.json", out, "--to", "masks"), "there is no such file"),
        ((labelled / "truth", out, "--to", "cocoa"), "did you mean coco"),
        ((labelled / "truth", out, "--value", "3"), "is no pair"),
    ):
        answer = _run(*arguments)
        assert answer.startswith("2 "), answer
        assert said in answer
    assert not out.exists()
    (labelled / "taken").mkdir()
    (labelled / "taken" / "slices.parquet").write_text("mine")
    given = ("--manifest", labelled / "manifest.csv")
    answer = _run(labelled / "truth", labelled / "taken", *given)
    assert "would write over a file that it did not write" in " ".join(answer.split())
    assert (labelled / "taken" / "slices.parquet").read_text() == "mine"
    (labelled / "taken" / "slices.parquet").rename(labelled / "taken" / "other.txt")
    assert "not empty" in _run(labelled / "truth", labelled / "taken", *given)
    assert "which is read here" in _run(labelled / "truth", labelled, *given)
    assert "which is read here" in _run(labelled / "truth", labelled / "truth", *given)
    assert _run(labelled / "truth", out, *given).startswith("0 ")
    assert _run(labelled / "truth", out, *given).startswith("0 ")  # over its own
    answer = _run(
        out / "annotations.json", out, "--to", "labels", "--table", out / "slices.parquet"
    )
    assert answer.startswith("2 "), answer
