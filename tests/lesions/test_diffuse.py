"""Lesions of a map of classes, and which of its small pieces count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from covidlit.lesions.diffuse import lesions_of_map
from covidlit.lesions.matching import number_lesions
from covidlit.scans.lesion_labels import validate_labels

SPACING = (1.0, 1.0, 1.0)


def _line(*parts: tuple[slice, int], length: int = 30) -> np.ndarray:
    line = np.zeros((1, 1, length), np.uint8)
    for where, value in parts:
        line[0, 0, where] = value
    return line


def _found(semantic: np.ndarray, objects: np.ndarray, doubtful: int = 4) -> tuple[list[int], int]:
    """Classes along the line, and how many lesions there are."""
    classes, numbers = lesions_of_map(semantic, objects, SPACING, doubtful_ml=doubtful / 1000)
    validate_labels(classes, numbers)
    return classes[0, 0].tolist(), int(numbers.max())


NONE = np.zeros((1, 1, 30), np.uint8)


def test_objects_do_not_cut_what_hangs_together() -> None:
    semantic = _line((slice(2, 12), 3))
    objects = _line((slice(2, 4), 3), (slice(10, 12), 3))
    assert _found(semantic, objects) == (semantic[0, 0].tolist(), 1)


def test_a_doubtful_piece_is_part_of_what_it_touches_or_lung() -> None:
    semantic = _line((slice(0, 8), 3), (slice(8, 10), 4), (slice(20, 22), 2))
    classes, n = _found(semantic, NONE)
    assert n == 1
    assert classes[:10] == [3] * 10
    assert classes[20:22] == [1, 1]


def test_a_small_piece_counts_where_an_object_of_its_class_was_found() -> None:
    semantic = _line((slice(0, 8), 3), (slice(8, 10), 4), (slice(20, 22), 2))
    objects = _line((slice(9, 12), 4), (slice(21, 22), 2))
    assert _found(semantic, objects) == (semantic[0, 0].tolist(), 3)
    another = _line((slice(8, 10), 5), (slice(20, 22), 3))  # objects of other classes
    assert _found(semantic, another)[1] == 1


def test_large_pieces_count_whatever_was_found() -> None:
    semantic = _line((slice(0, 4), 3), (slice(4, 8), 2), (slice(20, 24), 5))
    assert _found(semantic, NONE) == (semantic[0, 0].tolist(), 3)


def test_specks_in_a_row_go_to_the_lesion_at_its_end() -> None:
    semantic = _line((slice(0, 8), 3), (slice(8, 10), 4), (slice(10, 11), 5), (slice(11, 13), 2))
    classes, n = _found(semantic, NONE)
    assert n == 1
    assert classes[:13] == [3] * 13


def test_two_lesions_that_share_a_speck_become_one() -> None:
    semantic = _line((slice(0, 8), 3), (slice(8, 9), 4), (slice(9, 15), 3))
    assert _found(semantic, NONE)[1] == 1


def test_small_lesions_become_lung_whatever_was_found() -> None:
    semantic = _line((slice(0, 1), 3), (slice(5, 9), 3))
    classes, numbers = lesions_of_map(semantic, semantic, SPACING, min_volume_ml=0.002)
    assert classes[0, 0].tolist()[:2] == [1, 0]
    assert np.unique(numbers).tolist() == [0, 1]


def test_no_lesion() -> None:
    lung = _line((slice(3, 9), 1))
    classes, numbers = lesions_of_map(lung, NONE, SPACING, min_volume_ml=1, doubtful_ml=1)
    assert (classes == lung).all()
    assert numbers.max() == 0


@given(seed=st.integers(0, 10_000), doubtful=st.sampled_from([0, 5, 40]))
def test_what_stays_is_large_or_was_found(seed: int, doubtful: int) -> None:
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(6, 14, 14)), 1.2)
    semantic = np.digitize(smooth, [-0.1, 0.05, 0.12, 0.2]).astype(np.uint8)
    objects = np.where(rng.random(semantic.shape) < 0.01, semantic, 0).astype(np.uint8)
    classes, numbers = lesions_of_map(semantic, objects, SPACING, doubtful_ml=doubtful / 1000)
    assert (numbers == number_lesions(classes)).all()
    assert (classes[semantic < 2] == semantic[semantic < 2]).all()
    assert set(np.unique(classes[semantic >= 2])) <= {1, 2, 3, 4}
    for lesion in range(1, int(numbers.max()) + 1):
        inside = numbers == lesion
        assert inside.sum() >= doubtful or (objects[inside] == classes[inside]).any()
    if not doubtful:
        assert (classes == semantic).all()


@pytest.mark.parametrize("flipped", [0, 1, 2])
def test_the_direction_of_the_axes_does_not_matter(flipped: int) -> None:
    rng = np.random.default_rng(3)
    smooth = ndimage.gaussian_filter(rng.normal(size=(8, 20, 20)), 1.5)
    semantic = np.digitize(smooth, [-0.05, 0.03, 0.08]).astype(np.uint8)
    none = np.zeros_like(semantic)
    one, _ = lesions_of_map(semantic, none, SPACING, doubtful_ml=0.03)
    other, _ = lesions_of_map(np.flip(semantic, flipped), none, SPACING, doubtful_ml=0.03)
    assert (np.flip(other, flipped) >= 2).sum() == (one >= 2).sum()
