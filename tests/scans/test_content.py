"""What is no chest CT in HU is refused by name, whichever way it comes in."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from chests import LAS, canonical, hu_on, save
from numpy.typing import NDArray

from covidlit.scans.content import LEAST_LUNGS_PERCENT, NoChestError, look_at
from covidlit.scans.images import read_image
from covidlit.scans.lungs import lungs_in_view

HU = canonical()
NOISY = (HU + np.random.default_rng(0).normal(0, 20, HU.shape)).astype(np.int16)
SPACING = (5.0, 5.0, 5.0)

Values = NDArray[np.generic]

NOT_HU: list[tuple[str, Callable[[NDArray[np.int16]], Values], str, str]] = [
    ("offset 1024", lambda hu: hu + 1024, "not_hu", "HU + 1024"),
    ("offset 1000", lambda hu: hu + 1000, "not_hu", "HU + 1000"),
    ("offset 8192", lambda hu: hu + 8192, "not_hu", "HU + 8192"),
    ("offset -1024", lambda hu: hu.astype(np.int32) - 1024, "not_hu", "HU - 1024"),
    ("grey", lambda hu: np.rint(np.clip((hu + 1250) / 1500, 0, 1) * 255), "not_hu", "grey"),
    ("unit", lambda hu: np.clip((hu + 1000) / 1400, 0, 1), "not_hu", "scaled"),
    ("z-scored", lambda hu: (hu - hu.mean()) / hu.std(), "not_hu", "scaled"),
    ("mask", lambda hu: (hu < -500).astype(np.uint8), "label_map", "2 values only"),
    ("mask 255", lambda hu: (hu < -500) * np.uint8(255), "label_map", "labels"),
    ("classes", lambda hu: np.digitize(hu, [-900, -500, 100]), "label_map", "4 values only"),
    ("zero", lambda hu: hu * 0, "label_map", "every voxel is 0"),
    ("air", lambda hu: hu * 0 - 1000, "label_map", "every voxel is -1000"),
    ("unsigned", lambda hu: hu.astype(np.uint16), "not_hu", "unsigned"),
    ("soft window", lambda hu: np.clip(hu, -160, 240), "not_hu", "no air"),
]


@pytest.mark.parametrize("hu", [HU, NOISY], ids=["phantom", "noisy"])
@pytest.mark.parametrize(("name", "make", "check", "word"), NOT_HU)
def test_what_it_looks_like_is_said(
    name: str,
    make: Callable[[NDArray[np.int16]], Values],
    check: str,
    word: str,
    hu: NDArray[np.int16],
) -> None:
    content = look_at(make(hu), SPACING)
    ((found, message),) = content.findings
    assert found == check
    assert word in message
    overridden = look_at(make(hu), SPACING, override=[check])
    assert overridden.findings == ()
    assert overridden.notes[0].startswith(f"{check} overridden: ")


@pytest.mark.parametrize(
    "made",
    [
        HU,
        NOISY,
        np.clip(HU, -1000, 400),
        np.where(HU <= -1000, -2048, HU),
        np.where(HU <= -1000, -3024, NOISY),
        HU.astype(np.float32),
    ],
    ids=["phantom", "noisy", "window", "padding", "noise and padding", "float"],
)
def test_a_chest_in_hu_is_left_alone(made: Values) -> None:
    content = look_at(made, SPACING)
    assert content.findings == ()
    assert content.notes == ()
    assert content.lungs_in_view_percent == 100


@pytest.mark.parametrize("lung", [-950.0, -700.0, -450.0, -300.0])
def test_lungs_of_any_density_are_found(lung: float) -> None:
    view = lungs_in_view(canonical(lung), SPACING)
    assert view.sides == ("right", "left")
    assert view.percent == 100


def test_consolidated_lungs_with_some_air_left_are_found() -> None:
    hu = HU.copy()
    lung = hu == -850
    y = np.arange(hu.shape[1])[None, :, None]
    hu[lung & (y > 30)] = 30  # the dependent half and more
    hu[lung & (y <= 30)] = -550
    content = look_at(hu, SPACING)
    assert content.findings == ()
    assert content.lungs_in_view_percent == 100


@pytest.mark.parametrize(
    ("part", "percent", "ends"),
    [
        (slice(0, 30), 50, "cut above"),
        (slice(30, 60), 50, "cut below"),
        (slice(18, 44), 80, "cut above and below"),
        (slice(6, 57), 100, None),
    ],
)
def test_how_much_of_the_lungs_is_in_view(part: slice, percent: float, ends: str | None) -> None:
    hu = HU[part]
    true = 100 * (hu == -850).sum() / (HU == -850).sum()
    assert true == pytest.approx(percent, abs=8)
    view = lungs_in_view(hu, SPACING)
    assert view.percent == pytest.approx(true, abs=12)
    assert view.text.endswith(ends) if ends else not (view.cut_above or view.cut_below)


@pytest.mark.parametrize("thickness", [1, 2])
def test_slices_of_5_mm_and_of_10_mm_say_the_same(thickness: int) -> None:
    view = lungs_in_view(HU[::thickness, ::2, ::2], (5.0 * thickness, 10.0, 10.0))
    assert view.percent == 100


def test_one_lung_counts_as_half() -> None:
    hu = HU.copy()
    hu[:, :, : hu.shape[2] // 2][hu[:, :, : hu.shape[2] // 2] == -850] = 30
    content = look_at(hu, SPACING)
    assert content.findings == ()
    assert content.lungs_in_view_percent == 50
    assert "only the left one found" in content.notes[0]


def head() -> NDArray[np.int16]:
    z, y, x = _mm((60, 50, 50), 5.0)
    hu = np.full(z.shape, -1000)
    hu[(z / 120) ** 2 + (y / 95) ** 2 + (x / 75) ** 2 < 1] = 900
    hu[(z / 112) ** 2 + (y / 87) ** 2 + (x / 67) ** 2 < 1] = 40
    for side in (-1, 1):  # sinuses and mastoids
        hu[((z + 60) / 18) ** 2 + ((y + 55) / 16) ** 2 + ((x - side * 24) / 15) ** 2 < 1] = -1000
        hu[((z + 40) / 15) ** 2 + ((y - 15) / 12) ** 2 + ((x - side * 52) / 10) ** 2 < 1] = -500
    hu[((y + 50) ** 2 + x**2 < 8**2) & (z < -60)] = -1000  # airway
    return hu.astype(np.int16)


def abdomen() -> NDArray[np.int16]:
    z, y, x = _mm((70, 64, 72), 5.0)
    hu = np.full(z.shape, -1000)
    hu[(x / 165) ** 2 + (y / 115) ** 2 < 1] = 40
    for side in (-1, 1):  # the bases of the lungs above, gas and stool in the colon
        hu[((x - side * 80) / 55) ** 2 + ((y - 10) / 75) ** 2 < ((z - 130) / 120).clip(0)] = -850
        hu[((x - side * 110) / 26) ** 2 + (y / 26) ** 2 + (z / 90) ** 2 < 1] = -1000
        hu[((x - side * 110) / 20) ** 2 + ((y - 10) / 18) ** 2 + ((z + 60) / 60) ** 2 < 1] = -450
    return hu.astype(np.int16)


def water() -> NDArray[np.int16]:
    _, y, x = _mm((40, 50, 50), 5.0)
    return np.where(x**2 + y**2 < 100**2, 0, -1000).astype(np.int16)


def rods() -> NDArray[np.int16]:
    """A phantom of a physicist: a cylinder with rods of air, plastic and bone."""
    hu = water()
    _, y, x = _mm(hu.shape, 5.0)
    for angle, value in zip(np.linspace(0, 5.5, 8), (-1000, -100, 340, 990) * 2, strict=True):
        hu[(x - 58 * np.cos(angle)) ** 2 + (y - 58 * np.sin(angle)) ** 2 < 12**2] = value
    return hu


def _mm(shape: tuple[int, int, int], step: float) -> tuple[NDArray[np.float64], ...]:
    grid = np.meshgrid(*((np.arange(n) - (n - 1) / 2) * step for n in shape), indexing="ij")
    return tuple(grid)


@pytest.mark.parametrize("made", [head, abdomen, water, rods])
@pytest.mark.parametrize("noise", [0.0, 25.0])
def test_what_shows_no_chest_is_refused(
    made: Callable[[], NDArray[np.int16]], noise: float
) -> None:
    hu = (made() + np.random.default_rng(1).normal(0, noise, made().shape)).astype(np.int16)
    content = look_at(hu, SPACING)
    ((check, _),) = content.findings
    assert check == "no_lungs"
    assert content.lungs_in_view_percent is not None
    assert content.lungs_in_view_percent < LEAST_LUNGS_PERCENT
    assert look_at(hu, SPACING, override=["no_lungs"]).findings == ()


def test_where_a_field_of_view_is_too_small_nothing_is_refused() -> None:
    assert look_at(water()[:, 20:30, 20:30], SPACING).lungs_in_view_percent is None
    low = look_at(head()[20:26], SPACING)
    assert low.findings == ()
    assert "30 mm high only" in low.notes[0]


def test_the_refusal_of_a_file_names_the_check_and_can_be_overridden(tmp_path: Path) -> None:
    path = save(tmp_path / "ct.nii", hu_on(LAS) + 1024.0)
    with pytest.raises(NoChestError, match=r"not_hu: values look like HU \+ 1024") as refused:
        read_image(path)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)
    assert "not_hu overridden" in read_image(path, override=["not_hu"]).notes[0]


def test_a_header_that_says_labels_is_believed(tmp_path: Path) -> None:
    path = save(tmp_path / "ct.nii", hu_on(LAS).astype(np.int16))
    raw = bytearray(path.read_bytes())
    raw[68:70] = (1002).to_bytes(2, "little")
    path.write_bytes(raw)
    with pytest.raises(NoChestError, match="label_map: its header says"):
        read_image(path)
