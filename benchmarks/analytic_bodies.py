"""Factors of bodies whose truth is known, at 1 x 0.7 x 0.7 and 5 x 0.7 x 0.7 mm.

python benchmarks/analytic_bodies.py

Balls, ellipsoids and shells of at least 10 mm radius, turned at random and shifted by parts of a
voxel, in a ball of lung; ramps of HU across their borders; and the digital phantom of the Image
Biomarker Standardisation Initiative (manual v11, 5.1) with its published values. A figure is the
largest error of all turns and shifts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from record import write_results
from scipy.integrate import quad
from scipy.spatial.transform import Rotation

from covidlit.lesions import LesionLabels, quantify_labels, spread
from covidlit.lesions.spread import binary_mesh
from covidlit.progress import progress_bar
from covidlit.scans.scan import Scan

COMMAND = "python benchmarks/analytic_bodies.py"
SPACINGS = {"1 mm": (1.0, 0.7, 0.7), "5 mm": (5.0, 0.7, 0.7)}
HALF_MM, LUNG_MM = 50.0, 45.0
LUNG_HU, LESION_HU, RAMP = -850, -350, 30.0
BODIES: dict[str, tuple[float, ...]] = {
    "balls of 10 mm": (10, 10, 10),
    "balls of 14 mm": (14, 14, 14),
    "ellipsoids of 20 x 12 x 12 mm": (20, 12, 12),
    "ellipsoids of 24 x 12 x 12 mm": (24, 12, 12),
    "shells of 20 and 14 mm": (20, 14),
}
SECTIONS = "areas of sections, parabolas between and beyond"

Spacing = tuple[float, float, float]


def points(spacing: Spacing) -> NDArray[np.float64]:
    """mm (z, y, x) from the middle of the volume, (z, y, x, 3)."""
    axes = [np.arange(-HALF_MM, HALF_MM + 1e-9, step) for step in spacing]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def depth_of(at: NDArray[Any], sizes: tuple[float, ...], shift: Any, turn: Rotation) -> Any:
    """About the distance of each point to the border, mm, above 0 inside."""
    away = turn.apply((at - shift).reshape(-1, 3))
    if len(sizes) == 2:
        from_middle = np.linalg.norm(away, axis=1)
        return np.minimum(sizes[0] - from_middle, from_middle - sizes[1]).reshape(at.shape[:3])
    share = np.linalg.norm(away / np.array(sizes), axis=1)
    return ((1 - share) * min(sizes)).reshape(at.shape[:3])


def truth(sizes: tuple[float, ...]) -> dict[str, float]:
    """Volume in mL, longest diameter in mm, and form (of a shell None is known that counts)."""
    if len(sizes) == 2:
        volume = 4 / 3 * np.pi * (sizes[0] ** 3 - sizes[1] ** 3)
        return {"volume": volume / 1000, "diameter": 2 * sizes[0]}
    a, b = sizes[0], sizes[1]

    def ring(t: float) -> float:
        return float(2 * np.pi * b * np.sin(t) * np.hypot(a * np.sin(t), b * np.cos(t)))

    volume = 4 / 3 * np.pi * a * b * b
    form = (36 * np.pi * volume**2) ** (1 / 3) / quad(ring, 0, np.pi)[0]
    return {"volume": volume / 1000, "diameter": 2 * max(sizes), "form": form}


def measured(
    sizes: tuple[float, ...], spacing: Spacing, shift: Any, turn: Rotation, ramp: bool
) -> dict[str, float]:
    """The factors of one body, with the volume by sections as `sections`."""
    at = points(spacing)
    depth = depth_of(at, sizes, shift, turn)
    classes = (np.linalg.norm(at, axis=-1) < LUNG_MM).astype(np.uint8)
    classes[depth > 0] = 3
    hu = np.where(classes == 3, LESION_HU, LUNG_HU)
    if ramp:
        hu = np.clip((LUNG_HU + LESION_HU) / 2 + RAMP * depth, LUNG_HU, LESION_HU)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = (*spacing, 1)
    scan = Scan(hu.astype(np.int16), affine, "1.2.3")
    labels = LesionLabels(classes, (classes == 3).astype(np.int32), affine)
    row = quantify_labels(scan, labels).lesions.iloc[0].to_dict()
    table = spread(scan, labels).set_index("definition")["value"]
    return {**row, "sections": float(table[SECTIONS])}


def errors_of(
    sizes: tuple[float, ...], spacing: Spacing, draws: int, advance: Callable[[], None]
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """The largest errors of a body over turns and shifts, and what was measured."""
    true, rows = truth(sizes), []
    worst: dict[str, float] = {}
    rng = np.random.default_rng(0)
    for k in range(draws):
        # The same place in the patient at both spacings.
        shift = rng.uniform(-0.5, 0.5, 3) * SPACINGS["5 mm"]
        turn = Rotation.random(random_state=k)
        row = measured(sizes, spacing, shift, turn, ramp=len(set(sizes)) == 1)
        errors = {
            "volume by counting (%)": 100 * (row["volume_ml"] / true["volume"] - 1),
            "volume by sections (%)": 100 * (row["sections"] / true["volume"] - 1),
        }
        # A voxel in the direction of the long axis; of a ball the best direction is taken.
        axis = np.abs(turn.inv().apply([1, 0, 0])) if len(set(sizes)) > 1 else np.ones(3)
        axis = np.array([1.0, 0, 0]) if len(sizes) == 2 or len(set(sizes)) == 1 else axis
        voxel = max(float(axis @ spacing), spacing[1])
        errors["diameter (voxels)"] = (row["max_diameter_3d_mm"] - true["diameter"]) / voxel
        if "form" in true:
            errors["form (%)"] = 100 * (row["form"] / true["form"] - 1)
        if len(set(sizes)) == 1:
            gap = LUNG_MM - float(np.linalg.norm(shift)) - sizes[0]
            errors["distance to the pleura (mm)"] = row["pleural_distance_mm"] - gap
            errors["edge clarity of a ramp (%)"] = 100 * (row["edge_clarity_hu_per_mm"] / RAMP - 1)
        for name, error in errors.items():
            worst[name] = max(worst.get(name, 0.0), abs(error))
        rows.append(row)
        advance()
    return worst, rows


TARGETS = {
    "1 mm": {
        "volume by counting (%)": 2, "volume by sections (%)": 2, "diameter (voxels)": 1,
        "form (%)": 3, "distance to the pleura (mm)": 1.5, "edge clarity of a ramp (%)": 5,
    },
    "5 mm": {
        "volume by counting (%)": 2, "volume by sections (%)": 2, "diameter (voxels)": 1,
        "form (%)": 5, "distance to the pleura (mm)": 5.5, "edge clarity of a ramp (%)": 12,
    },
}  # fmt: skip
BETWEEN = {
    "volume_ml": ("%", 7), "max_diameter_3d_mm": ("mm", 5), "max_diameter_2d_mm": ("mm", 1.4),
    "form": ("", 0.05), "pleural_distance_mm": ("mm", 5),
}  # fmt: skip
"""The same body at both spacings: unit and largest difference."""


def phantom() -> list[tuple[str, float, float, float]]:
    """Figures of the digital phantom: name, value, published value, its rounding."""
    grey = np.array(
        [
            [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
            [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [0, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
            [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 6, 1, 1]],
            [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
        ],
        np.int16,
    )
    affine = np.array([[0, 0, 2.0, 0], [0, 2.0, 0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1.0]])
    inside = grey > 0
    scan = Scan(grey, affine, "ibsi")
    labels = LesionLabels(inside.astype(np.uint8) * 3, inside.astype(np.int32), affine)
    row = quantify_labels(scan, labels).lesions.iloc[0]
    table = spread(scan, labels).set_index("definition")["value"]
    mesh, area = binary_mesh(inside, (2.0, 2.0, 2.0))
    return [
        ("approximate volume YEKZ (mm3)", row["volume_ml"] * 1000, 592, 0.5),
        ("volume RNU0 (mm3)", mesh, 556, 0.5),
        ("surface area C0JK (mm2)", area, 388, 0.5),
        ("sphericity QCFX", table["sphericity of the mesh of the voxels (IBSI QCFX)"], 0.843, 5e-4),
        ("maximum 3D diameter L0JK (mm)", row["max_diameter_3d_mm"], 13.1, 0.05),
        ("major axis length TDIC (mm)", table["major axis length (IBSI TDIC)"], 11.4, 0.05),
        ("mean Q4LE", row["mean_density_hu"], 2.15, 0.005),
        ("variance ECT3", row["density_sd_hu"] ** 2, 3.05, 0.005),
    ]


def main() -> None:
    """Measure all bodies and write `results/analytic_bodies.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=8, help="turns and shifts of each body")
    draws = parser.parse_args().draws
    rows: list[tuple[str, float, str, str | None]] = []
    with progress_bar("bodies", len(BODIES) * len(SPACINGS) * draws) as bar:
        for body, sizes in BODIES.items():
            both = []
            for name, spacing in SPACINGS.items():
                worst, found = errors_of(sizes, spacing, draws, bar.advance)
                both.append(found)
                for factor, value in worst.items():
                    what = f"{body}, slices of {name}: largest error of {factor}"
                    rows.append((what, value, "", f"<= {TARGETS[name][factor]}"))
            for column, (unit, most) in BETWEEN.items():
                pairs = np.array(
                    [[one[column], two[column]] for one, two in zip(*both, strict=True)]
                )
                apart = np.abs(pairs[:, 1] - pairs[:, 0])
                if unit == "%":
                    apart = 100 * apart / pairs[:, 0]
                what = f"{body}: largest difference of {column} between both spacings"
                rows.append((what, float(apart.max()), unit, f"<= {most}"))
    for name, value, published, rounding in phantom():
        apart = abs(float(value) - published)
        rows.append((f"digital phantom, {name}: off the published {published}", apart, "",
                     f"<= {rounding}"))  # fmt: skip
    figures = [
        {
            "figure": figure, "value": round(value, 4), "unit": unit, "target": target,
            "peer": None, "command": COMMAND,
        }
        for figure, value, unit, target in rows
    ]  # fmt: skip
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']} (target {figure['target']})")
    print(write_results("analytic_bodies", figures))


if __name__ == "__main__":
    main()
