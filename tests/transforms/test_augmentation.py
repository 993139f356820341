"""The augmentation: whatever belongs to one image is moved alike, and depends on its seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
import scipy.ndimage
import torch
import torchio as tio
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from covidlit.errors import ConfigError
from covidlit.scans.scan import AIR_HU, to_ras_xyz
from covidlit.transforms import Augmentation, AugmentationParameters

SPACING = (4.0, 1.0, 1.0)
SHAPE = (13, 61, 57)
CENTRE = (np.array(SHAPE) - 1) / 2

SEEDS = st.integers(0, 2**63 - 1)
KINDS = {
    "volume, in plane": (SHAPE, Augmentation(SPACING)),
    "volume, all axes": (SHAPE, Augmentation(SPACING, in_plane=False, flip_axes=("LR", "IS"))),
    "slice": (SHAPE[1:], Augmentation(SPACING[1:], in_plane=False, flip_axes=("LR", "AP", "IS"))),
    "one slice": ((1, *SHAPE[1:]), Augmentation(SPACING, in_plane=False, flip_axes=("AP",))),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def still(**changes: object) -> AugmentationParameters:
    values = {"scale": 1.0, "degrees": (0.0, 0.0, 0.0), "flips": ()} | changes
    return AugmentationParameters(**values)  # type: ignore[arg-type]


def gaussian(shape: Sequence[int], place: NDArray[np.float64]) -> torch.Tensor:
    """A soft ball at an index, int16 HU (1, *shape) in air; about 4 mm wide at every spacing."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    distance = np.linalg.norm((index - place) * SPACING[-len(shape) :], axis=-1)
    return torch.from_numpy(np.rint(AIR_HU + 30000 * np.exp(-((distance / 4) ** 2) / 2))).short()[
        None
    ]


def centre_of_mass(image: torch.Tensor) -> NDArray[np.float64]:
    return np.array(scipy.ndimage.center_of_mass(image[0].numpy() - AIR_HU))


