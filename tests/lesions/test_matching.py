from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covidlit.errors import ConfigError
from covidlit.lesions import (
    LabelError,
    SliceInstances,
    match_slices,
    no_instances,
    number_lesions,
    validate_labels,
)

SPACING = (5.0, 1.0, 1.0)
SHAPE = (24, 24)


def box(y: slice, x: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y, x] = True
    return mask


def found(*instances: tuple[np.ndarray, int], scores: list[float] | None = None) -> SliceInstances:
    if not instances:
        return no_instances(*SHAPE)
    masks = np.stack([mask for mask, _ in instances])
    labels = np.array([label for _, label in instances], np.int64)
    return SliceInstances(masks, labels, np.array(scores or [0.9] * len(labels), np.float32))


A, B = box(slice(2, 8), slice(2, 8)), box(slice(2, 8), slice(14, 20))
BOTH = box(slice(2, 8), slice(2, 20))
LUNG = box(slice(0, 24), slice(0, 24))


def test_sections_of_one_lesion_are_one_and_others_are_others() -> None:
    classes, instances = match_slices(
        [found((A, 3), (B, 3), (LUNG, 1)), found((A, 3), (B, 2)), found((A, 3))], SPACING
    )
    validate_labels(classes, instances)
    assert [np.unique(s).tolist() for s in instances] == [[0, 1, 3], [0, 1, 2], [0, 1]] or [
        np.unique(s).tolist() for s in instances
    ] == [[0, 1, 2], [0, 1, 3], [0, 1]]
    assert (instances == 1).sum() == 3 * 36
    assert np.unique(classes[0]).tolist() == [1, 3]
    assert classes[1][B].tolist() == [2] * 36


def test_what_splits_or_merges_is_one_lesion() -> None:
    for order in ([BOTH, None, BOTH], [None, BOTH, None], [None, BOTH, BOTH]):
        slices = [found((A, 3), (B, 3)) if m is None else found((m, 3)) for m in order]
        assert match_slices(slices, SPACING)[1].max() == 1


def test_a_gap_is_bridged_and_its_section_drawn_only_if_asked_for() -> None:
    gap = [found((A, 3), (LUNG, 1)), found((LUNG, 1)), found((A, 3), (LUNG, 1))]
    classes, instances = match_slices(gap, SPACING)
    assert instances.max() == 1
    np.testing.assert_array_equal(instances[1] == 1, A)
    validate_labels(classes, instances)
    classes, instances = match_slices(gap, SPACING, bridge_slices=0)
    assert instances.max() == 2
    assert not instances[1].any()
    two = [gap[0], gap[1], gap[1], gap[2]]
    assert match_slices(two, SPACING)[1].max() == 2
    assert match_slices(two, SPACING, bridge_slices=2)[1].max() == 1


def test_a_bridge_does_not_paint_over_another_lesion() -> None:
    other = box(slice(4, 6), slice(4, 6))
    classes, instances = match_slices([found((A, 3)), found((other, 2)), found((A, 3))], SPACING)
    assert classes[1][other].tolist() == [2] * 4
    assert (classes[1] == 3).sum() == 32
    validate_labels(classes, instances)


def test_too_little_overlap_does_not_join() -> None:
    near = box(slice(2, 8), slice(7, 13))  # a sixth of each
    assert match_slices([found((A, 3)), found((near, 3))], SPACING)[1].max() == 2
    joined = match_slices([found((A, 3)), found((near, 3))], SPACING, min_overlap=0.1)
    assert joined[1].max() == 1


@pytest.mark.parametrize("turn", [False, True])
def test_the_higher_score_takes_what_two_claim(turn: bool) -> None:
    pair, scores = [(A, 3), (box(slice(4, 12), slice(4, 12)), 2)], [0.9, 0.6]
    if turn:
        pair, scores = pair[::-1], scores[::-1]
    classes, instances = match_slices([found(*pair, (LUNG, 1), scores=[*scores, 0.99])], SPACING)
    assert (classes == 3).sum() == 36
    assert (classes == 2).sum() == 64 - 16
    validate_labels(classes, instances)


