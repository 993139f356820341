"""A person's edits of lesion labels (contract 7), applied to one slice after the other.

Edits come in an order, and each changes slices as pure functions do: what a slice looks like after
them is known without looking at the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from covidlit.cohort.coco.polygons import fill
from covidlit.scans.lesion_labels import (
    FIRST_LESION,
    LARGEST_NUMBER,
    LESION_CLASSES,
    LabelError,
)

BACKGROUND, LUNG = 0, 1
EFFUSION = 6
"""Lies beside the lung: where it is taken away there is none."""

Contour = tuple[tuple[float, float], ...]
"""(x, y) of a slice's pixels, from the upper left corner of the first, whose centre is at (0.5,
0.5); the last point is joined to the first. A pixel is inside where its centre is."""


class EditKind(StrEnum):
    """What an edit does."""

    NEW = "new"
    REPLACE = "replace"
    ADD = "add"
    CUT = "cut"
    CLEAR = "clear"
    REMOVE = "remove"
    RECLASSIFY = "reclassify"


DRAWN = (EditKind.NEW, EditKind.REPLACE, EditKind.ADD, EditKind.CUT)
"""Edits with a contour."""

OF_ALL_SLICES = (EditKind.REMOVE, EditKind.RECLASSIFY)


@dataclass(frozen=True)
class LabelEdit:
    """One edit of one lesion.

    Args:
        kind: what is done: a new lesion drawn on a slice; its contour on a slice replaced; pixels
            added, cut off; all of it on a slice taken away, or everywhere; its class changed.
        lesion: its number, which it keeps; of a new one a number that none has.
        slice_index: z; None for `OF_ALL_SLICES`.
        contour: of `DRAWN`; pixels of other lesions within become this one's.
        class_value: of a new lesion, or the one that it changes to.
        leaves: what pixels become that are the lesion's no more, LUNG or BACKGROUND; None: lung,
            and background where it was an effusion.
    """

    kind: EditKind
    lesion: int
    slice_index: int | None = None
    contour: Contour = ()
    class_value: int | None = None
    leaves: int | None = None

    def concerns(self, index: int) -> bool:
        """Whether it may change a slice."""
        return self.slice_index in (None, index)


class EditedLabels:
    """What labels are after edits.

    Args:
        classes_of: class of each lesion before, by its number.
        edits: in their order.

    Raises:
        LabelError: an edit cannot be: of a lesion that is not there, without contour or class, ...
    """

    def __init__(self, classes_of: Mapping[int, int], edits: Iterable[LabelEdit] = ()) -> None:
        self._classes_of = dict(classes_of)
        self._edits: list[tuple[LabelEdit, int]] = []
        self.removed: set[int] = set()
        for edit in edits:
            self.add(edit)

    @property
    def classes_of(self) -> dict[int, int]:
        """Class of each lesion by number, as it is now; one that has no pixel left included."""
        return dict(self._classes_of)

    def add(self, edit: LabelEdit) -> None:
        """One edit more.

        Raises:
            LabelError: it cannot be.
        """
        before = _checked(edit, self._classes_of, self.removed)
        if edit.kind in (EditKind.NEW, EditKind.RECLASSIFY):
            assert edit.class_value is not None
            self._classes_of[edit.lesion] = edit.class_value
        if edit.kind == EditKind.REMOVE:
            del self._classes_of[edit.lesion]
            self.removed.add(edit.lesion)
        self._edits.append((edit, before))

    def slice_at(
        self, index: int, classes: NDArray[np.integer], instances: NDArray[np.integer]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """A slice after the edits.

        Args:
            index: z of the slice.
            classes, instances: (rows, columns), before; they stay as they are.
        """
        found = classes.astype(np.uint8), instances.astype(np.int32)
        for edit, own_class in self._edits:
            if edit.concerns(index):
                _apply(edit, own_class, *found)
        return found


def touched(edit: LabelEdit, instances: NDArray[np.integer]) -> NDArray[np.bool_]:
    """The pixels of a slice that an edit is about: those of its lesion and within its contour.

    Args:
        edit: which concerns the slice.
        instances: (rows, columns), as they were when it was made.
    """
    return (instances == edit.lesion) | _inside(edit, instances.shape)


def _inside(edit: LabelEdit, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    size = shape[0], shape[1]
    if not edit.contour:
        return np.zeros(size, np.bool_)
    return fill([np.array(edit.contour, np.float64)], size)


def _apply(
    edit: LabelEdit, own_class: int, classes: NDArray[np.uint8], instances: NDArray[np.int32]
) -> None:
    """Change a slice; `own_class`: of the lesion when the edit was made."""
    mine = instances == edit.lesion
    if edit.kind == EditKind.RECLASSIFY and edit.class_value is not None:
        classes[mine] = edit.class_value
        return
    inside = _inside(edit, instances.shape)
    gone = {
        EditKind.NEW: np.zeros_like(mine), EditKind.ADD: np.zeros_like(mine),
        EditKind.REPLACE: mine & ~inside, EditKind.CUT: mine & inside,
        EditKind.CLEAR: mine, EditKind.REMOVE: mine,
    }[edit.kind]  # fmt: skip
    usual = BACKGROUND if own_class == EFFUSION else LUNG
    classes[gone] = usual if edit.leaves is None else edit.leaves
    instances[gone] = 0
    if edit.kind in (EditKind.NEW, EditKind.ADD, EditKind.REPLACE):
        classes[inside] = own_class
        instances[inside] = edit.lesion


def _checked(edit: LabelEdit, classes_of: Mapping[int, int], removed: set[int]) -> int:
    """The class that an edit's lesion has before it; of a new one the class that it gets."""
    where = f"lesion {edit.lesion}"
    if (edit.slice_index is None) != (edit.kind in OF_ALL_SLICES):
        raise LabelError("the edit needs a slice, or has one too many.", where=where)
    if bool(edit.contour) != (edit.kind in DRAWN):
        raise LabelError("a contour is drawn for this edit, or is one too many.", where=where)
    if edit.leaves not in (None, BACKGROUND, LUNG):
        raise LabelError(
            f"what it leaves is {edit.leaves}.", where=where, fix="leave lung or background."
        )
    if edit.kind in (EditKind.NEW, EditKind.RECLASSIFY):
        if edit.class_value not in LESION_CLASSES or edit.class_value < FIRST_LESION:
            known = [name for value, name in LESION_CLASSES.items() if value >= FIRST_LESION]
            raise LabelError(
                f"{edit.class_value} is no class of lesions.", where=where,
                fix=f"choose one of {', '.join(known)}.",
            )  # fmt: skip
        if edit.kind == EditKind.NEW:
            if edit.lesion in classes_of or edit.lesion in removed or edit.lesion < 1:
                raise LabelError(
                    "there is, or was, a lesion of this number.", where=where,
                    fix="give a new one a number of its own.",
                )  # fmt: skip
            if edit.lesion > LARGEST_NUMBER:
                raise LabelError(f"numbers end at {LARGEST_NUMBER}.", where=where)
            return edit.class_value
    if edit.lesion not in classes_of:
        raise LabelError(
            "is not there" + (" any more: it was removed." if edit.lesion in removed else "."),
            where=where, fix="choose one of the list, or draw a new lesion.",
        )  # fmt: skip
    if classes_of[edit.lesion] == edit.class_value:
        raise LabelError(
            f"is of the class {LESION_CLASSES[edit.class_value]} already.", where=where,
            fix="choose another class.",
        )  # fmt: skip
    return classes_of[edit.lesion]
