"""Where labelled slices come from: label volumes, mask pictures, COCO files, synthetic scans."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from labelled_chests import AFFINE, SHAPE, chest_with_lesions
from omegaconf import OmegaConf
from PIL import Image

from covidlit.cohort.coco import rle
from covidlit.cohort.slice_table import read_labelled_slices
from covidlit.datamodules.build import build_datamodule
from covidlit.datamodules.slices.coco_export import class_map
from covidlit.datamodules.slices.coco_source import coco_slices
from covidlit.datamodules.slices.label_volumes import label_volumes
from covidlit.datamodules.slices.mask_images import mask_images
from covidlit.errors import ConfigError, CovidlitError, ManifestError
from covidlit.scans.images import write_nifti
from covidlit.settings.tree import config_dir


def _built(*overrides: str) -> Any:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", ["name=test", "data.n_jobs=1", *overrides])
    return build_datamodule(OmegaConf.to_container(config, resolve=True), trusted=True)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures of four patients with masks of two classes, and a COCO file of the same."""
    folder = tmp_path_factory.mktemp("pictures")
    rows, images, annotations = [], [], []
    for name in ("ct", "lung", "lesion"):
        (folder / name).mkdir()
    for number in range(8):
        patient = f"p{number // 2}"
        hu, classes = chest_with_lesions(number)
        plane, labels = hu[2], classes[2] * (number % 2 or classes[2] == 1)
        grey = np.clip((plane + 1000) / 1400 * 255, 0, 255).astype(np.uint8)
        file = f"{patient}_{number}.png"
        Image.fromarray(grey).save(folder / "ct" / file)
        Image.fromarray((labels > 0).astype(np.uint8) * 255).save(folder / "lung" / file)
        Image.fromarray((labels == 3).astype(np.uint8) * 255).save(folder / "lesion" / file)
        rows.append({"file": file, "case": patient, "label_status": "approved"})
        images.append({"id": 50 - number, "file_name": file, "height": 40, "width": 48})
        for category, mask in ((9, labels > 0), (4, labels == 3)):
            if mask.any():
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": 50 - number, "category_id": category,
                     "segmentation": {"size": [40, 48], "counts": rle.encode(mask).tolist()}}
                )  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "slices.csv", index=False)
    categories = [{"id": 4, "name": "GGO"}, {"id": 9, "name": "Lung"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "ct" / "annotations.json").write_text(json.dumps(content))
    return folder


MASKS = {"lung": "lung", "lesion": "lesion"}


def test_label_volumes_with_values_of_others_are_read(slices: Path) -> None:
    table, coco = read_labelled_slices(slices)
    assert coco.classes == ("lung", "ground_glass")
    assert table["quality_grade"].isna().sum() == SHAPE[0]
    assert json.loads(table["labels_affine"].iloc[0]) == pytest.approx(AFFINE)
    own = [a for a in coco.annotations if coco.images[a.image_id - 1].file_name == "S2.0003.png"]
    _, classes = chest_with_lesions(2)
    found = class_map(own, ("lung", "-", "ground_glass"), SHAPE[1:])
    assert np.array_equal(found, classes[3])


def test_label_volumes_are_read_again_only_when_they_changed(
    labelled: Path, tmp_path: Path
) -> None:
    def make() -> Path:
        return label_volumes(
            str(labelled / "manifest.csv"), str(tmp_path), str(tmp_path / "out"),
            values={1: "lung", 3: "fibrosis"}, n_jobs=1,
        )  # fmt: skip

    _, classes = chest_with_lesions(0)
    write_nifti(classes, AFFINE, tmp_path / "S1.classes.nii.gz")
    first = make()
    table, _ = read_labelled_slices(first)
    assert set(table["scan_id"]) == {"S1"}  # the only scan with labels
    assert make() == first
    os.utime(tmp_path / "S1.classes.nii.gz", (1, 1))
    assert make() != first


def test_the_labels_of_a_second_grader_are_not_taken_for_the_first_ones(
    labelled: Path, tmp_path: Path
) -> None:
    """Uncompressed volumes have one size, and archives may give all files one time."""
    found = []
    for grader, value in (("one", 3), ("two", 2)):
        folder = tmp_path / grader
        folder.mkdir()
        for scan in pd.read_csv(labelled / "manifest.csv")["scan_id"]:
            classes = np.where(chest_with_lesions(0)[1] > 1, value, 1).astype(np.uint8)
            write_nifti(classes, AFFINE, folder / f"{scan}.nii")
            os.utime(folder / f"{scan}.nii", (1_500_000_000, 1_500_000_000))
        made = label_volumes(
            str(labelled / "manifest.csv"), str(folder), str(tmp_path / "kept"), "{scan_id}.nii",
            n_jobs=1,
        )  # fmt: skip
        found.append({a.class_name for a in read_labelled_slices(made)[1].annotations})
    assert found == [{"lung", "ground_glass"}, {"lung", "consolidation"}]


def test_label_volumes_that_do_not_fit_are_refused(labelled: Path, tmp_path: Path) -> None:
    manifest, labels = str(labelled / "manifest.csv"), str(labelled / "labels")
    name = "{scan_id}_mask.nii.gz"
    with pytest.raises(CovidlitError, match=r"values that stand for no class: \[10\].*values"):
        label_volumes(manifest, labels, str(tmp_path), name, {30: "ground_glass"}, n_jobs=1)
    with pytest.raises(ManifestError, match="no scan of the manifest has labels"):
        label_volumes(manifest, labels, str(tmp_path), n_jobs=1)
    with pytest.raises(ConfigError, match=r"'\{scan\}' cannot be filled in"):
        label_volumes(manifest, labels, str(tmp_path), "{scan}", n_jobs=1)
    with pytest.raises(ConfigError, match=r"0: 'lung' is no value of a label"):
        label_volumes(manifest, labels, str(tmp_path), name, {0: "lung"}, n_jobs=1)
    with pytest.raises(ConfigError, match="no value stands for a class"):
        label_volumes(manifest, labels, str(tmp_path), name, {10: None, 30: None}, n_jobs=1)


def test_mask_pictures_become_slices_of_patients(pictures: Path, tmp_path: Path) -> None:
    data = _built(
        "data=slices_masks", f"data_dir={tmp_path}", f"data.source.root={pictures}",
        "data.source.images=ct", "data.source.patient_column=case", "split.n_folds=4",
        "inclusion=slices",
    )  # fmt: skip
    assert data.classes == ("lung", "lesion")
    assert data.table["target"].tolist() == [0, 1] * 4
    assert data.table.groupby("patient_id")["part"].nunique().max() == 1
    batch = next(iter(data.dataloader_of("train")))
    image, target = batch["image"][1], batch["target"][1]
    assert image.shape == (3, 40, 48)
    assert bool((image[0] == image[2]).all())
    grey = np.asarray(Image.open(pictures / "ct" / data.rows_of("train")["original_id"].iloc[1]))
    assert np.allclose(image[0].numpy(), grey / 255, atol=1e-6)
    assert target["labels"].tolist() == [1, 1, 2]
    assert target["annotated"].tolist() == [True, True, True]
    assert np.isnan(batch["spacing"].numpy()).all()
    assert batch["affine"][1].tolist()[:3] == [[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
    assert data.input_record()["intensity"] == "grey"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"masks": {}}, "there is no class"),
        ({"patient_column": "who"}, r"no column 'who' .it has: file, case"),
        ({"images": "pictures"}, r"8 of 24 pictures are not there"),
        (
            {"masks": {"lung": "lung", "lesion": "ct"}},
            "are neither 0 nor the largest",
        ),
        ({"table": "other.csv"}, "there is no such file"),
    ],
)
def test_mask_pictures_that_do_not_fit_are_refused(
    changes: dict[str, Any], said: str, pictures: Path, tmp_path: Path
) -> None:
    arguments = {"masks": MASKS, "images": "ct", "patient_column": "case", "folder": str(tmp_path)}
    with pytest.raises(CovidlitError, match=said):
        mask_images(str(pictures), **(arguments | changes))


