"""Surfaces of lungs and lesions for the screen: smooth, and within a budget of triangles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

_COARSER = 1.35
"""Factor by which the grid grows while there are too many triangles."""

_COARSEST_MM = 20.0


@dataclass(frozen=True)
class Mesh:
    """A triangle surface.

    Args:
        vertices: (n, 3) float32, LPS mm.
        faces: (m, 3) int64, indices of vertices.
        owner: (n,) int64, the lesion that each vertex belongs to; 0 for the lungs.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int64]
    owner: NDArray[np.int64]


def surface(
    mask: NDArray[np.bool_], affine: NDArray[np.float64], step_mm: float, owner: int = 0
) -> Mesh | None:
    """The surface of a mask on a grid of about `step_mm`; None where the mask is empty.

    Each cell of the coarser grid holds the share of the mask in it, so that the surface passes
    between voxels and has no steps of theirs. What is smaller than a cell is kept.

    Args:
        mask: (z, y, x).
        affine: index to LPS mm.
        step_mm: wanted size of a cell; never finer than the voxels.
        owner: see `Mesh`.
    """
    if not mask.any():
        return None
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    factors = np.maximum(1, np.rint(step_mm / spacing).astype(int))
    share = np.pad(_block_means(mask, factors), 1)
    level = min(0.5, 0.5 * float(share.max()))
    vertices, faces, _, _ = marching_cubes(share, level)
    # The centre of cell 0 of the padded grid is one cell before that of the first cell.
    index = (vertices - 1.0) * factors + (factors - 1) / 2.0
    points = index @ affine[:3, :3].T + affine[:3, 3]
    return Mesh(
        points.astype(np.float32), faces.astype(np.int64), np.full(len(points), owner, np.int64)
    )


def _block_means(mask: NDArray[np.bool_], factors: NDArray[np.int64]) -> NDArray[np.float32]:
    missing = [(0, -size % f) for size, f in zip(mask.shape, factors, strict=True)]
    padded = np.pad(mask, missing)
    z, y, x = (size // f for size, f in zip(padded.shape, factors, strict=True))
    fz, fy, fx = (int(f) for f in factors)
    blocks = padded.reshape(z, fz, y, fy, x, fx)
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32)


def lung_surface(
    mask: NDArray[np.bool_], affine: NDArray[np.float64], most_triangles: int
) -> Mesh | None:
    """The surface of the lungs, on the finest grid from 2.5 mm on that keeps the budget.

    Args:
        mask: (z, y, x), lungs with what lies in them.
        affine: index to LPS mm.
        most_triangles: the budget.
    """
    box = _box(mask)
    if box is None:
        return None
    part, moved = mask[box], _moved(affine, box)
    step = 2.5
    while True:
        mesh = surface(part, moved, step)
        if mesh is None or len(mesh.faces) <= most_triangles or step > _COARSEST_MM:
            return mesh
        step *= _COARSER


def lesion_surfaces(
    instances: NDArray[np.integer[Any]], affine: NDArray[np.float64], most_triangles: int
) -> dict[int, Mesh]:
    """The surface of every lesion, all on the finest grid from 1 mm on that keeps the budget.

    Args:
        instances: (z, y, x), 0 or the number of a lesion.
        affine: index to LPS mm.
        most_triangles: the budget for all of them together.
    """
    boxes = {
        number: box
        for number, box in enumerate(ndimage.find_objects(instances), start=1)
        if box is not None
    }
    step = 1.0
    while True:
        meshes: dict[int, Mesh] = {}
        for number, box in boxes.items():
            mesh = surface(instances[box] == number, _moved(affine, box), step, number)
            if mesh is not None:
                meshes[number] = mesh
        if sum(len(mesh.faces) for mesh in meshes.values()) <= most_triangles:
            return meshes
        if step > _COARSEST_MM:
            return meshes
        step *= _COARSER


def joined(meshes: Iterable[Mesh]) -> Mesh:
    """Several surfaces as one."""
    vertices, faces, owners, n = [], [], [], 0
    for mesh in meshes:
        vertices.append(mesh.vertices)
        faces.append(mesh.faces + n)
        owners.append(mesh.owner)
        n += len(mesh.vertices)
    return Mesh(np.concatenate(vertices), np.concatenate(faces), np.concatenate(owners))


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...] | None:
    found = ndimage.find_objects(mask.astype(np.uint8))
    return found[0] if found else None


def _moved(affine: NDArray[np.float64], box: tuple[slice, ...]) -> NDArray[np.float64]:
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    return moved
