from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from covidlit.lesions import (
    LESION_CLASSES,
    LabelError,
    LesionLabels,
    label_paths,
    read_labels,
    validate_labels,
)
from covidlit.scans.scan import Scan


def good() -> tuple[np.ndarray, np.ndarray]:
    """A lung with two ground glass lesions and an effusion."""
    classes, instances = np.zeros((4, 6, 8), np.uint8), np.zeros((4, 6, 8), np.int32)
    classes[:, 1:5, 1:7] = 1
    classes[0, 2, 2:4], instances[0, 2, 2:4] = 3, 1
    classes[2, 3, 4:6], instances[2, 3, 4:6] = 3, 2
    classes[3, 4, 1:7], instances[3, 4, 1:7] = 6, 40000  # more than int16 holds
    return classes, instances


def test_the_classes_are_the_contracts() -> None:
    assert list(LESION_CLASSES) == [0, 1, 2, 3, 4, 5, 6]
    assert LESION_CLASSES[2] == "consolidation"
    assert LESION_CLASSES[6] == "pleural_effusion"


@pytest.mark.parametrize("scan_id", ["../x", "a/b", "", "/x", ".x", "a\0b"])
def test_an_id_that_leads_out_of_the_folder_is_refused(tmp_path: Path, scan_id: str) -> None:
    for read in (label_paths, read_labels):
        with pytest.raises(LabelError, match="scan_id: the name"):
            read(tmp_path, scan_id)


def test_good_labels_pass() -> None:
    validate_labels(*good(), shape=(4, 6, 8))
    validate_labels(np.ones((2, 2, 2), np.uint8), np.zeros((2, 2, 2), np.int32))


@pytest.mark.parametrize(
    ("volume", "place", "value", "message"),
    [
        (0, (0, 0, 0), 7, r"classes: voxel \(z, y, x\) = \(0, 0, 0\): value 7: must be 0 \(back"),
        (0, (1, 2, 3), 4, r"\(1, 2, 3\): value 4: is a lesion without a number"),
        (0, (0, 2, 2), 1, r"instances: voxel \(z, y, x\) = \(0, 2, 2\): value 1: is the number"),
        (1, (0, 2, 2), 2_000_000_000, "at most 1000000"),
        (0, (0, 2, 2), 2, r"value 1: the lesion has several classes \(consolidation, ground_glass"),
        (
            1,
            (3, 4, 1),
            0,
            r"classes: voxel \(z, y, x\) = \(3, 4, 1\): value 6: is a lesion without",
        ),
        (1, (0, 0, 0), 5, r"instances: voxel \(z, y, x\) = \(0, 0, 0\): value 5: is the number"),
        (1, (0, 2, 2), -1, r"instances: voxel \(z, y, x\) = \(0, 2, 2\): value -1: must be 0 or"),
    ],
)
def test_a_wrong_voxel_is_named(
    volume: int, place: tuple[int, int, int], value: int, message: str
) -> None:
    pair = good()
    pair[volume][place] = value
    with pytest.raises(LabelError, match=message):
        validate_labels(*pair)


def test_wrong_types_and_shapes_are_named() -> None:
    classes, instances = good()
    with pytest.raises(LabelError, match=r"classes must be whole numbers.*float64"):
        validate_labels(classes.astype(float), instances)
    with pytest.raises(LabelError, match=r"instances must be .* three axes.*\(6, 8\)"):
        validate_labels(classes, instances[0])
    with pytest.raises(LabelError, match=r"shapes differ: classes \(4, 6, 8\), instances \(3, 6"):
        validate_labels(classes, instances[1:])
    with pytest.raises(LabelError, match=r"the scan \(5, 6, 8\)"):
        validate_labels(classes, instances, shape=(5, 6, 8))
    with pytest.raises(LabelError):
        LesionLabels(classes, instances * 0, np.eye(4))


def write(array: np.ndarray, path: Path, origin: tuple[float, float, float]) -> None:
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing((0.7, 0.8, 5.0))
    image.SetOrigin(origin)
    SimpleITK.WriteImage(image, str(path))


def test_labels_on_the_disk_lie_where_the_scan_does(tmp_path: Path) -> None:
    classes, instances = good()
    paths = label_paths(tmp_path, "S1")
    assert [path.name for path in paths] == ["S1.classes.nii.gz", "S1.instances.nii.gz"]
    for array, path in zip((classes, instances), paths, strict=True):
        write(array, path, (-10, -20, 30))
    affine = np.array([[0, 0, 0.7, -10], [0, 0.8, 0, -20], [5, 0, 0, 30], [0, 0, 0, 1.0]])
    scan = Scan(np.zeros((4, 6, 8), np.int16), affine)
    labels = read_labels(tmp_path, "S1", scan)
    np.testing.assert_array_equal(labels.classes, classes)
    np.testing.assert_array_equal(labels.instances, instances)
    np.testing.assert_allclose(labels.affine, affine, atol=1e-5)
    moved = affine.copy()
    moved[2, 3] += 5
    with pytest.raises(LabelError, match=r"do not lie where the scan does"):
        read_labels(tmp_path, "S1", Scan(scan.hu, moved))
    write(instances, paths[1], (0, 0, 0))
    with pytest.raises(LabelError, match=r"do not lie where the volume of instances does"):
        read_labels(tmp_path, "S1")


def test_pixels_of_another_size_lie_elsewhere_at_the_far_corner(tmp_path: Path) -> None:
    shape = (2, 4, 512)
    classes, instances = np.zeros(shape, np.uint8), np.zeros(shape, np.int16)
    for array, path in zip((classes, instances), label_paths(tmp_path, "S1"), strict=True):
        write(array, path, (-10, -20, 30))
    affine = np.array([[0, 0, 0.7, -10], [0, 0.8, 0, -20], [5, 0, 0, 30], [0, 0, 0, 1.0]])
    read_labels(tmp_path, "S1", Scan(np.zeros(shape, np.int16), affine))
    affine[0, 2] = 0.709  # 4.6 mm over 511 columns
    with pytest.raises(LabelError, match=r"do not lie where the scan does"):
        read_labels(tmp_path, "S1", Scan(np.zeros(shape, np.int16), affine))


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"S1.classes.nii.gz: there is no such file"):
        read_labels(tmp_path, "S1")
    label_paths(tmp_path, "S1")[0].write_bytes(b"x")
    with pytest.raises(LabelError, match=r"S1.classes.nii.gz: the labels cannot be read"):
        read_labels(tmp_path, "S1")
    for array, path in zip(good(), label_paths(tmp_path, "S1"), strict=True):
        write(array, path, (0, 0, 0))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 9 // 10])
    with pytest.raises(LabelError, match=r"S1.instances.nii.gz: the labels cannot be read: .*cut"):
        read_labels(tmp_path, "S1")