def test_a_coco_file_becomes_slices_of_patients(pictures: Path, tmp_path: Path) -> None:
    data = _built(
        "data=slices_coco", f"data_dir={tmp_path}", "split.n_folds=4",
        f"data.source.annotations={pictures / 'ct' / 'annotations.json'}",
        "data.source.patient_pattern='(?P<patient>p[0-9])_'",
        "data.source.category_map={GGO: ground_glass}",
    )  # fmt: skip
    assert data.table["patient_id"].tolist() == [f"p{k // 2}" for k in range(8)]
    assert data.table["target"].tolist() == [0, 1] * 4
    target = data.dataset_of("train")[1]["target"]
    assert data.classes == ("lung", "ground_glass"), "what nobody looked for cannot be learnt"
    assert target["labels"].tolist() == [1, 1, 2]  # one annotation of both lungs
    assert target["annotated"].tolist() == [True, True, True]


def test_coco_files_that_do_not_fit_are_refused(pictures: Path, tmp_path: Path) -> None:
    file = str(pictures / "ct" / "annotations.json")
    given: dict[str, Any] = {"category_map": {"GGO": "ground_glass"}, "folder": str(tmp_path)}
    with pytest.raises(ConfigError, match=r"whose the images are is not known.*patient_pattern"):
        coco_slices(file, **given)
    with pytest.raises(ConfigError, match="has no group"):
        coco_slices(file, patient_pattern="p", **given)
    with pytest.raises(ConfigError, match="no regular expression"):
        coco_slices(file, patient_pattern="(p", **given)
    with pytest.raises(ManifestError, match=r"finds no patient in 'p0_0\.png'"):
        coco_slices(file, patient_pattern="(x)", **given)
    table = pd.DataFrame({"file_name": ["p0_0.png"], "patient_id": ["p0"]})
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ManifestError, match=r"'p0_1.png' has no row in the table .7 such"):
        coco_slices(file, table=str(tmp_path / "t.csv"), **given)
    with pytest.raises(CovidlitError, match="'GGO' is none of our classes"):
        coco_slices(file, patient_pattern="(p[0-9])", folder=str(tmp_path))


