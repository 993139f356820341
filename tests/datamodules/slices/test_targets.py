"""Masks of a slice to detection targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from covidlit.datamodules.slices.targets import (
    Instances,
    connected_instances,
    detection_target,
    each_lung,
    middle_of,
    targets_of_classes,
)

CLASS_MAPS = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 6)
)


def _two_lungs(gap: int) -> np.ndarray:
    """Two ellipses of lung, `gap` columns apart; joined by a bridge of 4 rows where below 0."""
    y, x = np.mgrid[:120, :160]
    lungs = ((y - 60) / 45) ** 2 + ((x - 45) / 30) ** 2 < 1
    lungs |= ((y - 60) / 45) ** 2 + ((x - 105 - gap) / 30) ** 2 < 1
    if gap < 0:
        lungs[30:34, 50:100] = True
    return lungs.astype(np.uint8)


def test_an_empty_slice_has_targets_of_the_right_shapes_and_types() -> None:
    target, dropped = targets_of_classes(np.zeros((5, 7), np.uint8), (1.0, 1.0), 6)
    assert dropped == 0
    assert {name: (tuple(t.shape), t.dtype) for name, t in target.items()} == {
        "boxes": ((0, 4), torch.float32),
        "labels": ((0,), torch.int64),
        "masks": ((0, 5, 7), torch.uint8),
        "semantic": ((5, 7), torch.uint8),
        "annotated": ((7,), torch.bool),
        "ignored_boxes": ((0, 4), torch.float32),
        "ignored_labels": ((0,), torch.int64),
        "ignored_masks": ((0, 5, 7), torch.uint8),
    }
    assert target["annotated"].all()


def test_a_single_pixel_has_a_box_of_one_pixel() -> None:
    classes = np.zeros((4, 5), np.uint8)
    classes[0, 2] = 6
    target, _ = targets_of_classes(classes, (1.0, 1.0), 6)
    assert target["boxes"].tolist() == [[2, 0, 3, 1]]
    assert target["labels"].tolist() == [6]


@given(CLASS_MAPS)
def test_objects_are_the_pieces_of_each_class_and_the_map_comes_back(classes: np.ndarray) -> None:
    target, dropped = targets_of_classes(classes, (0.7, 0.7), 6)
    assert dropped == 0
    assert np.array_equal(target["semantic"].numpy(), classes)
    labels = target["labels"].numpy()
    for label in range(2, 7):
        own = target["masks"].numpy()[labels == label]
        assert len(own) == ndimage.label(classes == label, np.ones((3, 3)))[1]
        assert np.array_equal(own.sum(axis=0), classes == label)
    field = target["masks"].numpy()[labels == 1]
    assert np.array_equal(field.sum(axis=0), (classes > 0) & (classes < 6))
    for box, mask in zip(target["boxes"].tolist(), target["masks"].numpy(), strict=True):
        rows, columns = np.nonzero(mask)
        assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_small_pieces_are_dropped_by_their_size_in_mm2_and_counted() -> None:
    classes = np.zeros((10, 10), np.uint8)
    classes[0, :4], classes[5, :3], classes[8, 8] = 2, 2, 3
    target, dropped = targets_of_classes(classes, (0.5, 2.0), 6, annotated=(2, 3), min_area_mm2=4.0)
    assert dropped == 2
    assert target["masks"].sum(dim=(1, 2)).tolist() == [4]
    assert np.array_equal(target["semantic"].numpy(), classes)
    unknown, dropped = targets_of_classes(
        classes, (np.nan, np.nan), 6, annotated=(2, 3), min_area_mm2=2.0
    )
    assert (dropped, len(unknown["labels"])) == (1, 2)


@pytest.mark.parametrize("gap", [10, -8])
def test_each_lung_is_an_object_also_where_both_touch(gap: int) -> None:
    lungs = _two_lungs(gap)
    assert ndimage.label(lungs)[1] == (2 if gap > 0 else 1)
    found = connected_instances(lungs)
    assert found.labels.tolist() == [1, 1]
    assert np.array_equal(found.masks.sum(axis=0), lungs)
    middles = sorted(np.nonzero(mask)[1].mean() for mask in found.masks)
    assert middles == pytest.approx([45, 105 + gap], abs=3)


def test_one_lung_is_not_cut() -> None:
    lungs = _two_lungs(10)
    lungs[:, 80:] = 0
    assert connected_instances(lungs).labels.tolist() == [1]


def test_an_annotation_of_one_lung_is_one_object_whatever_its_pieces() -> None:
    lungs = _two_lungs(10)
    middle = middle_of(lungs > 0)
    right = (lungs > 0) & (np.arange(lungs.shape[1]) < middle)
    pieces = right.copy()
    pieces[48:52] = False  # a waist that is cut through
    assert ndimage.label(pieces)[1] == 2
    for mask in (right, pieces):
        (one,) = each_lung(mask, middle)
        assert np.array_equal(one, mask)
    both = each_lung((lungs > 0) & ~(right & ~pieces), middle)
    assert len(both) == 2
    assert np.array_equal(both[0], pieces)


@pytest.mark.parametrize(("lung", "lesion"), [(1, 2), (2, 1), (0, 1)])
def test_lesions_lie_over_the_lung_whatever_its_label(lung: int, lesion: int) -> None:
    masks = np.zeros((2, 8, 8), np.uint8)
    masks[0, 1:7, 1:7], masks[1, 3:5, 3:5] = 1, 1
    if not lung:
        masks = masks[1:]
    labels = np.array([lung, lesion] if lung else [lesion])
    target, _ = detection_target(Instances(masks, labels), (1.0, 1.0), 2, lung=lung)
    assert (target["semantic"][3:5, 3:5] == lesion).all()
    if lung:
        assert int(target["semantic"][1, 1]) == lung


def test_lesions_are_of_the_lung_s_field_and_fluid_is_not() -> None:
    classes = _two_lungs(10)
    classes[50:60, 40:50], classes[100:104, 40:50] = 3, 6
    target, _ = targets_of_classes(classes, (1.0, 1.0), 6)
    assert target["labels"].tolist() == [1, 1, 3, 6]
    lung = target["masks"][0] | target["masks"][1]
    assert bool(lung[50:60, 40:50].all())
    assert not bool(lung[100:104, 40:50].any())


def test_crowds_are_no_objects_and_smaller_lesions_lie_on_top() -> None:
    masks = np.zeros((3, 8, 8), np.uint8)
    masks[0, :6, :6], masks[1, 1:3, 1:3], masks[2, 7, :] = 1, 1, 1
    found = Instances(masks, np.array([2, 3, 4]), np.array([False, False, True]))
    target, dropped = detection_target(found, (1.0, 1.0), 6, annotated=(2, 3))
    assert target["labels"].tolist() == [2, 3]
    assert dropped == 0
    assert int(target["semantic"][1, 1]) == 3
    assert int(target["semantic"][0, 0]) == 2
    assert (target["semantic"][7] == 4).all()
    assert target["annotated"].tolist() == [True, False, True, True, False, False, False]
    assert target["ignored_labels"].tolist() == [4]
    assert target["ignored_boxes"].tolist() == [[0, 7, 8, 8]]
    assert np.array_equal(target["ignored_masks"][0], masks[2])


def test_pieces_below_the_size_are_ignored_and_those_without_a_pixel_are_nothing() -> None:
    masks = np.zeros((3, 8, 8), np.uint8)
    masks[0, :4, :4], masks[1, 6, 6] = 1, 1
    found = Instances(masks, np.array([2, 3, 4]))
    target, dropped = detection_target(found, (1.0, 1.0), 6, min_area_mm2=2.0)
    assert (target["labels"].tolist(), dropped) == ([2], 1)
    assert target["ignored_labels"].tolist() == [3]
    assert target["ignored_boxes"].tolist() == [[6, 6, 7, 7]]
    whole, _ = detection_target(found, (1.0, 1.0), 6)
    assert whole["ignored_masks"].shape == (0, 8, 8)
    assert whole["ignored_boxes"].shape == (0, 4)


def test_masks_without_a_pixel_are_no_objects() -> None:
    found = Instances(np.zeros((1, 4, 4), np.uint8), np.array([2]))
    target, dropped = detection_target(found, (1.0, 1.0), 6)
    assert (len(target["labels"]), dropped) == (0, 0)


@pytest.mark.parametrize("label", [0, -1, 7])
def test_a_label_that_a_network_takes_for_background_is_refused(label: int) -> None:
    found = Instances(np.ones((1, 4, 4), np.uint8), np.array([label]))
    with pytest.raises(ValueError, match="labels must be 1 to 6"):
        detection_target(found, (1.0, 1.0), 6)