def in_mm(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """(z, y, x) from the centre of a volume."""
    return (place - CENTRE) * SPACING


def phantom(shape: Sequence[int]) -> torch.Tensor:
    """Labels 1 to 3 (1, *shape) that no flip or rotation maps to themselves."""
    labels = torch.zeros(SHAPE, dtype=torch.uint8)
    labels[3:9, 20:45, 18:26] = 1
    labels[4:10, 37:45, 26:42] = 2
    labels[5:7, 18:24, 34:41] = 3
    whole = tuple(shape) == SHAPE
    return (labels if whole else labels[5]).reshape(1, *shape)


def block(shape: Sequence[int]) -> tuple[torch.Tensor, NDArray[np.int64]]:
    """A cuboid off the centre, as a mask (1, *shape), and its box."""
    box = np.array([[3, 18, 16], [9, 40, 30]])
    if shape[0] == 1:
        box[:, 0] = 0, 1
    box = box[:, -len(shape) :]
    mask = torch.zeros((1, *shape), dtype=torch.uint8)
    mask[0][tuple(slice(low, high) for low, high in box.T)] = 1
    return mask, box.reshape(1, -1)


def box_of(mask: torch.Tensor) -> NDArray[np.int64]:
    index = np.argwhere(mask[0].numpy())
    return np.concatenate([index.min(axis=0), index.max(axis=0) + 1])


@every_kind
@pytest.mark.parametrize("dtype", [torch.int16, torch.float32])
def test_images_and_labels_are_those_of_torchio(kind: str, dtype: torch.dtype) -> None:
    shape, augmentation = KINDS[kind]
    index_to_lps = np.eye(4)[[2, 1, 0, 3]] * [*SPACING, 1]
    generator = torch.Generator().manual_seed(0)
    axes = {"LR": 0, "AP": 1, "IS": 2}
    for seed in range(8):
        values = torch.randint(-1000, 1000, (1, *shape), generator=generator).to(dtype)
        drawn = augmentation.draw(seed)
        flips = [axes[axis] for axis in drawn.flips if shape[0] == SHAPE[0] or axis != "IS"]
        affine = tio.Affine((drawn.scale,) * 3, drawn.degrees, (0, 0, 0), default_pad_value=AIR_HU)
        xyz = values.reshape(1, *(1, *shape)[-3:]).permute(0, 3, 2, 1)
        source = tio.Subject(
            image=tio.ScalarImage(tensor=xyz, affine=to_ras_xyz(index_to_lps)),
            labels=tio.LabelMap(tensor=xyz, affine=to_ras_xyz(index_to_lps)),
        )
        moved = affine(tio.Flip(flips)(source))
        image, labels = (
            moved[name].data.permute(0, 3, 2, 1).reshape(values.shape).float()
            for name in ("image", "labels")
        )
        augmented = augmentation.apply_to_image(values, drawn)
        assert augmented.dtype == torch.float32
        assert augmented.is_contiguous()
        # Noise of 2000 HU from voxel to voxel: a place is off by less than 1e-5 of a voxel.
        torch.testing.assert_close(augmented, image, rtol=0, atol=0.02)
        torch.testing.assert_close(
            augmentation.apply_to_labels(values, drawn).float(), labels, rtol=0, atol=0
        )


def test_the_parameters_of_a_seed_never_change() -> None:
    # A run resumed from a checkpoint of an earlier version must see the same images.
    drawn = Augmentation(in_plane=False, flip_axes=("LR", "AP", "IS")).draw(2**62)
    assert drawn.scale == pytest.approx(0.9992513061, abs=1e-7)
    assert drawn.degrees == pytest.approx((-11.0390854, -5.7773156, 4.0223604), abs=1e-6)
    assert drawn.flips == ("AP", "IS")


@every_kind
@given(seed=SEEDS)
def test_the_mask_of_the_image_is_the_moved_mask(kind: str, seed: int) -> None:
    shape, augmentation = KINDS[kind]
    drawn = augmentation.draw(seed)
    labels = phantom(shape)
    moved = augmentation.apply_to_labels(labels, drawn)
    assert moved.shape == labels.shape
    for name in (1, 2, 3):
        mask = moved[0].numpy() == name
        image = torch.where(labels == name, 1000, AIR_HU).to(torch.int16)
        seen = augmentation.apply_to_image(image, drawn)[0].numpy() > (1000 + AIR_HU) / 2
        around = np.ones((3,) * len(shape), dtype=bool)
        border = scipy.ndimage.binary_dilation(mask, around)
        border &= ~scipy.ndimage.binary_erosion(mask, around, border_value=1)
        assert mask.any()
        assert not (mask != seen)[~border].any()
        assert (mask != seen).sum() < mask.sum() / 3


@every_kind
@given(seed=SEEDS, share=st.tuples(*[st.floats(0.3, 0.7)] * 3))
def test_points_follow_what_they_mark(
    kind: str, seed: int, share: tuple[float, float, float]
) -> None:
    shape, augmentation = KINDS[kind]
    drawn = augmentation.draw(seed)
    place = np.array(share)[-len(shape) :] * (np.array(shape) - 1)
    image = gaussian(shape, place)
    (moved,) = augmentation.apply_to_points(place[None], drawn, shape)
    found = centre_of_mass(augmentation.apply_to_image(image, drawn))
    np.testing.assert_allclose(moved, found, atol=0.1)


@every_kind
@given(seed=SEEDS)
def test_the_affine_leads_back_to_where_a_point_was(kind: str, seed: int) -> None:
    shape, augmentation = KINDS[kind]
    drawn = augmentation.draw(seed)
    generator = np.random.default_rng(seed)
    affine = np.vstack([generator.normal(size=(3, 4)), [0, 0, 0, 1]])
    points = generator.uniform(-20, 60, (10, len(shape)))
    moved = augmentation.apply_to_points(points, drawn, shape)
    augmented = augmentation.apply_to_affine(affine, drawn, shape)

    def mapped(by: NDArray[np.float64], index: NDArray[np.float64]) -> NDArray[np.float64]:
        volume = np.pad(index, ((0, 0), (3 - len(shape), 0)))
        return volume @ by[:3, :3].T + by[:3, 3]

    np.testing.assert_allclose(mapped(augmented, moved), mapped(affine, points), atol=1e-9)


@every_kind
@given(seed=SEEDS, turned=st.booleans())
def test_boxes_hold_the_mask_they_held(kind: str, seed: int, turned: bool) -> None:
    shape, augmentation = KINDS[kind]
    drawn = augmentation.draw(seed)
    if not turned:
        drawn = still(scale=drawn.scale, flips=drawn.flips)
    mask, box = block(shape)
    d = len(shape)
    (moved,) = augmentation.apply_to_boxes(box, drawn, shape)
    found = box_of(augmentation.apply_to_labels(mask, drawn))
    # A voxel belongs to the mask when its centre does, so half of it may stand out.
    assert (found[:d] >= moved[:d] - 0.5 - 1e-6).all()
    assert (found[d:] <= moved[d:] + 0.5 + 1e-6).all()
    # The tips of a rotated cuboid fall between the voxels.
    np.testing.assert_allclose(found, moved, atol=2 if turned else 0.5 + 1e-6)


@every_kind
@given(seed=SEEDS)
def test_a_box_is_that_of_the_moved_corners(kind: str, seed: int) -> None:
    shape, augmentation = KINDS[kind]
    drawn = augmentation.draw(seed)
    d = len(shape)
    low, high = np.sort(np.random.default_rng(seed).uniform(0, 40, (2, 7, d)), axis=0)
    moved = augmentation.apply_to_boxes(np.hstack([low, high]), drawn, shape)
    assert moved.shape == (7, 2 * d)
    corners = np.array(
        [np.where(c, high, low) for c in product((False, True), repeat=d)]
    )  # fmt: skip
    seen = augmentation.apply_to_points(corners - 0.5, drawn, shape) + 0.5
    np.testing.assert_allclose(moved[:, :d], seen.min(axis=0))
    np.testing.assert_allclose(moved[:, d:], seen.max(axis=0))
    assert augmentation.apply_to_boxes(np.zeros((0, 2 * d)), drawn, shape).shape == (0, 2 * d)


def test_a_flip_is_exact() -> None:
    augmentation = Augmentation(SPACING)
    image = torch.randint(-1000, 1000, (1, *SHAPE), dtype=torch.int16)
    for axis, dimension in (("LR", 3), ("AP", 2), ("IS", 1)):
        drawn = still(flips=(axis,))
        flipped = augmentation.apply_to_image(image, drawn)
        assert flipped.dtype == torch.float32
        assert torch.equal(flipped, image.flip(dimension).float())
        assert torch.equal(augmentation.apply_to_labels(image, drawn), image.flip(dimension))
        box = np.array([[2, 3, 4, 5, 7, 9]])
        expected = box.copy()
        k, n = dimension - 1, SHAPE[dimension - 1]
        expected[0, [k, k + 3]] = n - box[0, k + 3], n - box[0, k]
        np.testing.assert_array_equal(augmentation.apply_to_boxes(box, drawn, SHAPE), expected)


def test_rotation_turns_a_landmark_in_the_axial_plane() -> None:
    offset = np.array([0, 3.0, 18.0])
    drawn = still(degrees=(0.0, 0.0, 10.0))
    turned = Augmentation(SPACING).apply_to_image(gaussian(SHAPE, CENTRE + offset), drawn)
    z, y, x = in_mm(centre_of_mass(turned))
    angle = np.rad2deg(np.arctan2(y, x) - np.arctan2(offset[1], offset[2]))
    assert abs(angle) == pytest.approx(10, abs=0.1)
    assert np.hypot(y, x) == pytest.approx(np.hypot(*offset[1:]), abs=0.05)
    assert z == pytest.approx(0, abs=0.05)


def test_rotation_about_the_left_right_axis_goes_by_millimetres() -> None:
    drawn = still(degrees=(10.0, 0.0, 0.0))
    image = gaussian(SHAPE, CENTRE + np.array([0, 18.0, 0]))
    turned = Augmentation(SPACING).apply_to_image(image, drawn)
    z, _, x = in_mm(centre_of_mass(turned))
    assert abs(z) == pytest.approx(18 * np.sin(np.deg2rad(10)), abs=0.2)
    assert x == pytest.approx(0, abs=0.05)


def test_a_scale_above_one_enlarges_about_the_centre() -> None:
    offset = np.array([1.0, -10.0, 15.0])
    image = gaussian(SHAPE, CENTRE + offset)
    place = in_mm(centre_of_mass(Augmentation(SPACING).apply_to_image(image, still(scale=1.1))))
    np.testing.assert_allclose(place, offset * SPACING * 1.1, atol=0.15)


def test_slices_are_augmented_as_a_stack_of_one_and_as_each_of_a_volume_turned_in_plane() -> None:
    augmentation = Augmentation(SPACING, in_plane=False)
    volume = torch.randint(-1000, 1000, (1, *SHAPE), dtype=torch.int16)
    for drawn in (augmentation.draw(1), augmentation.draw(2), still(flips=("LR", "IS"))):
        for apply in (augmentation.apply_to_image, augmentation.apply_to_labels):
            one = apply(volume[:, 4], drawn)
            assert one.shape == volume[:, 4].shape
            assert torch.equal(one, apply(volume[:, 4:5], drawn)[:, 0])
    in_plane = still(degrees=(0.0, 0.0, -12.0), flips=("AP",))
    whole = augmentation.apply_to_image(volume, in_plane)
    for k in (0, 6, 12):
        one = augmentation.apply_to_image(volume[:, k], in_plane)
        torch.testing.assert_close(one, whole[:, k])


def test_every_channel_is_moved_alike() -> None:
    augmentation = Augmentation(SPACING)
    drawn = augmentation.draw(7)
    masks = torch.randint(0, 2, (3, *SHAPE), dtype=torch.bool)
    moved = augmentation.apply_to_labels(masks, drawn)
    for mask, one in zip(masks, moved, strict=True):
        assert torch.equal(augmentation.apply_to_labels(mask[None], drawn)[0], one)
    assert augmentation.apply_to_labels(masks[:0], drawn).shape == (0, *SHAPE)


@pytest.mark.parametrize(
    "dtype",
    [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float32],
)
def test_labels_keep_their_type_and_values(dtype: torch.dtype) -> None:
    augmentation = Augmentation(SPACING)
    labels = torch.randint(0, 5, (1, *SHAPE)).to(dtype)
    for drawn in (still(), still(flips=("LR",)), augmentation.draw(3)):
        moved = augmentation.apply_to_labels(labels, drawn)
        assert moved.dtype == dtype
        assert set(moved.unique().tolist()) <= set(labels.unique().tolist())
    ids = torch.tensor([0, 2**24], dtype=torch.int32).repeat(1, 4, 6, 3)
    assert set(augmentation.apply_to_labels(ids, drawn).unique().tolist()) == {0, 2**24}


def test_a_label_that_would_be_rounded_is_refused() -> None:
    labels = torch.full((1, 4, 6, 6), 2**24 + 1)
    with pytest.raises(ConfigError, match="label 16777217 is above"):
        Augmentation(SPACING).apply_to_labels(labels, still(scale=1.1))


def test_air_comes_into_an_image_and_background_into_labels() -> None:
    inside = torch.full((1, *SHAPE), 100, dtype=torch.int16)
    augmentation = Augmentation(SPACING)
    image = augmentation.apply_to_image(inside, still(scale=0.5))
    labels = augmentation.apply_to_labels(inside, still(scale=0.5))
    assert (image[0, 6, 0, 0], labels[0, 6, 0, 0]) == (AIR_HU, 0)
    assert (image[0, 6, 30, 28], labels[0, 6, 30, 28]) == (100, 100)
    assert set(image.round(decimals=3).unique().tolist()) == {AIR_HU, 100}


def test_a_seed_gives_one_result_and_leaves_the_global_generator_alone() -> None:
    augmentation = Augmentation(SPACING)
    image = gaussian(SHAPE, CENTRE + np.array([0, 5, 5]))
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = augmentation.apply_to_image(image, augmentation.draw(2**62 + 5))
    assert torch.equal(torch.rand(3), expected)
    again, other = (augmentation.draw(seed) for seed in (2**62 + 5, 2**62 + 6))
    assert torch.equal(first, augmentation.apply_to_image(image, again))
    assert not torch.equal(first, augmentation.apply_to_image(image, other))


def test_what_is_augmented_is_left_as_it_was() -> None:
    augmentation = Augmentation(SPACING)
    image = torch.randint(-1000, 1000, (1, *SHAPE), dtype=torch.int16)
    before = image.clone()
    for seed in range(4):
        augmentation.apply_to_image(image, augmentation.draw(seed))
        augmentation.apply_to_labels(image, augmentation.draw(seed))
    assert torch.equal(image, before)


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
        ({"scales": (1.0, float("inf"))}, "scales"),
        ({"scales": "0.9"}, "scales"),
        ({"scales": ("0.9", "1.1")}, "scales"),
        ({"scales": (True, 1.1)}, "scales"),
        ({"scales": 1.1}, "scales"),
        ({"scales": None}, "scales"),
        ({"scales": (float("nan"), 1.1)}, "scales"),
        ({"degrees": 400}, "degrees"),
        ({"degrees": "15"}, "degrees"),
        ({"degrees": True}, "degrees"),
        ({"degrees": None}, "degrees"),
        ({"degrees": (0, "15")}, "degrees"),
        ({"in_plane": "no"}, "in_plane"),
        ({"flip_axes": "LR"}, "flip_axes"),
        ({"flip_axes": 1}, "flip_axes"),
        ({"flip_axes": [["LR"]]}, "flip_axes"),
        ({"flip_axes": ("UP",)}, "flip_axes"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=f"augmentation.{named}"):
        Augmentation(**arguments)  # type: ignore[arg-type]
