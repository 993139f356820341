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
from covidlit.cohort.slice_table import read_slices
from covidlit.datamodules.slices.mask_images import mask_images
from covidlit.errors import ConfigError
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
    given = [f"--mask={name}={name}" for name in ("lung", "consolidation", "ground_glass")]
    said = _run(masks, again, *given)
    assert said.startswith("0 "), said
    first, second = (read_slices(folder / "slices.parquet") for folder in (out, again))
    kept = [name for name in first if name != "original_id"]
    assert second[kept].equals(first[kept]), "of the same scan, patient and place"
    other = labelled / "other"
    said = _run(masks, other, *given, "--images", "lung")  # pictures of our own instead
    assert said.startswith("0 "), said
    assert set(read_slices(other / "slices.parquet")["source"]) == {"image"}
    content = json.loads((again / "annotations.json").read_text())
    areas = {c["id"]: c["name"] for c in content["categories"]}
    found = sum(a["area"] for a in content["annotations"] if areas[a["category_id"]] != "lung")
    assert found == np.isin(classes, (2, 3)).sum()


@pytest.fixture
def annotated_pictures(tmp_path: Path) -> Path:
    """Four pictures of two patients, a COCO file of lesions, and a table with grading."""
    folder = tmp_path / "tool"
    (folder / "images").mkdir(parents=True)
    images, annotations, rows = [], [], []
    for number in range(4):
        patient = f"00{number // 2}"
        name = f"{patient}_{number}.png"
        grey = np.arange(30 * 40).reshape(30, 40).astype(np.uint8)
        Image.fromarray(grey + np.uint8(number)).save(folder / "images" / name)
        images.append({"id": number, "file_name": name, "height": 30, "width": 40})
        outline = [[5, 5, 15, 5, 15, 15, 5, 15]]
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1, "segmentation": outline}
        )
        rows.append(
            {"file_name": name, "patient_id": patient, "quality_grade": "good", "grader_1": "R1",
             "row_spacing_mm": 0.7, "column_spacing_mm": 0.8, "centre": "C"}
        )  # fmt: skip
    content = {
        "images": images, "annotations": annotations,
        "categories": [{"id": 1, "name": "ground_glass"}],
    }  # fmt: skip
    (folder / "coco.json").write_text(json.dumps(content))
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    return folder


def test_mask_pictures_keep_patients_grading_and_spacing(annotated_pictures: Path) -> None:
    folder = annotated_pictures
    source, pictures = folder / "coco.json", ("--images", folder / "images")
    masks, again = folder / "masks", folder / "again"
    said = _run(source, masks, "--to", "masks", "--table", folder / "table.csv", *pictures)
    assert said.startswith("0 "), said
    given = "--mask=ground_glass=ground_glass"
    assert _run(masks, again, given).startswith("0 ")
    found = read_slices(again / "slices.parquet")
    table = pd.read_csv(folder / "table.csv", dtype={"patient_id": str})
    for name in table.columns.drop("file_name"):
        assert found[name].tolist() == table[name].tolist(), name
    places = [(folder / "images" / name).resolve() for name in table["file_name"]]
    assert [Path(path) for path in found["path"]] == places
    assert found["original_id"].tolist() == table["file_name"].tolist()
    built = mask_images(str(masks), {"ground_glass": "ground_glass"}, folder=str(folder / "kept"))
    assert read_slices(built)["patient_id"].tolist() == table["patient_id"].tolist()
    by_name = _run(source, folder / "m2", "--to", "masks", "--patient", "([^_]+)_", *pictures)
    assert by_name.startswith("0 "), by_name
    assert _run(folder / "m2", folder / "a2", given).startswith("0 ")
    found = read_slices(folder / "a2" / "slices.parquet")
    assert found["patient_id"].tolist() == table["patient_id"].tolist()


def test_masks_whose_patients_are_not_known_say_so(annotated_pictures: Path) -> None:
    folder = annotated_pictures
    masks, given = folder / "masks", "--mask=ground_glass=ground_glass"
    said = _run(folder / "coco.json", masks, "--to", "masks", "--images", folder / "images")
    assert "does not say whose they are" in said
    assert "no column 'patient_id'" in _run(masks, folder / "again", given)
    table = pd.read_csv(masks / "slices.csv")
    table.assign(patient_id=list("abcd")).to_csv(masks / "slices.csv", index=False)
    assert _run(masks, folder / "again", given).startswith("0 ")


