"""The factors under other published definitions, beside ours."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from covidlit.lesions.form import mesh_volume_and_area
from covidlit.lesions.sections import volume_by_sections
from covidlit.lesions.volume import crops_of, voxel_ml
from covidlit.scans.lesion_labels import FIRST_LESION, LesionLabels
from covidlit.scans.scan import Scan

VESSEL_ABOVE_HU = -200
"""Lung that is no lesion and denser than this is vessel (or fissure): a cut in use for vessels."""

GROUND_GLASS_HU = {
    "-750 to -300": (-750, -300),
    "-700 to -500": (-700, -500),
    "-600 to -200": (-600, -200),
}
"""Published cuts: ground glass between the two, consolidation above the second."""

SPREAD_COLUMNS = ("factor", "definition", "unit", "value")

_ROW = tuple[str, str, str, float | None]


def spread(
    scan: Scan, labels: LesionLabels, airways: NDArray[np.bool_] | None = None
) -> pd.DataFrame:
    """What the factors would be under other definitions, as a table.

    Args:
        scan: the CT.
        labels: its lesion labels.
        airways: air of windpipe and main bronchi, (z, y, x), to count as lung; None where unknown.

    Returns:
        `SPREAD_COLUMNS`, the value null where undefined; the definition that
        `factors.parquet` has is called "ours".
    """
    unit = voxel_ml(scan.affine)
    rows: list[_ROW] = []
    rows += _volumes(scan, labels, unit)
    rows += _proportions(scan, labels, airways, unit)
    rows += _densities(scan, labels, unit)
    return pd.DataFrame(rows, columns=list(SPREAD_COLUMNS))


def spread_markdown(tables: pd.DataFrame) -> str:
    """The spread over scans as a section of `factors.md`.

    Args:
        tables: of `spread`, of one or several scans.
    """
    lines = ["", "## Under other definitions", ""]
    lines.append("Median over the scans (lowest to highest); of each scan in `spread.parquet`.")
    lines += ["", "| factor | definition | unit | scans | value |", "|---|---|---|---|---|"]
    for (factor, definition, unit), own in tables.groupby(
        ["factor", "definition", "unit"], sort=False
    ):
        values = own["value"].dropna().astype(float)
        text = "not defined"
        if len(values):
            text = f"{values.median():.4g} ({values.min():.4g} to {values.max():.4g})"
        lines.append(f"| `{factor}` | {definition} | {unit} | {len(values)} | {text} |")
    return "\n".join(lines) + "\n"


def _volumes(scan: Scan, labels: LesionLabels, unit: float) -> list[_ROW]:
    count, mesh, sections = 0.0, 0.0, 0.0
    forms: list[tuple[int, float]] = []
    axes: list[float] = []
    crops = crops_of(labels.instances)
    for crop in crops:
        volume, area = binary_mesh(crop.mask, scan.spacing)
        count += crop.n_voxels * unit
        mesh += volume / 1000
        sections += volume_by_sections(crop.mask) * unit
        forms.append((crop.n_voxels, (36 * np.pi * volume**2) ** (1 / 3) / area))
        axes.append(major_axis(crop.mask, scan.spacing))
    largest = [form for _, form in sorted(forms, reverse=True)[:3]]
    ibsi = float(np.mean(largest)) if largest else None
    return [
        ("total_volume_ml", "ours: voxels counted (IBSI YEKZ)", "mL", count),
        ("total_volume_ml", "within the mesh of the voxels (IBSI RNU0)", "mL", mesh),
        ("total_volume_ml", "areas of sections, parabolas between and beyond", "mL", sections),
        ("max_diameter_3d_mm", "major axis length (IBSI TDIC)", "mm", max(axes, default=None)),
        ("form", "sphericity of the mesh of the voxels (IBSI QCFX)", "1", ibsi),
    ]


def _proportions(
    scan: Scan, labels: LesionLabels, airways: NDArray[np.bool_] | None, unit: float
) -> list[_ROW]:
    lesion = lung = vessels = effusion = aerated = extra = 0
    for z, classes in enumerate(labels.classes):
        inside = classes > 0
        ill = classes >= FIRST_LESION
        lung += int(np.count_nonzero(inside))
        lesion += int(np.count_nonzero(ill))
        effusion += int(np.count_nonzero(classes == 6))
        dense = (classes == 1) & (scan.hu[z] > VESSEL_ABOVE_HU)
        vessels += int(np.count_nonzero(dense))
        aerated += int(np.count_nonzero(classes == 1)) - int(np.count_nonzero(dense))
        if airways is not None:
            extra += int(np.count_nonzero(airways[z] & ~inside))

    def percent(part: int, whole: int) -> float | None:
        return 100 * part / whole if whole and lung > lesion else None

    rows: list[_ROW] = [
        ("proportion_percent", "ours: of the lung fields", "%", percent(lesion, lung)),
        (
            "proportion_percent",
            f"without vessels (above {VESSEL_ABOVE_HU} HU)",
            "%",
            percent(lesion, lung - vessels),
        ),
        (
            "proportion_percent",
            "without effusion, which lies outside the lung",
            "%",
            percent(lesion - effusion, lung - effusion),
        ),
        ("lung_volume_ml", "aerated: no lesion, no vessel", "mL", aerated * unit),
    ]
    if airways is not None:
        rows.insert(
            1, ("proportion_percent", "with the airways", "%", percent(lesion, lung + extra))
        )
    return rows


def _densities(scan: Scan, labels: LesionLabels, unit: float) -> list[_ROW]:
    """Ground glass and consolidation by HU instead of by class."""
    edges = sorted({cut for pair in GROUND_GLASS_HU.values() for cut in pair})
    counts = np.zeros(len(edges) + 1, np.int64)
    glass = solid = 0
    for hu, classes in zip(scan.hu, labels.classes, strict=True):
        ill = classes >= FIRST_LESION
        if ill.any():
            counts += np.bincount(np.searchsorted(edges, hu[ill]), minlength=len(edges) + 1)
            glass += int(np.count_nonzero(classes == 3))
            solid += int(np.count_nonzero(classes == 2))
    rows: list[_ROW] = [
        ("ground_glass_volume_ml", "ours: by class", "mL", glass * unit),
        ("consolidation_volume_ml", "ours: by class", "mL", solid * unit),
    ]
    for name, (low, high) in GROUND_GLASS_HU.items():
        first, last = edges.index(low) + 1, edges.index(high) + 1
        rows.append(
            ("ground_glass_volume_ml", f"{name} HU", "mL", float(counts[first:last].sum()) * unit)
        )
        rows.append(
            ("consolidation_volume_ml", f"above {high} HU", "mL", float(counts[last:].sum()) * unit)
        )
    return rows


def binary_mesh(
    mask: NDArray[np.bool_], spacing: tuple[float, float, float]
) -> tuple[float, float]:
    """Volume (mm3) and area (mm2) of the marching cubes mesh of a mask at 0.5, as IBSI has it."""
    points, faces, _, _ = marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5, spacing=spacing)
    return mesh_volume_and_area(points, faces)


def major_axis(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> float:
    """IBSI's major axis length: 4 times the root of the largest eigenvalue of the voxels, mm."""
    at = np.argwhere(mask) * np.asarray(spacing)
    if len(at) < 2:
        return 0.0
    values = np.linalg.eigvalsh(np.cov(at.T))
    return 4 * float(np.sqrt(max(0.0, float(values[-1]))))
