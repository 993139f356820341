"""The three planes: what lies where in the patient, in the letters and in the pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from covidlit.montage.picture import LUNG_WINDOW, letter_of, middle_planes, montage_jpeg

SPACING = (5.0, 2.0, 1.0)
SHAPE = (20, 80, 120)  # 100 mm high, 160 mm deep, 120 mm wide


@pytest.fixture
def affine() -> NDArray[np.float64]:
    """Of a canonical volume: index (z, y, x) to LPS mm."""
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = SPACING
    affine[:, 3] = (-60, -80, 0, 1)
    return affine


def test_edges_are_called_by_where_they_lie(affine: NDArray[np.float64]) -> None:
    planes = {plane.name: plane for plane in middle_planes(np.zeros(SHAPE, np.int16), affine)}
    assert planes["axial"].letters == ("R", "L", "A", "P")
    assert planes["coronal"].letters == ("R", "L", "H", "F")
    assert planes["sagittal"].letters == ("A", "P", "H", "F")
    assert planes["axial"].size_mm == (160, 120)
    assert planes["coronal"].size_mm == (100, 120)
    assert planes["sagittal"].size_mm == (100, 160)
    affine[:, 2] *= -1  # a volume that runs to the right: the letters tell
    mirrored = {plane.name: plane for plane in middle_planes(np.zeros(SHAPE, np.int16), affine)}
    assert mirrored["axial"].letters == ("L", "R", "A", "P")
    assert mirrored["sagittal"].letters == ("A", "P", "H", "F")


@pytest.mark.parametrize(
    ("step", "letter"),
    [
        ((1, 0, 0), "L"), ((-1, 0, 0), "R"), ((0, 2, 1), "P"), ((0, -1, 0.4), "A"),
        ((0.1, 0, 1), "H"), ((0, 0.3, -1), "F"),
    ],
)  # fmt: skip
def test_a_direction_is_called_by_the_nearest_axis(
    step: tuple[float, float, float], letter: str
) -> None:
    assert letter_of(np.array(step)) == letter


def test_what_is_left_in_the_patient_is_right_in_the_picture(affine: NDArray[np.float64]) -> None:
    """A white block left, in front and near the head of a black volume, and its middle slices."""
    hu = np.full(SHAPE, -1350, np.int16)
    hu[10:, :40, 60:] = 150  # towards the head, the front and the patient's left
    picture = np.asarray(Image.open(io.BytesIO(montage_jpeg(hu, affine))).convert("L"), float)
    height, width = picture.shape
    # 120, 120 and 160 mm wide with 6 mm between; 160 mm is the tallest.
    mm = width / (120 + 120 + 160 + 12)
    assert height == pytest.approx(160 * mm, abs=2)

    def at(left: float, across: float, down: float) -> float:
        """Grey at a place of a plane that begins `left` mm from the picture's edge."""
        x, y = round((left + across) * mm), round(down * mm)
        return float(np.median(picture[y - 2 : y + 3, x - 2 : x + 3]))

    axial = [[at(0, across, down) > 128 for across in (35, 90)] for down in (50, 120)]
    assert axial == [[False, True], [False, False]]  # front left of the patient: top right
    # The middle slice of y is the first behind the block, and that of x its first inside.
    coronal = [at(126, across, down) for across in (35, 90) for down in (30, 75)]
    assert max(coronal) < 40
    sagittal = [[at(252, across, down) > 128 for across in (50, 120)] for down in (30, 75)]
    assert sagittal == [[True, False], [False, False]]  # front, near the head: top left


def test_the_window_is_that_of_lungs_unless_told(affine: NDArray[np.float64]) -> None:
    hu = np.full(SHAPE, -600, np.int16)  # the middle of the lung window

    def grey(window: tuple[float, float]) -> float:
        picture = Image.open(io.BytesIO(montage_jpeg(hu, affine, window))).convert("L")
        return float(np.asarray(picture)[60, 80])

    assert grey(LUNG_WINDOW) == pytest.approx(127, abs=4)
    assert grey((-1000, 400)) == pytest.approx(400 / 1400 * 255, abs=4)