def test_a_picture_of_another_size_is_refused_by_itself(pictures: Path, tmp_path: Path) -> None:
    other = tmp_path / "pictures"
    other.mkdir()
    for path in (pictures / "ct").iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    Image.fromarray(np.zeros((48, 40), np.uint8)).save(other / "p0_0.png")
    colours = np.zeros((40, 48, 3), np.uint8)
    colours[..., 0] = 9
    Image.fromarray(colours).save(other / "p0_1.png")
    data = _built(
        "data=slices_coco", f"data_dir={tmp_path}", "split.n_folds=4",
        f"data.source.annotations={other / 'annotations.json'}",
        "data.source.patient_pattern='(p[0-9])_'", "data.source.category_map={GGO: ground_glass}",
    )  # fmt: skip
    refused = data.table[data.table["status"] == "refused"]
    assert refused["slice_id"].tolist() == ["p0.0000", "p0.0001"]
    assert "48 x 40 pixels, and 40 x 48 are expected" in refused["reason"].iloc[0]
    assert "coloured" in refused["reason"].iloc[1]


def test_the_real_mask_pictures_are_read(shared_data: Path, tmp_path: Path) -> None:
    path = mask_images(
        str(shared_data / "lesion_slices"), MASKS, images="ct", patient_column="case",
        folder=str(tmp_path),
    )  # fmt: skip
    table, coco = read_labelled_slices(path)
    assert len(table) == 213
    assert table["patient_id"].nunique() == 9
    lungs = [a for a in coco.annotations if a.class_name == "lung"]
    assert len(lungs) >= 2 * 213
