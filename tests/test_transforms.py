"""The augmentation moves things where it says, and depends on its seed alone."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from covidlit.errors import ConfigError
from covidlit.scans.scan import AIR_HU
from covidlit.transforms import Augmentation, AugmentationParameters

SPACING = (4.0, 1.0, 1.0)
SHAPE = (9, 61, 61)
CENTRE = np.array([(n - 1) / 2 for n in SHAPE])


def volume_with_a_ball(offset_mm: tuple[float, float, float]) -> torch.Tensor:
    """A soft ball at a place (z, y, x) in mm from the centre, in air."""
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    distance = np.linalg.norm((index - CENTRE) * SPACING - offset_mm, axis=-1)
    hu = AIR_HU + 2000 * np.exp(-((distance / 4) ** 2) / 2)
    return torch.from_numpy(np.rint(hu).astype(np.int16))[None]


def ball_place(image: torch.Tensor) -> np.ndarray:
    """Centre of mass in mm from the centre, (z, y, x)."""
    return (np.array(scipy.ndimage.center_of_mass(image[0].numpy() - AIR_HU)) - CENTRE) * SPACING


def still(**changes: object) -> AugmentationParameters:
    values = {"scale": 1.0, "degrees": (0.0, 0.0, 0.0), "flips": ()} | changes
    return AugmentationParameters(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(("axis", "dimension"), [("LR", 3), ("AP", 2), ("IS", 1)])
def test_a_flip_flips(axis: str, dimension: int) -> None:
    image = torch.randint(-1000, 1000, (1, *SHAPE), dtype=torch.int16)
    flipped = Augmentation(SPACING).apply(image, still(flips=(axis,)))
    assert flipped.dtype == torch.float32
    assert torch.equal(flipped, image.flip(dimension).float())


def test_rotation_turns_a_landmark_in_the_axial_plane() -> None:
    y, x = 3.0, 18.0
    turned = Augmentation(SPACING).apply(
        volume_with_a_ball((0, y, x)), still(degrees=(0.0, 0.0, 10.0))
    )
    place = ball_place(turned)
    angle = np.rad2deg(np.arctan2(place[1], place[2]) - np.arctan2(y, x))
    assert abs(angle) == pytest.approx(10, abs=0.1)
    assert np.hypot(*place[1:]) == pytest.approx(np.hypot(y, x), abs=0.05)
    assert place[0] == pytest.approx(0, abs=0.05)


def test_rotation_about_the_left_right_axis_goes_by_millimetres() -> None:
    turned = Augmentation(SPACING).apply(
        volume_with_a_ball((0, 18.0, 0)), still(degrees=(10.0, 0.0, 0.0))
    )
    place = ball_place(turned)
    assert abs(place[0]) == pytest.approx(18 * np.sin(np.deg2rad(10)), abs=0.2)
    assert place[2] == pytest.approx(0, abs=0.05)


def test_a_scale_above_one_enlarges_about_the_centre() -> None:
    place = ball_place(
        Augmentation(SPACING).apply(volume_with_a_ball((4.0, -10.0, 15.0)), still(scale=1.1))
    )
    np.testing.assert_allclose(place, np.array([4.0, -10.0, 15.0]) * 1.1, atol=0.15)


def test_air_comes_in_from_outside() -> None:
    image = torch.full((1, *SHAPE), 100, dtype=torch.int16)
    small = Augmentation(SPACING).apply(image, still(scale=0.5))
    assert small[0, 4, 0, 0] == AIR_HU
    assert small[0, 4, 30, 30] == 100


def test_a_seed_gives_one_result_and_leaves_the_global_generator_alone() -> None:
    augmentation = Augmentation(SPACING)
    image = volume_with_a_ball((0, 5, 5))
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = augmentation(image, 2**62 + 5)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, augmentation(image, 2**62 + 5))
    assert not torch.equal(first, augmentation(image, 2**62 + 6))


def test_parameters_keep_to_the_papers_ranges() -> None:
    drawn = [Augmentation().draw(seed) for seed in range(400)]
    scales = np.array([p.scale for p in drawn])
    turns = np.array([p.degrees for p in drawn])
    assert 0.9 <= scales.min() < 0.905
    assert 1.095 < scales.max() <= 1.1
    assert (turns[:, :2] == 0).all()
    assert -15 <= turns[:, 2].min() < -14
    assert 14 < turns[:, 2].max() <= 15
    for axis in ("LR", "AP"):
        assert 160 < sum(axis in p.flips for p in drawn) < 240
    assert not any("IS" in p.flips for p in drawn)


def test_rotation_in_3d_by_option() -> None:
    turns = np.array([Augmentation(in_plane=False).draw(seed).degrees for seed in range(200)])
    assert (np.abs(turns).max(axis=0) > 13).all()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"scales": (1.1, 0.9)}, "scales"),
        ({"degrees": 400}, "degrees"),
        ({"flip_axes": ("UP",)}, "flip_axes"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=f"augmentation.{named}"):
        Augmentation(**arguments)  # type: ignore[arg-type]
