"""Run lengths, against the reference implementation and as a round trip."""

from __future__ import annotations

import numpy as np
import pytest
from faster_coco_eval.core import mask as reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from covidlit.cohort.coco import rle
from covidlit.cohort.coco.write import box_of_counts

MASKS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40),
                   elements=st.integers(0, 1))  # fmt: skip


def _reference_text(mask: np.ndarray) -> str:
    counts = reference.encode(np.asfortranarray(mask))["counts"]
    return counts if isinstance(counts, str) else counts.decode()


@given(MASKS)
def test_text_and_mask_are_those_of_the_reference_and_come_back(mask: np.ndarray) -> None:
    counts = rle.encode(mask)
    text = rle.to_text(counts)
    assert text == _reference_text(mask)
    again = rle.checked_counts(rle.from_text(text), mask.shape)
    assert np.array_equal(rle.decode(again, mask.shape), mask)
    assert rle.area(counts) == mask.sum()


@given(MASKS)
def test_the_box_of_run_lengths_is_that_of_the_mask(mask: np.ndarray) -> None:
    rows, columns = np.nonzero(mask)
    box = [0, 0, 0, 0]
    if len(rows):
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    assert box_of_counts(rle.encode(mask), mask.shape[0]) == box


def test_large_runs_are_those_of_the_reference() -> None:
    mask = np.zeros((3000, 2000), np.uint8)
    mask[5:2990, 7:1990] = 1
    mask[100, 100] = 0
    assert rle.to_text(rle.encode(mask)) == _reference_text(mask)
    assert np.array_equal(rle.decode(rle.from_text(_reference_text(mask)), mask.shape), mask)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("é", "characters"),
        ("5 5", "characters"),
        ("~", "characters"),
        ("PPP", "cut off"),
        ("P" * 40 + "1", "no number of pixels"),
    ],
)
def test_text_that_is_no_run_lengths_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rle.from_text(text)


def test_counts_are_held_against_the_size_before_a_mask_is_made() -> None:
    with pytest.raises(ValueError, match="10000000000 pixels, and the image has 4 x 4"):
        rle.checked_counts(np.array([0, 10**10]), (4, 4))
    with pytest.raises(ValueError, match="below 0"):
        rle.checked_counts(np.array([20, -4]), (4, 4))
    with pytest.raises(ValueError, match="has 4 x 4"):  # the sum overflows 64 bits to 16
        rle.checked_counts(np.array([2**62, 2**62, 2**62, 2**62, 16]), (4, 4))


@pytest.mark.parametrize("seed", range(20))
def test_a_mask_in_a_box_has_the_run_lengths_of_the_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(1, 9, 2)
    top, left = rng.integers(0, rows), rng.integers(0, columns)
    box = rng.random((rng.integers(1, rows - top + 1), rng.integers(1, columns - left + 1))) < 0.7
    whole = np.zeros((rows, columns), bool)
    whole[top : top + box.shape[0], left : left + box.shape[1]] = box
    found = rle.encode_box(box, (int(top), int(left)), (int(rows), int(columns)))
    assert found.tolist() == rle.encode(whole).tolist()
