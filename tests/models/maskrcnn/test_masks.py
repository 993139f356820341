"""A perfect mask head gives back what it was given, wherever the object lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import label
from torch import Tensor

from covidlit.models.maskrcnn import boxes_of_masks, paste_masks, project_masks

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "lesion_slices"


def perfect_head(masks: Tensor, size: int = 28) -> Tensor:
    """The masks that a head gives which has learnt its targets without an error."""
    boxes = boxes_of_masks(masks)
    shape = (masks.shape[1], masks.shape[2])
    return paste_masks(project_masks(masks, boxes, size), boxes, shape)


def dice(one: Tensor, other: Tensor) -> float:
    one, other = one.bool(), other.bool()
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def disc(radius: float, y: float, x: float, size: int = 160) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return ((rows - y) ** 2 + (columns - x) ** 2 <= radius**2).to(torch.uint8)


@pytest.mark.parametrize("radius", [3, 4, 5, 7, 10, 15, 22, 30, 45, 60])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, 0.25), (0.3, 0.8)])
def test_discs_of_every_size_come_back(radius: int, shift: tuple[float, float]) -> None:
    mask = disc(radius, 80 + shift[0], 79 + shift[1])[None]
    assert dice(perfect_head(mask), mask) >= 0.99


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (2, 2), (3, 4)])
def test_the_smallest_objects_come_back_whole(shape: tuple[int, int]) -> None:
    for y, x in ((0, 0), (4, 9), (31 - shape[0], 31 - shape[1])):
        mask = torch.zeros((1, 31, 31), dtype=torch.uint8)
        mask[0, y : y + shape[0], x : x + shape[1]] = 1
        assert torch.equal(perfect_head(mask), mask.bool())


def test_what_lies_on_the_border_or_in_pieces_comes_back() -> None:
    masks = torch.stack([disc(20, 0, 80), disc(20, 159, 159), disc(9, 40, 40) | disc(9, 70, 60)])
    found = perfect_head(masks)
    assert all(dice(a, b) >= 0.99 for a, b in zip(found, masks, strict=True))


def test_boxes_are_half_open() -> None:
    masks = torch.zeros((2, 6, 8), dtype=torch.uint8)
    masks[0, 0, 2] = 1
    masks[1, 1:4, 5:8] = 1
    assert boxes_of_masks(masks).tolist() == [[2, 0, 3, 1], [5, 1, 8, 4]]
    assert boxes_of_masks(masks[:0]).shape == (0, 4)


def test_a_pixel_belongs_to_a_box_where_its_centre_lies() -> None:
    whole = torch.ones((1, 28, 28))
    found = paste_masks(whole, torch.tensor([[1.4, 2.6, 4.5, 5.0]]), (8, 8))[0]
    expected = torch.zeros((8, 8), dtype=torch.bool)
    expected[3:5, 1:4] = True  # centres 3.5, 4.5 down; 1.5, 2.5, 3.5 across (4.5 is the far edge)
    assert torch.equal(found, expected)


def test_boxes_beyond_the_slice_and_none_at_all() -> None:
    whole = torch.ones((2, 28, 28))
    boxes = torch.tensor([[-3.0, -2.0, 2.0, 2.0], [3.2, 3.1, 3.4, 9.0]])
    found = paste_masks(whole, boxes, (5, 6))
    assert found[0].nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert not found[1].any()  # no pixel's centre lies in it
    assert paste_masks(whole[:0], boxes[:0], (5, 6)).shape == (0, 5, 6)
    assert project_masks(torch.zeros((0, 5, 6)), boxes[:0], 28).shape == (0, 28, 28)


def test_real_lung_outlines_come_back() -> None:
    files = sorted((SHARED / "lung").glob("*"))[::20]
    if not files:
        pytest.skip(f"{SHARED} is not there (real data are not shipped)")
    found = []
    for file in files:
        pieces, n = label(np.asarray(Image.open(file).convert("L")) > 127)
        lungs = [pieces == k for k in range(1, n + 1) if (pieces == k).sum() >= 30]
        if lungs:
            masks = torch.from_numpy(np.stack(lungs)).to(torch.uint8)
            found += [dice(a, b) for a, b in zip(perfect_head(masks, 56), masks, strict=True)]
    assert len(found) > 10
    assert min(found) >= 0.99
