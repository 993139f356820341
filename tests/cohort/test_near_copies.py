"""Pairs of scans that are alike, found without comparing all of them."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covidlit.cohort.near_copies import ALIKE_HU, alike

FLIPS = [axes for n in range(4) for axes in combinations(range(3), n)]


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Least root mean square difference over the flips, straight from its definition."""
    return min(
        float(np.sqrt(np.mean((one.astype(float) - np.flip(other, axes)) ** 2))) for axes in FLIPS
    )


@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.floats(1, 60))
def test_the_pairs_are_those_of_comparing_all(seed: int, n: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    # A common anatomy, and patients that differ little: some pairs lie about the limit.
    common = rng.normal(-600, 300, (8, 8, 8))
    volumes = common + rng.normal(0, spread, (n, 8, 8, 8))
    for k in range(0, n, 3):
        volumes[k] = np.flip(volumes[k], FLIPS[k % 8])
    thumbnails = {f"S{k}": v.astype(np.int16) for k, v in enumerate(volumes)}
    parts = {f"S{k}": ("train", "test")[k % 2] for k in range(n)}
    expected = {
        (a, b)
        for a, b in combinations(thumbnails, 2)
        if parts[a] != parts[b] and difference(thumbnails[a], thumbnails[b]) < ALIKE_HU - 1e-3
    }
    assert {tuple(pair[:2]) for pair in alike(thumbnails, parts)} >= expected
    for a, b, found in alike(thumbnails, parts):
        assert parts[a] != parts[b]
        assert found == pytest.approx(difference(thumbnails[a], thumbnails[b]), abs=1e-2)


def test_a_copy_among_ten_thousand_is_found() -> None:
    """What is compared grows with the scans: all pairs would be 50 million."""
    rng = np.random.default_rng(0)
    common, modes = rng.normal(-600, 300, 512), rng.normal(0, 30, (30, 512))
    volumes = common + rng.normal(size=(10_000, 30)) @ modes
    volumes[7] = np.flip(volumes[9_000].reshape(8, 8, 8), (0, 2)).ravel() + 1
    thumbnails = {f"S{k}": v.reshape(8, 8, 8).astype(np.int16) for k, v in enumerate(volumes)}
    parts = {f"S{k}": ("train", "validation", "test")[k % 3] for k in range(10_000)}
    ((one, other, _),) = alike(thumbnails, parts)
    assert {one, other} == {"S7", "S9000"}


def test_nothing_to_compare() -> None:
    assert alike({}, {}) == []
    same = np.zeros((8, 8, 8), np.int16)
    assert alike({"a": same}, {"a": "train"}) == []
    assert alike({"a": same, "b": same}, {"a": "train"}) == []
    assert alike({"a": same, "b": same}, {"a": "train", "b": "train"}) == []
    assert alike({"a": same, "b": same}, {"a": "train", "b": "test"}) == [("a", "b", 0.0)]