def test_relative_paths_of_scans_start_from_their_table(labelled: Path) -> None:
    out, back = labelled / "coco", labelled / "back"
    _run(labelled / "truth", out, "--manifest", labelled / "manifest.csv")
    table = read_slices(out / "slices.parquet").assign(path="../S1.nii.gz")
    table["file_name"] = table["slice_id"] + ".png"
    (labelled / "tables").mkdir()
    table.to_csv(labelled / "tables" / "t.csv", index=False)
    given = ("--to", "labels", "--table", labelled / "tables" / "t.csv")
    said = _run(out / "annotations.json", back, *given)
    assert said.startswith("0 "), said
    assert np.array_equal(read_labels(back, "S1").classes, _classes())


@pytest.mark.parametrize(
    ("source", "options", "idle"),
    [
        ("masks", ["--mask=lung=lung", "--patient=(p)_"], "--patient"),
        (
            "masks",
            ["--mask=lung=lung", "--category=a=lung", "--value=1=lung"],
            "--value --category",
        ),
        ("masks", ["--mask=lung=lung", "--manifest=m.csv", "--name=x"], "--manifest --name"),
        ("masks", ["--mask=lung=lung", "--override=few_slices"], "--override"),
        ("truth", ["--manifest=m.csv", "--images=i", "--table=t.csv"], "--images --table"),
        ("truth", ["--manifest=m.csv", "--class=lung", "--category=a=lung"], "--category --class"),
        ("tool/coco.json", ["--value=1=lung", "--name=x"], "--name --value"),
        ("tool/coco.json", ["--mask=lung=lung"], "--mask"),
        ("tool/coco.json", ["--to=masks", "--polygons"], "--polygons"),
        ("tool/coco.json", ["--to=masks", "--image-orientation=LPS"], "--image-orientation"),
        ("tool/coco.json", ["--to=labels", "--patient=(p)_", "--images=i"], "--images --patient"),
    ],
)
def test_options_that_say_nothing_are_named(
    annotated_pictures: Path, source: str, options: list[str], idle: str
) -> None:
    folder = annotated_pictures.parent
    for name in ("masks", "truth"):
        (folder / name).mkdir()
    said = " ".join(_run(folder / source, folder / "out", *options).split())
    assert said.startswith("2 "), said
    assert f"{idle}: do" in said, said
    assert "nothing where" in said or "nothing with --to" in said
    assert not (folder / "out").exists()


def test_a_table_and_a_pattern_are_one_too_many(annotated_pictures: Path) -> None:
    folder = annotated_pictures
    given = ("--table", folder / "table.csv", "--patient", "(p)")
    assert "both say whose" in _run(folder / "coco.json", folder / "out", *given)


def test_a_misspelt_class_of_masks_is_refused_unless_it_is_meant(annotated_pictures: Path) -> None:
    folder = annotated_pictures
    given = ("--table", folder / "table.csv", "--images", folder / "images")
    _run(folder / "coco.json", folder / "masks", "--to", "masks", *given)
    wrong = "--mask=groundglass=ground_glass"
    said = " ".join(_run(folder / "masks", folder / "out", wrong).split())
    assert said.startswith("2 "), said
    assert "did you mean ground_glass?" in said
    assert "--class" in said
    assert not (folder / "out").exists()
    assert _run(folder / "masks", folder / "out", wrong, "--class=groundglass").startswith("0 ")
    content = json.loads((folder / "out" / "annotations.json").read_text())
    assert [category["name"] for category in content["categories"]] == ["groundglass"]
    far = "--mask=nodule=ground_glass"  # like none of ours
    assert _run(folder / "masks", folder / "other", far).startswith("0 ")
    with pytest.raises(ConfigError, match=r"Ground_Glass.*did you mean ground_glass"):
        mask_images(str(folder / "masks"), {"Ground_Glass": "ground_glass"})


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
