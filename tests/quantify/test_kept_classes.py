"""Labels of some classes alone: what the others become, and what the factors say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from covidlit.cohort.scan_sources import ScanSource
from covidlit.dicom.out import Algorithm
from covidlit.lesions.matching import number_lesions
from covidlit.lesions.quantify import quantify_labels
from covidlit.quantify.kept_classes import KeptClasses, keep_classes
from covidlit.scans.lesion_labels import LesionLabels, validate_labels
from covidlit.scans.scan import Scan

AFFINE = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1]])


def labels_of(classes: np.ndarray[Any, Any]) -> LesionLabels:
    return LesionLabels(classes.astype(np.uint8), number_lesions(classes.astype(np.uint8)), AFFINE)


@given(
    classes=arrays.arrays(np.uint8, (3, 5, 5), elements=st.integers(0, 6)),
    values=st.frozensets(st.integers(2, 6)),
)
def test_others_become_lung_and_an_effusion_background(
    classes: np.ndarray[Any, Any], values: frozenset[int]
) -> None:
    before = labels_of(classes)
    after = keep_classes(before, values)
    validate_labels(after.classes, after.instances)  # contract 7
    assert before.classes is not after.classes
    assert np.array_equal(before.classes, classes)
    for index, value in np.ndenumerate(classes):
        kept = value in values or value < 2
        assert after.classes[index] == (value if kept else 0 if value == 6 else 1)
        number = before.instances[index] if value in values else 0
        assert after.instances[index] == number


def test_factors_are_of_what_is_kept_in_the_same_lung() -> None:
    classes = np.zeros((6, 20, 20), np.uint8)
    classes[1:5, 2:18, 2:18] = 1
    classes[2:4, 4:8, 4:8] = 3
    classes[2:4, 10:13, 10:13] = 4
    classes[1:5, 2:18, 16:18] = 6
    scan = Scan(np.full(classes.shape, -800, np.int16), AFFINE)
    whole = quantify_labels(scan, labels_of(classes)).scan
    kept = quantify_labels(scan, keep_classes(labels_of(classes), frozenset({4}))).scan
    ml = 2.0 / 1000
    n_effusion = int((classes == 6).sum())
    n_lung = int((classes > 0).sum()) - n_effusion
    assert kept["total_volume_ml"] == pytest.approx(2 * 3 * 3 * ml)
    assert kept["n_lesions"] == 1
    assert kept["lung_volume_ml"] == pytest.approx(n_lung * ml)
    assert kept["lung_volume_ml"] == pytest.approx(whole["lung_volume_ml"] - n_effusion * ml)
    assert kept["proportion_percent"] == pytest.approx(100 * 18 / n_lung)


class _All:
    """A labeller that knows nothing but its name."""

    def algorithm_of(self, source: ScanSource) -> Algorithm:
        return Algorithm("x" * 60, "1", "MANUAL")

    def engine_of(self, source: ScanSource) -> str:
        return "masks"

    def settings(self) -> Mapping[str, Any]:
        return {"masks": "here"}

    def look_at(self, sources: Sequence[ScanSource]) -> None: ...

    def made_from(self, source: ScanSource) -> Any:
        return 7

    def label(self, source: ScanSource, name: str, scan: Scan) -> LesionLabels:
        raise NotImplementedError


def test_what_is_kept_is_named_and_part_of_what_results_hang_on() -> None:
    source: Any = None
    one, other = (KeptClasses(_All(), frozenset(v), "scars") for v in ({4}, {4, 5}))
    named = one.algorithm_of(source)
    assert named.name.endswith("x, scars")
    assert len(named.name) == 64
    assert named.how == "MANUAL"
    assert one.settings() != other.settings()
    assert one.settings()["masks"] == "here"
    assert (one.engine_of(source), one.made_from(source)) == ("masks", 7)
