"""Tubes along lines, drawn by dropping points: vessels and airways of any calibre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covidlit.synthetic.grid import F32, Grid

F64 = NDArray[np.float64]

_GOLDEN = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class Tubes:
    """Straight pieces of round tube.

    Args:
        start, end: (n, 3), mm, (x, y, z).
        radius: (n, 2), mm, at start and end.
    """

    start: F64
    end: F64
    radius: F64

    def __len__(self) -> int:
        return len(self.radius)

    def wider(self, by: float) -> Tubes:
        """The same tubes with `by` mm added to each radius."""
        return Tubes(self.start, self.end, self.radius + by)

    def select(self, keep: NDArray[np.bool_]) -> Tubes:
        """Some of the tubes."""
        return Tubes(self.start[keep], self.end[keep], self.radius[keep])


def join(*tubes: Tubes) -> Tubes:
    """Several sets of tubes as one."""
    return Tubes(
        np.concatenate([t.start for t in tubes]),
        np.concatenate([t.end for t in tubes]),
        np.concatenate([t.radius for t in tubes]),
    )


def polyline(points: list[tuple[float, float, float]], radii: list[float] | float) -> Tubes:
    """A bent tube through points (x, y, z) in mm, smoothed (Catmull-Rom), radii at the points."""
    node = np.asarray(points, float)
    radius = np.broadcast_to(np.asarray(radii, float), len(node))
    padded = np.concatenate([2 * node[:1] - node[1:2], node, 2 * node[-1:] - node[-2:-1]])
    fine, wide = [node[:1]], [radius[:1]]
    t = np.array([[1 / 3], [2 / 3], [1.0]])
    for k in range(len(node) - 1):
        a, b, c, d = padded[k : k + 4]
        fine.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
                   + (3 * b - a - 3 * c + d) * t**3)
        )  # fmt: skip
        wide.append(radius[k] + (radius[k + 1] - radius[k]) * t[:, 0])
    line, width = np.concatenate(fine), np.concatenate(wide)
    return Tubes(line[:-1], line[1:], np.stack([width[:-1], width[1:]], 1))


def fill_tubes(grid: Grid, tubes: Tubes, hollow: float = 0.0) -> F32:
    """The part of each voxel that lies in a tube, 0 to 1, (z, y, x).

    Points are spread evenly along each tube and over its cross-section, each stands for its share
    of the volume and is split between the eight voxels around it, so that a vessel much thinner
    than a voxel still weighs what it should.

    Args:
        grid: where to draw.
        tubes: what to draw; pieces outside the grid cost little.
        hollow: part of the radius that is left empty.
    """
    spacing, shape = np.array(grid.spacing), grid.shape
    low = np.array(grid.origin)[::-1]
    high = low + (np.array(shape)[::-1] - 1) * spacing[::-1]
    reach = tubes.radius.max(axis=1, keepdims=True) + spacing.max()
    near = np.all(
        (np.minimum(tubes.start, tubes.end) - reach < high)
        & (np.maximum(tubes.start, tubes.end) + reach > low),
        axis=1,
    )
    tubes = tubes.select(near)
    if not len(tubes):
        return np.zeros(shape, np.float32)
    points, share = _points(tubes, spacing, hollow)
    at = (points[:, ::-1] - np.array(grid.origin)) / spacing
    base = np.floor(at).astype(np.int32)
    part = (at - base).astype(np.float32)
    weight = (share / np.prod(spacing)).astype(np.float32)
    padded = tuple(n + 2 for n in shape)
    inside = np.all((base >= -1) & (base < np.array(shape)), axis=1)
    base, part, weight = base[inside] + 1, part[inside], weight[inside]
    flat = (base[:, 0] * padded[1] + base[:, 1]) * padded[2] + base[:, 2]
    corners, shares = [], []
    for dz in (0, 1):
        wz = weight * (part[:, 0] if dz else 1 - part[:, 0])
        for dy in (0, 1):
            wy = wz * (part[:, 1] if dy else 1 - part[:, 1])
            for dx in (0, 1):
                shares.append(wy * (part[:, 2] if dx else 1 - part[:, 2]))
                corners.append(flat + ((dz * padded[1] + dy) * padded[2] + dx))
    total = np.bincount(np.concatenate(corners), np.concatenate(shares), int(np.prod(padded)))
    filled = total.reshape(padded)[1:-1, 1:-1, 1:-1]
    return np.minimum(filled, 1.0).astype(np.float32)


def capsule_distance(grid: Grid, tubes: Tubes, margin: float) -> F32:
    """Distance to the wall of tubes with round ends, negative within: for few wide tubes.

    Args:
        grid: where.
        tubes: the pieces.
        margin: distances are known up to here, mm; farther voxels get this value.
    """
    nearest = np.full(grid.shape, margin, np.float32)
    for start, end, radius in zip(tubes.start, tubes.end, tubes.radius, strict=True):
        reach = radius.max() + margin
        box = grid.box(np.minimum(start, end)[::-1] - reach, np.maximum(start, end)[::-1] + reach)
        part = nearest[box]
        if not part.size:
            continue
        # Plain floats and sliced axes: at small sizes the calls cost more than the voxels.
        z, y, x = (axis[k] for axis, k in zip(grid.flat_axes, box, strict=True))
        px = (x - start[0])[None, None, :]
        py = (y - start[1])[None, :, None]
        pz = (z - start[2])[:, None, None]
        ax, ay, az = (float(value) for value in end - start)
        long = max(ax * ax + ay * ay + az * az, 1e-6)
        t = px * (ax / long) + py * (ay / long) + pz * (az / long)
        np.maximum(t, 0, out=t)
        np.minimum(t, 1, out=t)
        away = (px - t * ax) ** 2
        away += (py - t * ay) ** 2
        away += (pz - t * az) ** 2
        np.sqrt(away, out=away)
        t *= float(radius[1] - radius[0])
        away -= t
        away -= float(radius[0])
        np.minimum(part, away, out=part)
    return nearest


def _points(tubes: Tubes, spacing: F64, hollow: float) -> tuple[F64, F64]:
    """Points (n, 3) in the tubes and the volume in mm3 that each one stands for."""
    axis = tubes.end - tubes.start
    length = np.linalg.norm(axis, axis=1)
    pixel = float(spacing.min())
    steps = np.maximum(1, np.ceil(length / (0.6 * pixel))).astype(int)
    widest = tubes.radius.max(axis=1)
    rings = np.maximum(1, np.ceil(np.pi * widest**2 * (1 - hollow**2) / (0.35 * pixel**2)))
    rings = rings.astype(int)
    owner = np.repeat(np.arange(len(tubes)), steps * rings)
    first = np.repeat(np.cumsum(steps * rings) - steps * rings, steps * rings)
    rank = np.arange(len(owner)) - first
    along = (rank // rings[owner] + 0.5) / steps[owner]
    ring = rank % rings[owner]
    radius = tubes.radius[owner, 0] + (tubes.radius[owner, 1] - tubes.radius[owner, 0]) * along
    area = np.pi * radius**2 * (1 - hollow**2)
    out = radius * np.sqrt(hollow**2 + (1 - hollow**2) * (ring + 0.5) / rings[owner])
    out[rings[owner] == 1] = 0
    turn = _GOLDEN * ring + 2.1 * (rank // rings[owner])
    unit = axis / np.maximum(length, 1e-9)[:, None]
    helper = np.where(np.abs(unit[:, 2:]) < 0.8, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    side = np.cross(unit, helper)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(unit, side)
    points = tubes.start[owner] + along[:, None] * axis[owner]
    points += (out * np.cos(turn))[:, None] * side[owner]
    points += (out * np.sin(turn))[:, None] * other[owner]
    return points, area * (length / steps)[owner] / rings[owner]
