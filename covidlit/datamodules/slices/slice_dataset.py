"""Labelled slices as examples of a detection network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from covidlit.datamodules.arguments import config_errors
from covidlit.datamodules.sampling import Draw, derive_seed
from covidlit.datamodules.slices.channels import (
    channels_of,
    planes_of,
    resize_image,
    resize_labels,
    resized_affine,
)
from covidlit.datamodules.slices.objects import SliceObjects
from covidlit.datamodules.slices.slice_cache import SliceCache
from covidlit.datamodules.slices.targets import Instances, Target, detection_target
from covidlit.scans.scan import AIR_HU

_LISTS = ("image", "target", "slice_id")


class SliceDataset(Dataset[dict[str, Any]]):
    """One example per slice, read from the cache when asked for.

    Args:
        cache: the prepared slices.
        table: rows that can be used: slice_id, key, plane, row_spacing_mm, column_spacing_mm.
        rows: of each of them in `objects`.
        objects: of the slices.
        n_classes: without the background.
        grey: the slices are pictures without HU.
        channels, windows, size: see `covidlit.datamodules.slices.channels`.
        min_area_mm2: smaller pieces are no object.
        augmentation: arguments of `covidlit.transforms.Augmentation`; None: none.
        seed: of the run.
    """

    def __init__(
        self,
        cache: SliceCache,
        table: pd.DataFrame,
        rows: Sequence[int],
        objects: SliceObjects,
        n_classes: int,
        *,
        grey: bool,
        channels: str,
        windows: Sequence[Sequence[float]],
        size: Sequence[int] | None = None,
        min_area_mm2: float = 0.0,
        augmentation: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        self.cache, self.objects, self.n_classes = cache, objects, n_classes
        # Arrays, not lists: reading a list's objects copies their pages into every worker.
        self.slice_ids = table["slice_id"].to_numpy(dtype=np.str_)
        self.keys = table["key"].to_numpy(dtype=np.bytes_)
        self.planes = table["plane"].to_numpy(dtype=np.int64)
        self.targets = table["target"].to_numpy(dtype=np.int64)
        spacing = table[["row_spacing_mm", "column_spacing_mm"]]
        self.spacing = spacing.to_numpy(dtype=np.float64)
        self.shapes = table[["rows", "columns"]].to_numpy(dtype=np.int64)
        self.rows = np.asarray(rows, np.int64)
        self.grey, self.channels, self.windows = grey, channels, windows
        self.size, self.min_area_mm2 = size, min_area_mm2
        self.augmentation, self.seed = augmentation, seed
        self._augmentations: dict[float, Any] = {}

    def __len__(self) -> int:
        return len(self.slice_ids)

    def __getitem__(self, draw: Draw | int) -> dict[str, Any]:
        """The example of a draw, or of an index in epoch 0; see `SliceDataModule`.

        Raises:
            CacheError: the slice is missing from the cache or damaged.
        """
        index, epoch, repeat, counts = draw if isinstance(draw, tuple) else Draw(draw)
        name, key = str(self.slice_ids[index]), self.keys[index].decode()
        array = self.cache.open(key)
        plane = int(self.planes[index])
        # Copied, because the map is read-only.
        hu = torch.from_numpy(np.array(array[planes_of(plane, len(array), self.channels)]))
        shape = (hu.shape[1], hu.shape[2])
        found = self.objects.of(int(self.rows[index]), shape)
        affine = self.cache.affine(key)
        affine[:3, 3] += plane * affine[:3, 0]
        layers, groups = _as_layers(found)
        if self.augmentation is not None:
            augment = self._augment(self.spacing[index])
            parameters = augment.draw(derive_seed("augmentation", self.seed, epoch, name, repeat))
            hu = augment.apply_to_image(hu, parameters)
            if len(layers):
                layers = augment.apply_to_labels(layers, parameters)
            affine = augment.apply_to_affine(affine, parameters, shape)
        hu, layers = resize_image(hu, self.size), resize_labels(layers, self.size)
        affine = resized_affine(affine, shape, self.size)
        spacing = self._resized_spacing(index, shape)
        target = self._target(found._replace(masks=_from_layers(layers, groups)), spacing)
        image = channels_of(hu, self.channels, self.windows, grey=self.grey)
        return {
            "image": image,
            "target": target,
            "slice_id": name,
            "affine": torch.from_numpy(np.ascontiguousarray(affine, dtype=np.float64)),
            "spacing": torch.from_numpy(np.array(spacing, dtype=np.float64)),
            "voxel_ml": np.nan if self.grey else abs(np.linalg.det(affine[:3, :3])) / 1000,
            "counts": counts,
        }

    def target_of(self, index: int) -> Target:
        """The target of an example without augmentation; its image is not read."""
        shape = (int(self.shapes[index][0]), int(self.shapes[index][1]))
        found = self.objects.of(int(self.rows[index]), shape)
        layers, groups = _as_layers(found)
        masks = _from_layers(resize_labels(layers, self.size), groups)
        return self._target(found._replace(masks=masks), self._resized_spacing(index, shape))

    def _resized_spacing(self, index: int, shape: Sequence[int]) -> NDArray[np.float64]:
        own: NDArray[np.float64] = self.spacing[index]
        if self.size is None:
            return own
        return own * [shape[0] / self.size[0], shape[1] / self.size[1]]

    def _target(self, found: Instances, spacing: NDArray[np.float64]) -> Target:
        target, _ = detection_target(
            found,
            (float(spacing[0]), float(spacing[1])),
            self.n_classes,
            annotated=self.objects.annotated,
            min_area_mm2=self.min_area_mm2,
            lung=self.objects.lung,
        )
        return target

    def _augment(self, spacing: Any) -> Any:
        """The augmentation for pixels of a shape: of one it is the same at any size."""
        from covidlit.transforms import Augmentation

        ratio = round(float(spacing[0] / spacing[1]), 3) if np.isfinite(spacing).all() else 1.0
        if ratio not in self._augmentations:
            pad = 0.0 if self.grey else float(AIR_HU)
            arguments = {"pad": pad, **(self.augmentation or {}), "spacing": (ratio, 1.0)}
            with config_errors("augmentation"):
                self._augmentations[ratio] = Augmentation(**arguments)
        return self._augmentations[ratio]


def collate_slices(examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A batch: lists of images, targets and names, since slices differ in size and objects."""
    batch: dict[str, Any] = {name: [e[name] for e in examples] for name in _LISTS}
    for name in ("affine", "spacing"):
        batch[name] = torch.stack([e[name] for e in examples])
    batch["voxel_ml"] = torch.tensor([e["voxel_ml"] for e in examples], dtype=torch.float64)
    batch["counts"] = torch.tensor([e["counts"] for e in examples], dtype=torch.bool)
    return batch


