"""Pictures of masks: what is an object, and what is no mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covidlit.datamodules.slices.pictures import read_mask
from covidlit.errors import CovidlitError


def _objects(first: int, second: int) -> np.ndarray:
    picture = np.zeros((64, 64), np.uint8)
    picture[5:15, 5:15], picture[30:50, 30:50] = first, second
    return picture


@pytest.mark.parametrize(("first", "second"), [(255, 100), (1, 2), (3, 9)])
def test_an_object_of_another_value_is_not_lost(tmp_path: Path, first: int, second: int) -> None:
    Image.fromarray(_objects(first, second)).save(tmp_path / "mask.png")
    with pytest.raises(CovidlitError, match=r"3 values, and 1 piece in"):
        read_mask(tmp_path / "mask.png")


@pytest.mark.parametrize("value", [1, 255])
def test_one_value_is_a_mask(tmp_path: Path, value: int) -> None:
    Image.fromarray(_objects(value, value)).save(tmp_path / "mask.png")
    assert (read_mask(tmp_path / "mask.png") == (_objects(1, 1) > 0)).all()


def test_blurred_edges_and_jpeg_are_none(tmp_path: Path) -> None:
    picture = Image.fromarray(_objects(255, 255))
    picture.save(tmp_path / "mask.jpg", quality=70)
    assert (read_mask(tmp_path / "mask.jpg") == (_objects(1, 1) > 0)).all()
    picture.resize((128, 128), Image.Resampling.BILINEAR).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").sum() == pytest.approx(4 * 500, rel=0.05)
