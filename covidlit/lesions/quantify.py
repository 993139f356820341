"""The eleven factors of a scan and of each of its lesions, from HU and lesion labels."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.arguments import n_cores
from covidlit.cohort.factor_definitions import DEFINITIONS, Definition
from covidlit.cohort.scan_ids import scan_id_of
from covidlit.dicom.tracking import tracking_uid
from covidlit.lesions.border import surroundings_of
from covidlit.lesions.density import Density, density_of
from covidlit.lesions.diameter import diameter_2d, diameter_3d, row_ends
from covidlit.lesions.edge import Edge, edge_clarity
from covidlit.lesions.form import sphericity
from covidlit.lesions.pleura import Pleura
from covidlit.lesions.volume import Crop, crops_of, voxel_ml
from covidlit.lesions.zones import SIDES, ZONES, LungZones, lesion_zones, lung_zones
from covidlit.scans.lesion_labels import FIRST_LESION, LESION_CLASSES, LabelError, LesionLabels
from covidlit.scans.scan import Scan

LARGEST = 3
"""The paper's form is that of so many lesions, the largest ones."""

UNKNOWN_PATIENT = "unknown"

_SAME_PLACE_MM = 0.05


@dataclass(frozen=True)
class Factors:
    """What was measured on one scan.

    Args:
        scan: a row of `factors.parquet` (contract 8), with further columns: volumes of the lungs,
            factors by side, zone and class. None where undefined.
        lesions: rows of `lesions.parquet`, one per lesion by number, with `tracking_uid` and the
            centre of the lesion in LPS mm (`centre_x_mm`, ...).
        definitions: what each of the numbers is.
    """

    scan: dict[str, Any]
    lesions: pd.DataFrame
    definitions: Sequence[Definition] = DEFINITIONS


@dataclass(frozen=True)
class _Measured:
    """One lesion with what adds up over lesions."""

    row: dict[str, Any]
    n_voxels: int
    density: Density
    edge: Edge | None
    by_side: NDArray[np.int64]
    box: tuple[slice, slice, slice]
    drawn: str


def quantify_labels(
    scan: Scan,
    labels: LesionLabels,
    *,
    patient_id: str = UNKNOWN_PATIENT,
    scan_id: str | None = None,
    acquisition_date: date | str | None = None,
) -> Factors:
    """Measure the factors of a scan.

    Args:
        scan: the CT.
        labels: its lesion labels (contract 7). Where they hold no lung (class 1), as masks of
            lesions alone do, the proportion and the distance to the pleura are undefined.
        patient_id: of the manifest.
        scan_id: of the manifest; None for that of `scan.series_uid`.
        acquisition_date: where it is known; without one the scan has no place in a trend.

    Raises:
        LabelError: the labels have another shape than the scan or lie elsewhere in the patient.
    """
    _check_geometry(scan, labels)
    name = scan_id or scan_id_of(scan.series_uid or "scan")
    has_lung = any((section == 1).any() for section in labels.classes)
    # NumPy and SciPy let go of the interpreter; edt and marching cubes, a third of it all, do not.
    with ThreadPoolExecutor(max(1, n_cores())) as pool:
        zones = pool.submit(lung_zones, labels.classes, scan.hu, scan.spacing)
        found = pool.submit(crops_of, labels.instances)
        pleura = Pleura(labels.classes, scan.spacing) if has_lung else None
        lungs = zones.result()
        largest = sorted(found.result(), key=lambda crop: (-crop.n_voxels, crop.number))
        measured = list(pool.map(lambda crop: _measure(crop, scan, labels, lungs, pleura), largest))
    measured.sort(key=lambda lesion: lesion.row["lesion_id"])
    keys: dict[str, Any] = {"patient_id": patient_id, "scan_id": name}
    lung = int(lungs.voxels.sum()) if has_lung else 0
    rows = [
        {
            **keys,
            **lesion.row,
            "proportion_percent": _percent(lesion.n_voxels, lung),
            "volume_change_ml": None,
            "tracking_uid": tracking_uid(
                scan.series_uid or name, lesion.row["lesion_id"], lesion.drawn
            ),
        }
        for lesion in measured
    ]
    table = pd.DataFrame(rows, columns=None if rows else list(_EMPTY_ROW))
    row = {**keys, "acquisition_date": acquisition_date}
    row |= _scan_factors(measured, lungs, voxel_ml(scan.affine), has_lung)
    return Factors(row, table)


def _check_geometry(scan: Scan, labels: LesionLabels) -> None:
    if labels.classes.shape != scan.hu.shape:
        raise LabelError(
            f"the labels have {labels.classes.shape} voxels (z, y, x), the scan {scan.hu.shape}.",
            where=scan.series_uid or None,
            fix="give labels in the geometry of this series, voxel for voxel.",
        )
    corners = np.array([[z, y, x, 1] for z in (0, 1) for y in (0, 1) for x in (0, 1)])
    corners[:, :3] *= np.array(scan.hu.shape) - 1
    apart = np.abs((labels.affine - scan.affine) @ corners.T).max()
    if not apart <= _SAME_PLACE_MM + 1e-6 * np.abs(scan.affine).max():
        raise LabelError(
            f"the labels do not lie where the scan does: voxels are up to {apart:.2f} mm apart.",
            where=scan.series_uid or None,
            fix="give labels of this series; resample masks of another one first.",
        )


_EMPTY_ROW = (
    "patient_id", "scan_id", "lesion_id", "class_name", "volume_ml", "max_diameter_3d_mm",
    "max_diameter_2d_mm", "mean_density_hu", "density_sd_hu", "edge_clarity_hu_per_mm",
    "pleural_distance_mm", "form", "side", "zone", "centre_x_mm", "centre_y_mm", "centre_z_mm",
    "proportion_percent", "volume_change_ml", "tracking_uid",
)  # fmt: skip


