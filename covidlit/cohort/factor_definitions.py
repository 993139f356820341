"""What each factor is: formula, source, and where it differs from IBSI's feature of that name."""

from __future__ import annotations

from dataclasses import dataclass

IBSI = "Zwanenburg et al., Image Biomarker Standardisation Initiative, Radiology 2020 (manual v11)"
"""The reference that four-letter codes are of."""


@dataclass(frozen=True)
class Definition:
    """A factor.

    Args:
        column: of `factors.parquet` (and, where `lesion` is set, of `lesions.parquet`).
        name: of the paper's Table 2.
        unit: of the column.
        scan: what it is of a scan.
        lesion: what it is of one lesion; "" where it is of a scan alone.
        source: where the definition comes from.
        beside: how it differs from IBSI's or other published definitions; "" where it does not.
    """

    column: str
    name: str
    unit: str
    scan: str
    lesion: str
    source: str
    beside: str = ""


DEFINITIONS: tuple[Definition, ...] = (
    Definition(
        "n_lesions", "number of lesions", "1",
        "how many numbers the volume of instances holds",
        "",
        "the severity paper, Figure 8",
        "labels without instances are numbered by connected components per class (26 neighbours)",
    ),
    Definition(
        "total_volume_ml", "total volume", "mL",
        "sum over lesions",
        "voxels times |det(affine)|",
        "IBSI approximate volume (YEKZ)",
        "IBSI's volume (RNU0) is that within a mesh, smaller by up to half a voxel all around. "
        "In slices of 5 mm no count of voxels knows where between two slices a lesion ends: a ball "
        "of 10 mm radius comes out 6% too small to 3% too large as the slices happen to lie, one "
        "of 14 mm within 1.1%. Parabolas through the areas of the sections (in the spread) are "
        "within 1% for balls, ellipsoids and shells, but no better than counting for rough and "
        "flat-ended bodies: so voxels are counted",
    ),
    Definition(
        "mean_volume_ml", "mean volume", "mL",
        "total volume / number of lesions",
        "",
        "the severity paper, Table 2",
    ),
    Definition(
        "proportion_percent", "proportion of lesions", "%",
        "100 x total volume / volume of the lung fields (all classes but 0: lung with vessels, "
        "lesions and effusion, without windpipe and main bronchi); also per lung, and per upper, "
        "middle and lower third of the lungs' height",
        "",
        "the severity paper, Table 2",
        "others leave out the larger vessels or keep the airways: see the spread (--spread)",
    ),
    Definition(
        "max_diameter_3d_mm", "maximum 3D long diameter", "mm",
        "the largest of all lesions",
        "largest distance between the centres of two outer faces of voxels",
        "IBSI maximum 3D diameter (L0JK): the same points, as vertices of the mesh",
    ),
    Definition(
        "max_diameter_2d_mm", "maximum 2D long diameter", "mm",
        "the largest of all lesions",
        "largest distance between the centres of two outer faces of pixels within an axial slice",
        "long axis of RECIST 1.1 (Eisenhauer et al. 2009)",
        "IBSI has no diameter in a slice; its major axis length (TDIC) is 4 x the root of the "
        "largest eigenvalue, 35.7 mm for a ball of 40 mm",
    ),
    Definition(
        "mean_density_hu", "mean density", "HU",
        "mean over all voxels of lesions; heterogeneity beside it (density_sd_hu): their standard "
        "deviation",
        "mean over its voxels; density_sd_hu: their standard deviation",
        "IBSI mean (Q4LE) and variance (ECT3)",
    ),
    Definition(
        "edge_clarity_hu_per_mm", "edge clarity", "HU/mm",
        "mean over lesions, weighted by the voxels at their borders",
        "|slope| of the line fitted to HU over the signed distance from the border, of voxels "
        "within 3 mm to both sides; only borders with lung",
        "ours; the severity paper says only that borders of inflammation are blurred (Figure 8)",
        "IBSI has no feature of this kind",
    ),
    Definition(
        "pleural_distance_mm", "pleural distance", "mm",
        "mean over lesions; the smallest beside it (min_pleural_distance_mm)",
        "shortest distance between a voxel of the lesion and one outside the lung fields, as boxes:"
        " 0 where they touch",
        "the severity paper, Figure 8: distance from the edge of the lesion to the pleura",
        "the mediastinal pleura counts, since the lung fields end there; fissures do not",
    ),
    Definition(
        "form", "form", "1",
        "mean of the three largest lesions",
        "sphericity (36 pi V^2)^(1/3) / A of a smooth surface (signed distance, 1 mm grid, 1 mm "
        "Gaussian, marching cubes at 0)",
        "IBSI sphericity (QCFX); the severity paper, Figure 8 (the three largest)",
        "IBSI's surface is the mesh of the binary mask, whose steps make a ball 0.91 at 1 mm and "
        "0.82 at 5 x 0.7 x 0.7 mm: see the spread",
    ),
    Definition(
        "volume_change_ml", "volume change", "mL",
        "total volume - total volume of the patient's previous scan by date (of several on one "
        "day their mean); of a lesion, its volume - that of the lesions that it was",
        "",
        "the severity paper, Table 2",
        "says nothing by itself: a change counts only beyond the limits of agreement (trend.csv). "
        "Those were measured of whole scans: changes of single lesions (lesion_changes.csv) are "
        "uncorrected, and stand beside the limits of the total volume",
    ),
)  # fmt: skip
"""The eleven, in the paper's order."""


def definitions_markdown() -> str:
    """The definitions as the text of `factors.md`."""
    lines = [
        "# Factors",
        "",
        "One row of `factors.parquet` per scan, one of `lesions.parquet` per lesion. Empty: not "
        "defined, such as the mean volume of no lesion, or the distance to a pleura that the "
        "labels do not show.",
        "",
        f"Codes of four letters are features of IBSI: {IBSI}.",
    ]
    for each in DEFINITIONS:
        lines += ["", f"## {each.name} (`{each.column}`, {each.unit})", ""]
        lines.append(f"- of a scan: {each.scan}")
        if each.lesion:
            lines.append(f"- of a lesion: {each.lesion}")
        lines.append(f"- source: {each.source}")
        if each.beside:
            lines.append(f"- beside it: {each.beside}")
    return "\n".join(lines) + "\n"
