from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from covidlit.errors import CovidlitError
from covidlit.lesions import LabelError, LesionLabels, SliceInstances, read_labels, write_labels
from covidlit.scans.scan import Scan


def labels(affine: np.ndarray, number: int = 7) -> LesionLabels:
    """Nothing in it is symmetric."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 7, (5, 6, 9)).astype(np.uint8)
    classes[classes > 1] = 3
    instances = np.where(classes > 1, number, 0).astype(np.int32)
    return LesionLabels(classes, instances, affine)


def affine(degrees: tuple[float, float, float]) -> np.ndarray:
    """Index (z, y, x) to LPS mm, turned about the three axes; slices of 5 mm."""
    out = np.eye(4)
    turned = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    out[:3, :3] = turned[:, [2, 1, 0]] * [5.0, 0.7, 0.8]
    out[:3, 3] = [-12.3, 45.6, -789.1]
    return out


@pytest.mark.parametrize("number", [7, 40000])
@pytest.mark.parametrize("degrees", [(0, 0, 0), (12, -7, 20), (-25, 3, -1)])
def test_labels_come_back_as_they_were_written(
    tmp_path: Path, degrees: tuple[float, float, float], number: int
) -> None:
    out = labels(affine(degrees), number)
    write_labels(tmp_path / "new", "S1", out)
    back = read_labels(tmp_path / "new", "S1", Scan(np.zeros((5, 6, 9), np.int16), out.affine))
    np.testing.assert_array_equal(back.classes, out.classes)
    np.testing.assert_array_equal(back.instances, out.instances)
    np.testing.assert_allclose(back.affine, out.affine, atol=1e-4)
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_another_reader_finds_whole_numbers_unscaled(tmp_path: Path) -> None:
    out = labels(affine((12, -7, 20)))
    for path in write_labels(tmp_path, "S1", out):
        image = nib.load(path)
        assert (image.dataobj.slope, image.dataobj.inter) == (1.0, 0.0)
        assert image.get_data_dtype().kind in "iu"
        values = np.asarray(image.dataobj).transpose(2, 1, 0)
        wanted = out.classes if "classes" in path.name else out.instances
        np.testing.assert_array_equal(values, wanted)
        lps = np.diag([-1, -1, 1, 1]) @ image.affine
        np.testing.assert_allclose(lps @ [3, 2, 1, 1], out.affine @ [1, 2, 3, 1], atol=1e-3)


def test_what_cannot_be_written_leaves_the_old_files(tmp_path: Path) -> None:
    good = labels(affine((0, 0, 0)))
    paths = write_labels(tmp_path, "S1", good)
    before = [path.read_bytes() for path in paths]
    sheared = good.affine.copy()
    sheared[1, 0] += 2
    with pytest.raises(CovidlitError, match="perpendicular"):
        write_labels(tmp_path, "S1", LesionLabels(good.classes, good.instances, sheared))
    with pytest.raises(LabelError, match="scan_id: the name"):
        write_labels(tmp_path, "../S1", good)
    assert [path.read_bytes() for path in paths] == before
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("masks", "label", "score", "message"),
    [
        (np.zeros((1, 4, 4), np.uint8), 3, 0.5, "masks must be bool"),
        (np.zeros((2, 4, 4), bool), 3, 0.5, "masks must be bool"),
        (np.zeros((1, 4, 4), bool), 7, 0.5, r"instance 0: label 7: must be 1 \(lung\)"),
        (np.zeros((1, 4, 4), bool), 0, 0.5, "instance 0: label 0"),
        (np.zeros((1, 4, 4), bool), 3, np.nan, "instance 0: score nan"),
        (np.zeros((1, 4, 4), bool), 3, 1.5, "instance 0: score 1.5"),
    ],
)
def test_wrong_instances_of_a_slice_are_named(
    masks: np.ndarray, label: int, score: float, message: str
) -> None:
    with pytest.raises(LabelError, match=message):
        SliceInstances(masks, np.array([label]), np.array([score], np.float32))
