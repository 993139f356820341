"""A manifest from image files and a table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidlit.cohort import ByClass, manifest_from_images, scan_id_of
from covidlit.dicom import pseudonym_uid
from covidlit.errors import ManifestError


@pytest.fixture
def image_labels(tmp_path: Path) -> pd.DataFrame:
    import SimpleITK

    (tmp_path / "images").mkdir()
    for name in ("one.nii.gz", "two.mha"):
        image = SimpleITK.GetImageFromArray(np.full((20, 8, 8), -500, np.int16))
        image.SetSpacing((1.0, 1.0, 2.5))
        SimpleITK.WriteImage(image, str(tmp_path / "images" / name))
    (tmp_path / "images" / "broken.nii.gz").write_bytes(b"not an image")
    return pd.DataFrame(
        {
            "path": ["one.nii.gz", "two.mha", "broken.nii.gz", "absent.nii.gz"],
            "patient_id": ["jane", "john", "joan", "jack"],
            "class_name": ["covid", "np", "covid", "np"],
            "centre": ["A", "A", "B", "B"],
        }
    )


def test_image_files_become_a_manifest(tmp_path: Path, image_labels: pd.DataFrame) -> None:
    built = manifest_from_images(
        tmp_path / "images", image_labels, folder=tmp_path, label_rule=ByClass()
    )
    places = [Path(path).relative_to(tmp_path).as_posix() for path in built.manifest["path"]]
    table = built.manifest.set_index([places])
    assert set(table.index) == {"images/one.nii.gz", "images/two.mha", "images/broken.nii.gz"}
    assert table["status"].to_dict()["images/broken.nii.gz"] == "refused"
    one = table.loc["images/one.nii.gz"]
    assert (one["n_slices"], one["slice_thickness_mm"], one["target"]) == (20, 2.5, 1)
    assert built.unmatched_labels["label_row"].tolist() == [4]
    assert set(built.problems["kind"]) == {"label without scan", "refused"}
    assert "jane" not in built.manifest.to_csv()


def test_a_file_s_name_cannot_be_tried_out(tmp_path: Path, image_labels: pd.DataFrame) -> None:
    image_labels = image_labels.iloc[:1]
    (tmp_path / "images" / "one.nii.gz").rename(tmp_path / "images" / "4711001.nii.gz")
    image_labels["path"] = "4711001.nii.gz"

    def build(key: str, labels: pd.DataFrame = image_labels, **more: object) -> pd.Series:
        return manifest_from_images(
            tmp_path / "images",
            labels,
            folder=tmp_path,
            label_rule=None,
            key_file=tmp_path / key,
            **more,  # type: ignore[arg-type]
        ).manifest.iloc[0]

    columns = ["scan_id", "study_uid", "series_uid"]
    one, again, other = build("a.key"), build("a.key"), build("b.key")
    assert one[columns].tolist() == again[columns].tolist()
    assert set(one[columns]).isdisjoint(other[columns])
    for guess in ("4711001.nii.gz", "4711001", "images/4711001.nii.gz"):
        assert {scan_id_of(guess), pseudonym_uid(guess)}.isdisjoint(one[columns])
    kept = build("a.key", keep_identifiers=True)
    assert kept["series_uid"] == "4711001.nii.gz"
    # What is called a UID and is a number could be tried out too; a real UID could not.
    number = build("a.key", image_labels.assign(series_uid="4711001"))
    assert number["scan_id"] != scan_id_of("4711001")
    uid = "1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192"
    real = build("a.key", image_labels.assign(series_uid=uid))
    assert (real["scan_id"], real["series_uid"]) == (scan_id_of(uid), pseudonym_uid(uid))


def test_images_need_patients_and_files(tmp_path: Path, image_labels: pd.DataFrame) -> None:
    with pytest.raises(ManifestError, match=r"each row needs a patient_id"):
        manifest_from_images(tmp_path, image_labels.drop(columns="patient_id"))
    with pytest.raises(ManifestError, match=r"none of the 4 files"):
        manifest_from_images(tmp_path, image_labels, folder=tmp_path)