def _as_layers(found: Instances) -> tuple[torch.Tensor, list[int]]:
    """Masks as few label maps, int32 (layers, rows, columns), and the layer of each mask.

    Objects that do not overlap share one, in which object k has the value k + 1: moving a map
    costs as much as moving a mask.
    """
    layers: list[Any] = []
    groups: list[int] = []
    for number, mask in enumerate(found.masks, 1):
        inside = mask > 0
        place = next((k for k, layer in enumerate(layers) if not layer[inside].any()), len(layers))
        if place == len(layers):
            layers.append(np.zeros(mask.shape, np.int32))
        layers[place][inside] = number
        groups.append(place)
    stacked = np.stack(layers) if layers else np.zeros((0, *found.masks.shape[1:]), np.int32)
    return torch.from_numpy(stacked), groups


def _from_layers(layers: torch.Tensor, groups: Sequence[int]) -> Any:
    maps = layers.numpy()
    masks = np.zeros((len(groups), *maps.shape[1:]), np.uint8)
    for number, place in enumerate(groups, 1):
        masks[number - 1] = maps[place] == number
    return masks


__all__ = ["SliceDataset", "Target", "collate_slices"]


def largest_slice(size: Sequence[int] | None, rows: pd.DataFrame) -> int:
    """Bytes of the largest example of these rows: float32 channels, a byte per object and pixel.

    Args:
        size: rows and columns to which slices are scaled; None: each its own.
        rows: of the table, with `rows`, `columns`, `n_objects`, `n_too_small` and `n_crowds`.
    """
    pixels = rows["rows"] * rows["columns"]
    if size is not None:
        pixels = pixels * 0 + size[0] * size[1]
    masks = rows["n_objects"] + rows["n_too_small"] + rows["n_crowds"]
    return int((pixels * (13 + masks)).max()) if len(rows) else 0
