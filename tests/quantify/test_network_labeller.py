"""What a network's slices become, without a network."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from covidlit.quantify.network import NetworkLabeller
from covidlit.scans.scan import Scan


def test_the_masks_of_one_slice_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of all slices of a scan can take gigabytes."""
    shape = (12, 32, 32)
    lungs = np.zeros(shape, np.uint8)
    lungs[2:10, 4:28, 4:28] = 1
    held: list[weakref.ref[Any]] = []
    most = 0

    def predicted(self: Any, scan: Scan, places: range) -> Iterator[Any]:
        nonlocal most
        for z in places:
            if not 1 <= z < 11:
                yield SimpleNamespace(
                    masks=np.zeros((0, 32, 32), bool), labels=np.zeros(0, int),
                    scores=np.zeros(0, np.float32), semantic=np.zeros((32, 32), np.uint8),
                )  # fmt: skip
                continue
            masks = np.zeros((1, 32, 32), bool)
            masks[0, 10:16, 10:16] = True
            held.append(weakref.ref(masks))
            semantic = np.where(masks[0], 3, 1).astype(np.uint8)
            found = SimpleNamespace(
                masks=masks, labels=np.array([3]), scores=np.ones(1, np.float32), semantic=semantic
            )
            del masks
            yield found
            most = max(most, sum(one() is not None for one in held))

    monkeypatch.setattr("covidlit.quantify.network.segment_lungs", lambda hu, spacing: lungs)
    monkeypatch.setattr(NetworkLabeller, "_predicted", predicted)
    scan = Scan(np.full(shape, -850, np.int16), np.diag([5.0, 5.0, 5.0, 1.0])[[2, 1, 0, 3]], "1.2")
    source: Any = SimpleNamespace(path="one")
    labels = NetworkLabeller.__new__(NetworkLabeller).label(source, "one", scan)
    assert (labels.instances > 0).sum() == 10 * 36
    assert labels.instances.max() == 1
    assert most <= 2


@pytest.mark.parametrize(("reach", "expected"), [((0, 20), (0, 20)), ((4, 17), (4, 17))])
def test_the_network_is_followed_beyond_the_lungs_of_the_thresholds(
    reach: tuple[int, int], expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a base that is consolidated, thresholds find nothing."""
    shape = (20, 32, 32)
    lungs = np.zeros(shape, np.uint8)
    lungs[7:14, 4:28, 4:28] = 1
    asked: list[int] = []

    def predicted(self: Any, scan: Scan, places: range) -> Iterator[Any]:
        for z in places:
            asked.append(z)
            masks = np.zeros((1, 32, 32), bool)
            masks[0, 10:16, 10:16] = reach[0] <= z < reach[1]
            semantic = np.where(masks[0], 2, 0).astype(np.uint8)
            yield SimpleNamespace(
                masks=masks, labels=np.array([2]), scores=np.ones(1, np.float32), semantic=semantic
            )

    monkeypatch.setattr("covidlit.quantify.network.segment_lungs", lambda hu, spacing: lungs)
    monkeypatch.setattr(NetworkLabeller, "_predicted", predicted)
    scan = Scan(np.full(shape, 20, np.int16), np.diag([5.0, 5.0, 5.0, 1.0])[[2, 1, 0, 3]], "1.2")
    source: Any = SimpleNamespace(path="one")
    labels = NetworkLabeller.__new__(NetworkLabeller).label(source, "one", scan)
    found = np.flatnonzero((labels.classes == 2).any(axis=(1, 2)))
    assert (found[0], found[-1] + 1) == expected
    assert labels.instances.max() == 1
    assert len(asked) == len(set(asked)), "no slice is looked at twice"