def test_weak_instances_and_small_lesions_are_left_out() -> None:
    slices = [found((A, 3), (B, 3), (LUNG, 1), scores=[0.9, 0.4, 0.9])]
    classes, instances = match_slices(slices, SPACING)
    assert instances.max() == 1
    assert classes[0][B].tolist() == [1] * 36
    classes, instances = match_slices(slices, SPACING, min_volume_ml=0.19)
    assert classes.max() == 1
    assert not instances.any()
    assert match_slices(slices, SPACING, min_volume_ml=0.17)[1].any()


def test_nothing_found_is_no_lesion() -> None:
    classes, instances = match_slices([found(), found()], SPACING)
    assert classes.shape == instances.shape == (2, *SHAPE)
    assert not classes.any()
    assert not instances.any()


@pytest.mark.parametrize(
    ("name", "value"),
    [("min_overlap", 0.0), ("bridge_slices", -1), ("min_score", 2.0), ("min_volume_ml", -1.0)],
)
def test_an_argument_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        match_slices([found()], SPACING, **{name: value})  # type: ignore[arg-type]


def test_slices_that_do_not_fit_are_refused() -> None:
    with pytest.raises(LabelError, match=r"slice 1 has \(5, 5\) pixels"):
        match_slices([found(), no_instances(5, 5)], SPACING)
    with pytest.raises(LabelError, match="no slice"):
        match_slices([], SPACING)


@st.composite
def stacks(draw: st.DrawFn) -> list[SliceInstances]:
    """Slices of overlapping boxes of all classes, with scores that often tie."""
    out = []
    for _ in range(draw(st.integers(1, 5))):
        masks, labels, scores = [], [], []
        for _ in range(draw(st.integers(0, 5))):
            y, x = draw(st.integers(0, 18)), draw(st.integers(0, 18))
            high, wide = draw(st.integers(1, 9)), draw(st.integers(1, 9))
            masks.append(box(slice(y, y + high), slice(x, x + wide)))
            labels.append(draw(st.integers(1, 4)))
            scores.append(draw(st.sampled_from([0.4, 0.6, 0.6, 0.9])))
        instances = list(zip(masks, labels, strict=True))
        out.append(found(*instances, scores=scores) if instances else no_instances(*SHAPE))
    return out


def partition(instances: np.ndarray) -> set[bytes]:
    """The lesions as sets of voxels, whatever their numbers."""
    return {np.packbits(instances == n).tobytes() for n in np.unique(instances) if n}


@given(stacks(), st.randoms(use_true_random=False), st.integers(0, 2))
def test_neither_the_order_of_instances_nor_that_of_slices_matters(
    slices: list[SliceInstances], random: object, bridge: int
) -> None:
    classes, instances = match_slices(slices, SPACING, bridge_slices=bridge)
    validate_labels(classes, instances)
    shuffled = []
    for each in slices:
        order = list(range(len(each)))
        random.shuffle(order)  # type: ignore[attr-defined]
        shuffled.append(SliceInstances(each.masks[order], each.labels[order], each.scores[order]))
    other = match_slices(shuffled, SPACING, bridge_slices=bridge)
    np.testing.assert_array_equal(other[0], classes)
    np.testing.assert_array_equal(other[1], instances)
    turned = match_slices(shuffled[::-1], SPACING, bridge_slices=bridge)
    np.testing.assert_array_equal(turned[0][::-1], classes)
    assert partition(turned[1][::-1]) == partition(instances)
    counts = np.bincount(instances.ravel())[1:]
    assert (counts[:-1] >= counts[1:]).all()
    assert (counts > 0).all()


def test_classes_without_numbers_get_them_by_class_and_corner() -> None:
    classes = np.zeros((3, 6, 6), np.uint8)
    classes[0, 0:2, 0:2] = 3
    classes[1, 2, 2] = 3  # touches by a corner
    classes[1, 3, 3] = 2
    classes[2, 5, 5] = 1
    numbers = number_lesions(classes)
    assert (numbers == 1).sum() == 5
    assert (numbers == 2).sum() == 1
    validate_labels(classes, numbers)
