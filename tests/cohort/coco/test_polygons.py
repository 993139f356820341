"""Outlines to masks and back."""

from __future__ import annotations

import time

import numpy as np
import pytest
from faster_coco_eval.core import mask as reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.path import Path as Outline

from covidlit.cohort.coco.polygons import fill, outlines

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=16))


def _disc(radius: float, size: int = 160, centre: tuple[float, float] = (80.3, 77.8)) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2


@pytest.mark.parametrize("radius", [0.6, 1.5, 2, 3, 5, 10, 30, 60])
def test_a_disc_comes_back_to_the_pixel_here_and_in_other_tools(radius: float) -> None:
    disc = _disc(radius)
    rings, holes = outlines(disc)
    assert not holes
    assert np.array_equal(fill(rings, disc.shape), disc)
    other = reference.merge(reference.frPyObjects([r.ravel().tolist() for r in rings], 160, 160))
    assert np.array_equal(reference.decode(other), disc)


@given(MASKS)
def test_any_mask_comes_back_where_outlines_can_tell_it(mask: np.ndarray) -> None:
    rings, holes = outlines(mask)
    assert bool(rings) == mask.any()
    if not holes and rings:
        assert np.array_equal(fill(rings, mask.shape), mask)


def test_a_hole_is_told_and_a_ring_in_a_ring_is_one() -> None:
    ring = _disc(30) & ~_disc(12)
    rings, holes = outlines(ring)
    assert holes
    assert np.array_equal(fill(rings, ring.shape), ring)
    island = ring | _disc(5)
    assert np.array_equal(fill(outlines(island)[0], island.shape), island)


def test_pieces_that_overlap_are_one_region() -> None:
    square = np.array([[2, 2], [8, 2], [8, 8], [2, 8]], float)
    both = fill([square, square + 4], (16, 16))
    expected = np.zeros((16, 16), bool)
    expected[2:8, 2:8] = expected[6:12, 6:12] = True
    assert np.array_equal(both, expected)
    assert np.array_equal(fill([square, square], (16, 16)), fill([square], (16, 16)))


@given(
    st.lists(
        st.tuples(st.floats(-10, 40, width=16), st.floats(-10, 40, width=16)),
        min_size=3,
        max_size=12,
    )
)
def test_filling_takes_the_pixels_whose_centres_are_inside(points: list[tuple]) -> None:
    # Moved off the pixel centres, where inside and outside meet.
    ring = np.array(points, float) + np.array([0.137, 0.0719])
    y, x = np.mgrid[:24, :30]
    centres = np.stack([x.ravel() + 0.5, y.ravel() + 0.5], axis=1)
    crossings = np.zeros(len(centres), int)
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        spans = (y0 <= centres[:, 1]) != (y1 <= centres[:, 1])
        with np.errstate(all="ignore"):
            at = x0 + (centres[:, 1] - y0) * (x1 - x0) / (y1 - y0)
        crossings += spans & (at < centres[:, 0])
    assert np.array_equal(fill([ring], (24, 30)).ravel(), crossings % 2 == 1)


def test_a_convex_outline_is_filled_as_matplotlib_does() -> None:
    angle = np.linspace(0, 2 * np.pi, 17)[:-1]
    ring = np.stack([20.2 + 13.7 * np.cos(angle), 18.1 + 9.3 * np.sin(angle)], axis=1)
    y, x = np.mgrid[:40, :40]
    centres = np.stack([x.ravel() + 0.5, y.ravel() + 0.5], axis=1)
    assert np.array_equal(fill([ring], (40, 40)).ravel(), Outline(ring).contains_points(centres))


def test_many_pieces_and_holes_are_filled_as_one_by_one_and_in_time() -> None:
    rng = np.random.default_rng(0)
    rings = []
    for _ in range(60):
        (x, y), (width, height) = rng.uniform(-4, 40, 2), rng.uniform(0.2, 24, 2)
        rings.append(np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]]))
    single = sorted((fill([ring], (40, 44)) for ring in rings), key=np.count_nonzero, reverse=True)
    expected = np.zeros((40, 44), bool)
    for k, mask in enumerate(single):
        if mask.any():
            around = [o for o in single[:k] if not (mask & ~o).any() and (o & ~mask).any()]
            expected[mask] = len(around) % 2 == 0
    assert (fill(rings, (40, 44)) == expected).all()
    corner = np.array([[0, 0], [5, 0], [5, 5], [0, 5]])
    many = [corner + np.array([k % 40, k // 40]) * 12 for k in range(1500)]
    start = time.process_time()
    assert fill(many, (512, 512)).sum() == 1500 * 25
    assert time.process_time() - start < 10  # was 100 s and more: each against each
