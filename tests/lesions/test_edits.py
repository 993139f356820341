"""Edits of labels: against discs, polygons filled by scikit-image, and what contract 7 demands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from covidlit.lesions.contours import MOST_POINTS, checked_contour
from covidlit.lesions.edits import EditedLabels, EditKind, LabelEdit, touched
from covidlit.scans.lesion_labels import LabelError, validate_labels

SHAPE = (40, 50)
SQUARE = ((10.0, 10.0), (20.0, 10.0), (20.0, 20.0), (10.0, 20.0))


def star(radii: list[float], middle: tuple[float, float] = (25.0, 20.0)) -> np.ndarray:
    """A contour that does not cross itself: one radius for each of equal angles."""
    angle = np.arange(len(radii)) * 2 * np.pi / len(radii)
    return np.column_stack([middle[0] + radii * np.cos(angle), middle[1] + radii * np.sin(angle)])


def disc(radius: float, middle: tuple[float, float] = (25.0, 20.0), n: int = 200) -> np.ndarray:
    return star([radius] * n, middle)


def plane() -> tuple[np.ndarray, np.ndarray]:
    """Lung with lesion 3 of ground glass and lesion 7 of effusion, which lies on its edge."""
    classes = np.zeros(SHAPE, np.uint8)
    classes[5:35, 5:45] = 1
    classes[8:16, 8:16] = 3
    classes[35:38, 10:20] = 6
    return classes, np.select([classes == 3, classes == 6], [3, 7]).astype(np.int32)


def after(*edits: LabelEdit) -> tuple[np.ndarray, np.ndarray]:
    return EditedLabels({3: 3, 7: 6}, edits).slice_at(4, *plane())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.7, 18.0), min_size=3, max_size=30))
def test_a_contour_fills_the_pixels_whose_centres_are_in_it(radii: list[float]) -> None:
    ring = star(radii)
    expected = polygon2mask(SHAPE, ring[:, ::-1] - 0.5)  # there centres lie at whole numbers
    either = on_the_line(ring)  # such a centre may be called either way
    if not (expected | either).any():
        with pytest.raises(LabelError, match="no pixel"):
            checked_contour(ring.tolist(), SHAPE)
    if not (expected & ~either).any():
        return
    contour = checked_contour(ring.tolist(), SHAPE)
    found = touched(LabelEdit(EditKind.NEW, 9, 4, contour, 2), np.zeros(SHAPE, int))
    assert np.array_equal(found[~either], expected[~either])


def on_the_line(ring: np.ndarray) -> np.ndarray:
    """Which pixels have their centre on a side of the contour, but for rounding."""
    y, x = np.indices(SHAPE) + 0.5
    centres, close = np.stack([x, y], axis=-1), np.zeros(SHAPE, bool)
    for start, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        side = end - start
        along = np.clip((centres - start) @ side / max(side @ side, 1e-30), 0, 1)
        close |= np.linalg.norm(centres - start - along[..., None] * side, axis=-1) < 1e-6
    return close


@pytest.mark.parametrize("radius", [6.0, 12.5, 18.0])
def test_a_disc_has_the_area_of_a_disc(radius: float) -> None:
    contour = checked_contour(disc(radius, (25.3, 20.1)).tolist(), SHAPE)
    _, numbers = after(LabelEdit(EditKind.NEW, 9, 4, contour, 2))
    # Gauss's circle problem: the error is of the order of the circumference's root.
    assert np.count_nonzero(numbers == 9) == pytest.approx(np.pi * radius**2, abs=2 * radius**0.7)


def test_each_edit_does_what_it_says_and_nothing_else() -> None:
    classes, numbers = plane()
    inside = np.zeros(SHAPE, bool)
    inside[10:20, 10:20] = True
    mine = numbers == 3
    cases = {
        EditKind.REPLACE: inside,
        EditKind.ADD: mine | inside,
        EditKind.CUT: mine & ~inside,
    }
    for kind, expected in cases.items():
        found, own = after(LabelEdit(kind, 3, 4, SQUARE))
        assert np.array_equal(own == 3, expected), kind
        assert (found[expected] == 3).all()
        assert (found[mine & ~expected] == 1).all(), "what is taken from it in the lung is lung"
        rest = ~(mine | inside)
        assert np.array_equal(found[rest], classes[rest])
        assert np.array_equal(own[rest], numbers[rest])
        validate_labels(found[None], own[None])
    found, own = after(LabelEdit(EditKind.NEW, 8, 4, SQUARE, 4))
    assert np.array_equal(own == 8, inside)
    assert np.array_equal(own == 3, mine & ~inside), "a new one takes what it covers"
    assert (found[inside] == 4).all()
    for edit in (LabelEdit(EditKind.CLEAR, 3, 4), LabelEdit(EditKind.REMOVE, 3)):
        found, own = after(edit)
        assert (found[mine] == 1).all()
        assert not (own == 3).any()
    found, own = after(LabelEdit(EditKind.RECLASSIFY, 3, class_value=2))
    assert (found[mine] == 2).all()
    assert np.array_equal(own, numbers)


def test_an_effusion_leaves_no_lung_and_one_may_say_otherwise() -> None:
    classes, _ = plane()
    effusion = classes == 6
    assert (after(LabelEdit(EditKind.REMOVE, 7))[0][effusion] == 0).all()
    assert (after(LabelEdit(EditKind.REMOVE, 7, leaves=1))[0][effusion] == 1).all()
    assert (after(LabelEdit(EditKind.CLEAR, 3, 4, leaves=0))[0][classes == 3] == 0).all()
    # By the class that it has then, not by the one it had before.
    changed = LabelEdit(EditKind.RECLASSIFY, 3, class_value=6)
    assert (after(changed, LabelEdit(EditKind.REMOVE, 3))[0][classes == 3] == 0).all()


def test_edits_of_other_slices_leave_a_slice_alone() -> None:
    classes, numbers = plane()
    found, own = after(LabelEdit(EditKind.NEW, 8, 5, SQUARE, 4), LabelEdit(EditKind.CLEAR, 3, 3))
    assert np.array_equal(found, classes)
    assert np.array_equal(own, numbers)


def test_edits_follow_each_other() -> None:
    labels = EditedLabels({3: 3, 7: 6})
    labels.add(LabelEdit(EditKind.NEW, 8, 4, SQUARE, 4))
    labels.add(LabelEdit(EditKind.RECLASSIFY, 8, class_value=5))
    labels.add(LabelEdit(EditKind.REMOVE, 3))
    assert labels.classes_of == {7: 6, 8: 5}
    found, own = labels.slice_at(4, *plane())
    assert set(np.unique(found[own == 8])) == {5}
    labels.add(LabelEdit(EditKind.REMOVE, 8))
    with pytest.raises(LabelError, match="there is, or was"):
        labels.add(LabelEdit(EditKind.NEW, 8, 4, SQUARE, 4))
    assert set(np.unique(labels.slice_at(4, *plane())[1])) == {0, 7}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (LabelEdit(EditKind.ADD, 5, 4, SQUARE), "not there"),
        (LabelEdit(EditKind.NEW, 3, 4, SQUARE, 2), "there is, or was"),
        (LabelEdit(EditKind.NEW, 10**6 + 1, 4, SQUARE, 2), "numbers end"),
        (LabelEdit(EditKind.NEW, 8, 4, SQUARE, 1), "no class of lesions"),
        (LabelEdit(EditKind.NEW, 8, 4, SQUARE), "no class of lesions"),
        (LabelEdit(EditKind.RECLASSIFY, 3, class_value=7), "no class of lesions"),
        (LabelEdit(EditKind.RECLASSIFY, 3, class_value=3), "already"),
        (LabelEdit(EditKind.ADD, 3, 4), "contour"),
        (LabelEdit(EditKind.CLEAR, 3, 4, SQUARE), "contour"),
        (LabelEdit(EditKind.REMOVE, 3, 4), "slice"),
        (LabelEdit(EditKind.CLEAR, 3), "slice"),
        (LabelEdit(EditKind.CLEAR, 3, 4, leaves=2), "leaves"),
    ],
)
def test_an_edit_that_cannot_be_is_refused(edit: LabelEdit, said: str) -> None:
    with pytest.raises(LabelError, match=said):
        EditedLabels({3: 3, 7: 6}, [edit])


def test_a_lesion_that_was_removed_is_edited_no_more() -> None:
    with pytest.raises(LabelError, match="it was removed"):
        EditedLabels({3: 3}, [LabelEdit(EditKind.REMOVE, 3), LabelEdit(EditKind.CLEAR, 3, 4)])


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([], "needs three"),
        ([(1.0, 1.0), (5.0, 5.0)], "needs three"),
        ([(1.0, 1.0), (5.0, 5.0), (5.0, 5.0), (1.0, 1.0)], "needs three"),
        ([(1.0, 1.0), (float("nan"), 5.0), (9.0, 1.0)], "no number"),
        ([(1.0, 1.0), (float("inf"), 5.0), (9.0, 1.0)], "no number"),
        ([(1.0, 1.0), (9.0, 9.0), (9.0, 1.0), (1.0, 9.0)], "crosses"),
        ([(0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (10.0, 0.0), (0.0, 20.0)], "crosses or touches"),
        ([(1.0, 1.0), (60.0, 5.0), (9.0, 30.0)], "outside"),
        ([(-1.0, 1.0), (6.0, 5.0), (9.0, 30.0)], "outside"),
        ([(1.1, 1.1), (1.3, 1.1), (1.2, 1.3)], "no pixel"),
        ([(1.0, 1.0), (9.0, 9.0), (5.0, 5.0)], "no pixel"),
        (disc(10.0, n=MOST_POINTS + 1).tolist(), "points"),
        ([(1.0, 1.0)] * 10**6, "points"),
    ],
)
def test_a_contour_that_is_none_is_refused(points: list[tuple[float, float]], said: str) -> None:
    with pytest.raises(LabelError, match=said):
        checked_contour(points, SHAPE)


def test_the_edge_of_the_slice_is_within_it() -> None:
    whole = [(0.0, 0.0), (50.0, 0.0), (50.0, 40.0), (0.0, 40.0), (0.0, 0.0)]
    contour = checked_contour(whole, SHAPE)
    assert len(contour) == 4
    assert touched(LabelEdit(EditKind.NEW, 9, 4, contour, 2), np.zeros(SHAPE, int)).all()
