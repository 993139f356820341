"""Lesions from a map of classes, numbered by instances."""

from __future__ import annotations

import numpy as np

from covidlit.lesions.diffuse import number_by_instances
from covidlit.scans.lesion_labels import validate_labels

SPACING = (1.0, 1.0, 1.0)


def _volume(*boxes: tuple[slice, int], length: int = 20) -> np.ndarray:
    line = np.zeros((1, 1, length), np.uint8)
    for where, value in boxes:
        line[0, 0, where] = value
    return line


def test_a_piece_with_two_instances_is_shared_by_distance() -> None:
    semantic = _volume((slice(2, 12), 3))
    found = _volume((slice(2, 4), 3), (slice(10, 12), 3))
    instances = _volume((slice(2, 4), 1), (slice(10, 12), 2)).astype(np.int32)
    classes, numbers = number_by_instances(semantic, found, instances, SPACING)
    validate_labels(classes, numbers)
    assert (classes == semantic).all()
    first, last = numbers[0, 0, 2], numbers[0, 0, 11]
    assert first != last
    assert (numbers[0, 0, 2:7] == first).all()
    assert (numbers[0, 0, 7:12] == last).all()


def test_pieces_without_an_instance_are_lesions_and_classes_do_not_mix() -> None:
    semantic = _volume((slice(0, 5), 1), (slice(5, 8), 2), (slice(8, 12), 3), (slice(15, 17), 3))
    claimed = _volume((slice(5, 12), 2))  # beyond what the map calls class 2
    instances = (claimed > 0).astype(np.int32)
    classes, numbers = number_by_instances(semantic, claimed, instances, SPACING)
    validate_labels(classes, numbers)
    assert (classes == semantic).all()
    assert sorted(np.unique(numbers[numbers > 0])) == [1, 2, 3]
    assert (numbers[0, 0, 8:12] == 1).all()  # the largest


def test_one_instance_over_two_pieces_stays_one_lesion() -> None:
    semantic = _volume((slice(2, 5), 3), (slice(6, 9), 3))
    found = _volume((slice(2, 9), 3))
    classes, numbers = number_by_instances(semantic, found, (found > 0).astype(np.int32), SPACING)
    assert np.unique(numbers).tolist() == [0, 1]
    assert (classes[0, 0, 5], numbers[0, 0, 5]) == (0, 0)


def test_small_lesions_become_lung() -> None:
    semantic = _volume((slice(0, 1), 3), (slice(5, 9), 3))
    none = np.zeros_like(semantic)
    classes, numbers = number_by_instances(
        semantic, none, none.astype(np.int32), SPACING, min_volume_ml=0.002
    )
    assert classes[0, 0].tolist()[:2] == [1, 0]
    assert np.unique(numbers).tolist() == [0, 1]
