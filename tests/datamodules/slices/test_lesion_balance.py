"""Slices drawn by their class of lesion: rare ones as often as common ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from covidlit.cohort.coco import rle
from covidlit.cohort.coco.content import Coco, CocoAnnotation, CocoImage
from covidlit.datamodules.slices import SliceDataModule
from covidlit.datamodules.slices.objects import SliceObjects, rarest_lesion


def test_the_rarest_lesion_of_each_slice() -> None:
    present = np.array([[0, 1, 1], [0, 1, 0], [0, 0, 0], [0, 1, 0], [1, 0, 1]], bool)
    # Slices with each: 1, 3, 2.
    assert rarest_lesion(present).tolist() == [3, 2, 0, 2, 1]


def test_lesions_are_counted_whatever_the_order_of_the_classes() -> None:
    square: NDArray[np.uint8] = np.zeros((8, 8), np.uint8)
    square[2:6, 2:6] = 1
    counts = rle.encode(square)
    images = tuple(CocoImage(k, f"S{k}.png", 8, 8) for k in (1, 2, 3))
    drawn = [(1, "lung"), (1, "fibrosis"), (2, "lung"), (3, "fibrosis")]
    annotations = tuple(
        CocoAnnotation(n, image, name, counts) for n, (image, name) in enumerate(drawn, 1)
    )
    coco = Coco(images, annotations, ("fibrosis", "lung"))
    for classes in (("fibrosis", "lung"), ("lung", "fibrosis")):
        objects = SliceObjects(["S1", "S2", "S3"], coco, classes)
        found = objects.count(np.ones(3), 1.0)
        assert found["n_lesions"].tolist() == [1, 0, 1]
        lesions = objects.lesions_of(np.arange(3))
        assert lesions[:, classes.index("fibrosis")].tolist() == [True, False, True]
        assert not lesions[:, classes.index("lung")].any()


def test_an_epoch_has_each_class_of_lesion_equally_often(
    make: Callable[..., SliceDataModule],
) -> None:
    data = make(balanced="lesion_class", batch_size=1)
    rows = data.rows_of("train")
    names = [n for batch in data.train_dataloader() for n in batch["slice_id"]]
    lesions = data._read().objects.lesions_of(rows["row"].to_numpy())
    group = dict(zip(rows["slice_id"], rarest_lesion(lesions).tolist(), strict=True))
    counts = np.bincount([group[name] for name in names])
    counts = counts[counts > 0]
    assert len(counts) > 1
    assert counts.max() - counts.min() <= 1
    assert np.bincount(list(group.values())).max() > counts.max(), "without it some are rarer"


def test_a_balance_that_there_is_not_is_refused(make: Callable[..., SliceDataModule]) -> None:
    from covidlit.errors import ConfigError

    with pytest.raises(ConfigError, match=r"data\.balanced"):
        make(balanced="lesions").train_dataloader()