def _measure(
    crop: Crop, scan: Scan, labels: LesionLabels, lungs: LungZones, pleura: Pleura | None
) -> _Measured:
    spacing = scan.spacing
    values = scan.hu[crop.box]
    density = density_of(values[crop.mask])
    ends = row_ends(crop.mask)
    around = surroundings_of(crop, scan.hu.shape, spacing)
    edge = edge_clarity(around, around.of(scan.hu), around.of(labels.classes) == 1, spacing)
    by_side = lesion_zones(crop, lungs)
    heights = np.bincount(lungs.zone[crop.box[0]], by_side.sum(axis=1), len(ZONES))
    centre = scan.affine[:3, :3] @ _centre(crop) + scan.affine[:3, 3]
    first = tuple(part.start + int(at) for part, at in zip(crop.box, ends[0], strict=True))
    row = {
        "lesion_id": crop.number,
        "class_name": LESION_CLASSES[int(labels.classes[first])],
        "volume_ml": crop.n_voxels * voxel_ml(scan.affine),
        "max_diameter_3d_mm": diameter_3d(ends, spacing),
        "max_diameter_2d_mm": diameter_2d(ends, spacing),
        "mean_density_hu": density.mean,
        "density_sd_hu": density.sd,
        "edge_clarity_hu_per_mm": None if edge is None else edge.clarity,
        "pleural_distance_mm": None if pleura is None else pleura.distance(crop, ends),
        "form": sphericity(around, spacing),
        "side": SIDES[int(by_side.sum(axis=0).argmax())],
        "zone": ZONES[int(heights.argmax())],
        "centre_x_mm": float(centre[0]),
        "centre_y_mm": float(centre[1]),
        "centre_z_mm": float(centre[2]),
    }
    return _Measured(row, crop.n_voxels, density, edge, by_side, crop.box, crop.fingerprint())


def _centre(crop: Crop) -> NDArray[np.float64]:
    """The centre of mass, index (z, y, x) of the volume."""
    at = []
    for axis, part in enumerate(crop.box):
        counts = np.count_nonzero(crop.mask, axis=tuple(k for k in range(3) if k != axis))
        at.append(part.start + float(counts @ np.arange(len(counts))) / crop.n_voxels)
    return np.array(at)


def _scan_factors(
    lesions: list[_Measured], lungs: LungZones, millilitre: float, has_lung: bool
) -> dict[str, Any]:
    """The eleven of the scan, volumes of the lungs, and factors by side, zone and class."""
    total = sum(lesion.n_voxels for lesion in lesions)
    lung = int(lungs.voxels.sum()) if has_lung else 0
    rows = [lesion.row for lesion in lesions]
    largest = sorted(lesions, key=lambda each: (-each.n_voxels, each.row["lesion_id"]))[:LARGEST]
    density = sum((each.density for each in lesions), Density(0, 0.0, 0.0))
    distances = _present(rows, "pleural_distance_mm")
    out: dict[str, Any] = {
        "n_lesions": len(lesions),
        "total_volume_ml": total * millilitre,
        "mean_volume_ml": total * millilitre / len(lesions) if lesions else None,
        "proportion_percent": 100 * total / lung if lung else None,
        "max_diameter_3d_mm": max(_present(rows, "max_diameter_3d_mm"), default=None),
        "max_diameter_2d_mm": max(_present(rows, "max_diameter_2d_mm"), default=None),
        "mean_density_hu": density.mean if density.n else None,
        "edge_clarity_hu_per_mm": _mean_edge([each.edge for each in lesions]),
        "pleural_distance_mm": float(np.mean(distances)) if distances else None,
        "form": _mean(_present([each.row for each in largest], "form")),
        "volume_change_ml": None,
        "density_sd_hu": density.sd if density.n else None,
        "min_pleural_distance_mm": min(distances, default=None),
        "lung_volume_ml": lung * millilitre if has_lung else None,
    }
    out |= _by_place(lesions, lungs, millilitre, has_lung)
    for value, name in LESION_CLASSES.items():
        if value >= FIRST_LESION:
            own = sum(each.n_voxels for each in lesions if each.row["class_name"] == name)
            out[f"{name}_volume_ml"] = own * millilitre
    return out


def _by_place(
    lesions: list[_Measured], lungs: LungZones, millilitre: float, has_lung: bool
) -> dict[str, Any]:
    found = np.zeros_like(lungs.voxels)
    for each in lesions:
        found[each.box[0]] += each.by_side
    out: dict[str, Any] = {}
    for k, side in enumerate(SIDES):
        lung = int(lungs.voxels[:, k].sum()) if has_lung else 0
        out[f"{side}_lung_volume_ml"] = lung * millilitre if has_lung else None
        out[f"{side}_volume_ml"] = int(found[:, k].sum()) * millilitre
        out[f"{side}_proportion_percent"] = _percent(int(found[:, k].sum()), lung)
    for k, zone in enumerate(ZONES):
        own = lungs.zone == k
        lung = int(lungs.voxels[own].sum()) if has_lung else 0
        out[f"{zone}_proportion_percent"] = _percent(int(found[own].sum()), lung)
    return out


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _present(rows: list[dict[str, Any]], name: str) -> list[float]:
    return [row[name] for row in rows if row[name] is not None]


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _mean_edge(edges: list[Edge | None]) -> float | None:
    """The mean over all borders, each voxel at a border counting alike."""
    there = [edge for edge in edges if edge is not None]
    if not there:
        return None
    return float(np.average([e.clarity for e in there], weights=[e.n for e in there]))
