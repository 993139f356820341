"""Slices of drawn chests, with lungs and round lesions, in the form that a detection batch has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

CLASSES = ["lung", "ground_glass", "consolidation"]
GREY = {1: 0.15, 2: 0.55, 3: 0.95}


def drawn_slice(
    number: int, size: int = 64, lesions: int | None = None, annotated: list[bool] | None = None
) -> dict[str, Any]:
    """A slice and its target; what it shows depends on its number alone.

    Every third slice has no lesion, unless their number is given.
    """
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:size, :size] + 0.5
    image = np.full((size, size), 0.7)
    semantic = np.zeros((size, size), dtype=np.uint8)
    masks, labels = [], []
    centres = []
    for side in (0.27, 0.73):
        centre = size * np.array([0.5 + rng.uniform(-0.04, 0.04), side])
        lung = ((y - centre[0]) / (0.36 * size)) ** 2 + ((x - centre[1]) / (0.18 * size)) ** 2 < 1
        semantic[lung] = 1
        masks.append(lung)
        labels.append(1)
        centres.append(centre)
    wanted = (0 if number % 3 == 2 else 1 + number % 2) if lesions is None else lesions
    for k in range(wanted):
        label = 2 + int(rng.integers(2))
        radius = size * rng.uniform(0.07, 0.12)
        place = centres[k % 2] + size * rng.uniform(-0.12, 0.12, 2) * [1.0, 0.3]
        spot = (y - place[0]) ** 2 + (x - place[1]) ** 2 < radius**2
        semantic[spot] = label
        masks.append(spot)
        labels.append(label)
    for label, grey in GREY.items():
        image[semantic == label] = grey
    image = np.clip(image + rng.normal(0, 0.02, image.shape), 0, 1)
    return {
        "image": torch.tensor(np.stack([image] * 3), dtype=torch.float32),
        "target": target_of(masks, labels, semantic, annotated),
        "slice_id": f"scan{number // 4}.{number % 4:04d}",
        "affine": torch.tensor(np.diag([5.0, 0.7, 0.7, 1.0])),
        "spacing": torch.tensor([0.7, 0.7], dtype=torch.float64),
        "voxel_ml": 5 * 0.7 * 0.7 / 1000,
    }


def target_of(
    masks: list[Any], labels: list[int], semantic: Any, annotated: list[bool] | None = None
) -> dict[str, Tensor]:
    """The target of a slice, its boxes half-open."""
    boxes = []
    for mask in masks:
        y, x = np.nonzero(mask)
        boxes.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
    shape = semantic.shape
    return {
        "boxes": torch.tensor(np.array(boxes).reshape(-1, 4), dtype=torch.float32),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": torch.tensor(np.array(masks).reshape(-1, *shape).astype(np.uint8)),
        "semantic": torch.tensor(semantic),
        "annotated": torch.tensor(annotated or [True] * (len(CLASSES) + 1)),
    }


def collate(slices: list[dict[str, Any]]) -> dict[str, Any]:
    """A batch of slices: lists, but for affine, spacing and volume."""
    batch: dict[str, Any] = {
        name: [each[name] for each in slices] for name in ("image", "target", "slice_id")
    }
    for name in ("affine", "spacing"):
        batch[name] = torch.stack([each[name] for each in slices])
    batch["voxel_ml"] = torch.tensor([each["voxel_ml"] for each in slices])
    return batch


def write_pictures(folder: Path, n_patients: int = 20, size: int = 48) -> Path:
    """A folder of pictures with masks of lungs and lesions, two slices of each patient.

    `data=slices_masks` reads it; the second slice of every patient has no lesion.
    """
    rows = []
    for name in ("images", "lung", "lesion"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(2 * n_patients):
        drawn = drawn_slice(number, size, lesions=1 - number % 2)
        file = f"p{number // 2:02d}_{number % 2}.png"
        semantic = drawn["target"]["semantic"].numpy()
        pictures = {
            "images": drawn["image"][0].numpy() * 255,
            "lung": (semantic > 0) * 255,
            "lesion": (semantic > 1) * 255,
        }
        for name, picture in pictures.items():
            Image.fromarray(picture.astype(np.uint8)).save(folder / name / file)
        rows.append(f"{file},p{number // 2:02d}")
    (folder / "slices.csv").write_text("file,patient_id\n" + "\n".join(rows) + "\n")
    return folder
