"""The 3D view as data: quantised surfaces that a few lines of script hand to plotly."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.dicom.out.terms import CLASS_TERMS, VALUE_OF_CLASS
from covidlit.lesions.report.meshes import Mesh, joined, lesion_surfaces, lung_surface
from covidlit.scans.lesion_labels import LESION_CLASSES

LUNG_TRIANGLES = 40_000
LESION_TRIANGLES = 60_000
"""Budgets: with them the surfaces take at most 1.5 MB of the page."""

_TENTHS = 10.0
"""Vertices are kept in tenths of a millimetre, as 16-bit whole numbers."""

_LUNG_VALUES = (1, 2, 3, 4, 5)
_OUTSIDE_LUNG = 6


def scene(
    classes: NDArray[np.uint8],
    instances: NDArray[np.integer[Any]],
    lesions: pd.DataFrame,
    affine: NDArray[np.float64],
) -> dict[str, Any]:
    """What the page's script draws.

    Args:
        classes, instances: (z, y, x), contract 7.
        lesions: of contract 8.
        affine: index (z, y, x) to LPS mm.

    Returns:
        `origin` (LPS mm) and `surfaces`, each with `name`, `colour`, `opacity`, `x`, `y`, `z`
        (base64 of int16, tenths of mm from the origin), `i`, `j`, `k` (base64 of uint16 or uint32,
        by `wide`), `owner` (base64 of uint16 places in `numbers` and `texts`),
        `numbers` of the lesions, 0 for the lungs, and `texts`.
    """
    middle = affine[:3, :3] @ ((np.array(classes.shape) - 1) / 2) + affine[:3, 3]
    surfaces = []
    lungs = lung_surface(np.isin(classes, _LUNG_VALUES), affine, LUNG_TRIANGLES)
    if lungs is not None:
        surfaces.append(_surface(lungs, middle, 1, 0.18, {0: "Lungs"}))
    meshes = lesion_surfaces(instances, affine, LESION_TRIANGLES)
    texts = {int(row["lesion_id"]): _text(row) for row in lesions.to_dict("records")}
    value_of = {
        int(row["lesion_id"]): VALUE_OF_CLASS[row["class_name"]]
        for row in lesions.to_dict("records")
    }
    for value in CLASS_TERMS:
        own = [mesh for number, mesh in meshes.items() if value_of.get(number) == value]
        if own:
            opacity = 0.45 if value == _OUTSIDE_LUNG else 1.0
            surfaces.append(_surface(joined(own), middle, value, opacity, texts))
    return {"origin": [round(float(v), 2) for v in middle], "surfaces": surfaces}


def scene_json(data: dict[str, Any]) -> str:
    """JSON that may stand inside a script element, whatever its texts hold."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _text(row: dict[Any, Any]) -> str:
    name = CLASS_TERMS[VALUE_OF_CLASS[row["class_name"]]].label
    return f"Lesion {int(row['lesion_id'])}: {name}, {float(row['volume_ml']):.2f} mL"


def _surface(
    mesh: Mesh, middle: NDArray[np.float64], value: int, opacity: float, texts: dict[int, str]
) -> dict[str, Any]:
    owners = np.unique(mesh.owner)
    tenths = np.rint((mesh.vertices - middle) * _TENTHS)
    tenths = np.clip(tenths, -32768, 32767).astype("<i2")
    wide = len(tenths) > 65535
    faces = mesh.faces.astype("<u4" if wide else "<u2")
    name = LESION_CLASSES[value]
    return {
        "name": CLASS_TERMS[value].label if value > 1 else "Lungs",
        "class": name,
        "colour": "rgb({},{},{})".format(*CLASS_TERMS[value].rgb),
        "opacity": opacity,
        **{axis: _base64(tenths[:, k]) for k, axis in enumerate("xyz")},
        **{corner: _base64(faces[:, k]) for k, corner in enumerate("ijk")},
        "wide": wide,
        "owner": _base64(np.searchsorted(owners, mesh.owner).astype("<u2")),
        "numbers": owners.tolist(),
        "texts": [texts.get(int(owner), f"Lesion {owner}") for owner in owners],
    }


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
