"""Label volumes from the scan's canonical order back to the slices that they were drawn on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.dicom.out.source import SourceSeries
from covidlit.errors import DicomError

_SAME_GRID = 0.1
"""Voxels that a corner of the volume may lie off by turning or scaling, shifts left aside."""


@dataclass(frozen=True)
class SourceMap:
    """How the index of a label volume becomes slice, row and column of the source.

    Args:
        axes: the label axis of each source axis (slice, row, column).
        flipped: whether that axis runs the other way.
        places: (n, 3) int64, where in the permuted and flipped volume the first pixel of each
            source slice lies.
        rest: (n, 3) float64, parts of a voxel left by rounding `places`; all but 0 unless the
            gantry was tilted.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    places: NDArray[np.int64]
    rest: NDArray[np.float64]

    def apply(self, labels: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
        """The labels on the source's slices, in the source's order; 0 outside the volume.

        Args:
            labels: (z, y, x) of the volume that the map was made for.
            shape: (slices, rows, columns) of the source.
        """
        turned = self._turned(labels)
        if turned.shape == shape and np.array_equal(self.places, _upright(len(turned))):
            return np.ascontiguousarray(turned)
        return np.stack([self._placed(turned, k, shape[1:], 0) for k in range(shape[0])])

    def plane(
        self, volume: NDArray[Any], k: int, size: tuple[int, int], fill: int = 0
    ) -> NDArray[Any]:
        """One slice of the source, cut from any volume on the same grid, such as the scan's HU.

        Args:
            volume: (z, y, x).
            k: number of the source slice.
            size: (rows, columns) of the source.
            fill: value outside the volume.
        """
        return self._placed(self._turned(volume), k, size, fill)

    def _turned(self, volume: NDArray[Any]) -> NDArray[Any]:
        turned = volume.transpose(self.axes)
        return np.flip(turned, tuple(axis for axis in range(3) if self.flipped[axis]))

    def _placed(
        self, turned: NDArray[Any], k: int, size: tuple[int, int], fill: int
    ) -> NDArray[Any]:
        slice_index, row, column = (int(place) for place in self.places[k])
        to_row, from_row = _overlap(row, turned.shape[1], size[0])
        to_column, from_column = _overlap(column, turned.shape[2], size[1])
        placed = np.full(size, fill, turned.dtype)
        placed[to_row, to_column] = turned[slice_index][from_row, from_column]
        return placed


def map_to_source(
    affine: NDArray[np.float64], shape: tuple[int, ...], source: SourceSeries
) -> SourceMap:
    """Find where the source's slices lie in a volume of labels.

    Args:
        affine: (4, 4), index (z, y, x) of the labels to LPS mm; canonical or any other order.
        shape: of the labels.
        source: the slices.

    Raises:
        DicomError: the volume is on another grid than the slices, has other sizes, or a slice has
            no place of its own in it.
    """
    inverse = np.linalg.inv(affine)
    steps = inverse[:3, :3] @ source.directions  # label index per source index
    axes = tuple(int(k) for k in np.abs(steps).argmax(axis=0))
    exact = np.zeros((3, 3))
    for source_axis, axis in enumerate(axes):
        exact[axis, source_axis] = np.sign(steps[axis, source_axis])
    extent = np.array(source.shape) - 1
    drift = np.abs(steps - exact) @ extent
    if len(set(axes)) < 3 or drift.max() > _SAME_GRID:
        raise _other_grid(
            f"its axes and spacing are not those of the slices (off by {drift.max():.2g} voxels "
            "at the far corner)",
            source,
        )
    flipped = tuple(bool(exact[axis, k] < 0) for k, axis in enumerate(axes))
    sizes = np.array([shape[axis] for axis in axes])
    if tuple(sizes[1:]) != source.shape[1:]:
        raise _other_grid(
            f"it has {sizes[1]} x {sizes[2]} pixels per slice, the series "
            f"{source.shape[1]} x {source.shape[2]}",
            source,
        )
    first = source.positions @ inverse[:3, :3].T + inverse[:3, 3]
    turned = np.stack(
        [
            sizes[k] - 1 - first[:, axis] if flipped[k] else first[:, axis]
            for k, axis in enumerate(axes)
        ],
        axis=1,
    )
    places = np.rint(turned).astype(np.int64)
    _check_places(places, turned - places, int(sizes[0]), source)
    return SourceMap(axes, flipped, places, turned - places)  # type: ignore[arg-type]


def _check_places(
    places: NDArray[np.int64], rest: NDArray[np.float64], n_label: int, source: SourceSeries
) -> None:
    slices = places[:, 0]
    if slices.min() < 0 or slices.max() >= n_label:
        raise _other_grid(
            f"{((slices < 0) | (slices >= n_label)).sum()} of {len(slices)} slices lie outside it",
            source,
        )
    if len(np.unique(slices)) < len(slices) or len(slices) != n_label:
        raise _other_grid(
            f"it has {n_label} slices, the series {len(slices)}, of which "
            f"{len(np.unique(slices))} have one of their own (missing or unevenly spaced slices "
            "were filled in by interpolation)",
            source,
        )
    if not source.tilted and np.abs(places[:, 1:]).max() > 0:
        off = np.abs(places[:, 1:] + rest[:, 1:]).max()
        raise _other_grid(f"it lies {off:.2f} pixels away from the slices in their plane", source)


def _other_grid(why: str, source: SourceSeries) -> DicomError:
    return DicomError(
        f"the labels are no volume of this series, voxel for voxel: {why}.",
        where=source.folder,
        fix="give labels in the geometry of the scan that was read from the series, with every "
        "slice there.",
    )


def _upright(n: int) -> NDArray[np.int64]:
    places = np.zeros((n, 3), np.int64)
    places[:, 0] = np.arange(n)
    return places


def _overlap(start: int, there: int, wanted: int) -> tuple[slice, slice]:
    """Where pixel `start` of `there` pixels becomes pixel 0 of `wanted`: (to, from)."""
    first, last = max(0, -start), min(wanted, there - start)
    last = max(first, last)
    return slice(first, last), slice(first + start, last + start)
