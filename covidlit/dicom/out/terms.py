"""Coded terms: what the classes and the factors are called in DICOM objects, units and colours."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
from pydicom.sr.coding import Code

from covidlit.scans.lesion_labels import FIRST_LESION, LESION_CLASSES

OWN_SCHEME = "99COVIDLIT"
"""Coding scheme of terms for which no standard one was found (PS3.16, section 8: 99 is private)."""

BODY_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
LUNG = Code("39607008", "SCT", "Lung")
PLEURA = Code("3120008", "SCT", "Pleura")
LESION = Code("52988006", "SCT", "Lesion")
TOTAL = Code("255619001", "SCT", "Total")
MEAN = Code("373098007", "SCT", "Mean")
MAXIMUM = Code("56851009", "SCT", "Maximum")
CT_OF_CHEST = Code("169069000", "SCT", "CT of chest")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")

MILLILITRE = Code("mL", "UCUM", "milliliter")
MILLIMETRE = Code("mm", "UCUM", "millimeter")
HOUNSFIELD = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
HOUNSFIELD_PER_MM = Code("[hnsf'U]/mm", "UCUM", "Hounsfield unit per millimeter")
PERCENT = Code("%", "UCUM", "Percent")
NO_UNIT = Code("1", "UCUM", "no units")


class ClassTerms(NamedTuple):
    """What a class of contract 7 is called.

    Args:
        label: for people.
        category, kind: segmented property category and type, also finding category and type.
        site: anatomic region.
        rgb: colour, 0 to 255, the same in every object, figure and page.
    """

    label: str
    category: Code
    kind: Code
    site: Code
    rgb: tuple[int, int, int]


CLASS_TERMS: dict[int, ClassTerms] = {
    1: ClassTerms("Lung", BODY_STRUCTURE, LUNG, LUNG, (86, 180, 233)),
    2: ClassTerms(
        "Consolidation", ABNORMAL, Code("95436008", "SCT", "Lung consolidation"), LUNG, (213, 94, 0)
    ),
    3: ClassTerms(
        "Ground glass",
        ABNORMAL,
        Code("RID28531", "RADLEX", "ground-glass opacity"),
        LUNG,
        (240, 228, 66),
    ),
    4: ClassTerms(
        "Fibrosis", ABNORMAL, Code("112674009", "SCT", "Fibrosis"), LUNG, (204, 121, 167)
    ),
    5: ClassTerms(
        "Interstitial thickening",
        ABNORMAL,
        Code("112004", "DCM", "Abnormal interstitial pattern"),
        LUNG,
        (0, 158, 115),
    ),
    6: ClassTerms(
        "Pleural effusion",
        ABNORMAL,
        Code("60046008", "SCT", "Pleural effusion"),
        PLEURA,
        (0, 114, 178),
    ),
}
"""Terms by value of contract 7. The colours are those of Okabe and Ito, told apart by most eyes."""

VALUE_OF_CLASS = {name: value for value, name in LESION_CLASSES.items() if value >= FIRST_LESION}


class FactorTerms(NamedTuple):
    """How a column of contract 8 becomes a measurement.

    Args:
        name: concept.
        unit: UCUM.
        derivation: how it was derived from several values, where it was.
        label: for people, without the unit.
        unit_label: for people.
    """

    name: Code
    unit: Code
    derivation: Code | None
    label: str
    unit_label: str


_VOLUME = Code("118565006", "SCT", "Volume")
_DENSITY = Code("112031", "DCM", "Attenuation Coefficient")
_DIAMETER_3D = Code("L0JK", "IBSI", "Maximum 3D Diameter of a Mesh")
_DIAMETER_2D = Code("103339001", "SCT", "Long axis")
_SPHERICITY = Code("QCFX", "IBSI", "Sphericity")
_NUMBER = Code("246206008", "SCT", "Number of lesions")
_PROPORTION = Code("proportion", OWN_SCHEME, "Proportion of lesions of the lung volume")
_EDGE = Code("edge_clarity", OWN_SCHEME, "Edge clarity: mean gradient across the lesion border")
_PLEURA = Code("pleural_distance", OWN_SCHEME, "Distance from the lesion to the lung border")
_CHANGE = Code("volume_change", OWN_SCHEME, "Lesion volume change since the previous scan")

SCAN_TERMS: dict[str, FactorTerms] = {
    "n_lesions": FactorTerms(_NUMBER, NO_UNIT, None, "Number of lesions", ""),
    "total_volume_ml": FactorTerms(_VOLUME, MILLILITRE, TOTAL, "Total volume", "mL"),
    "mean_volume_ml": FactorTerms(_VOLUME, MILLILITRE, MEAN, "Mean volume", "mL"),
    "proportion_percent": FactorTerms(_PROPORTION, PERCENT, None, "Proportion of the lung", "%"),
    "max_diameter_3d_mm": FactorTerms(
        _DIAMETER_3D, MILLIMETRE, MAXIMUM, "Maximum 3D long diameter", "mm"
    ),
    "max_diameter_2d_mm": FactorTerms(
        _DIAMETER_2D, MILLIMETRE, MAXIMUM, "Maximum 2D long diameter", "mm"
    ),
    "mean_density_hu": FactorTerms(_DENSITY, HOUNSFIELD, MEAN, "Mean density", "HU"),
    "edge_clarity_hu_per_mm": FactorTerms(_EDGE, HOUNSFIELD_PER_MM, None, "Edge clarity", "HU/mm"),
    "pleural_distance_mm": FactorTerms(_PLEURA, MILLIMETRE, None, "Pleural distance", "mm"),
    "form": FactorTerms(_SPHERICITY, NO_UNIT, MEAN, "Form (sphericity of the three largest)", ""),
    "volume_change_ml": FactorTerms(_CHANGE, MILLILITRE, None, "Volume change", "mL"),
}
"""The eleven factors of a scan (contract 8): column -> terms."""

LESION_TERMS: dict[str, FactorTerms] = {
    "volume_ml": FactorTerms(_VOLUME, MILLILITRE, None, "Volume", "mL"),
    "proportion_percent": FactorTerms(_PROPORTION, PERCENT, None, "Proportion of the lung", "%"),
    "max_diameter_3d_mm": FactorTerms(_DIAMETER_3D, MILLIMETRE, None, "3D long diameter", "mm"),
    "max_diameter_2d_mm": FactorTerms(_DIAMETER_2D, MILLIMETRE, None, "2D long diameter", "mm"),
    "mean_density_hu": FactorTerms(_DENSITY, HOUNSFIELD, MEAN, "Mean density", "HU"),
    "edge_clarity_hu_per_mm": FactorTerms(_EDGE, HOUNSFIELD_PER_MM, None, "Edge clarity", "HU/mm"),
    "pleural_distance_mm": FactorTerms(_PLEURA, MILLIMETRE, None, "Pleural distance", "mm"),
    "form": FactorTerms(_SPHERICITY, NO_UNIT, None, "Form (sphericity)", ""),
    "volume_change_ml": FactorTerms(_CHANGE, MILLILITRE, None, "Volume change", "mL"),
}
"""The measurements of a lesion (contract 8): column -> terms; a column may be absent."""

UNDEFINED = "not defined"


def value_text(value: Any, terms: FactorTerms) -> str:
    """A value as people read it, with its unit; `UNDEFINED` where it is null.

    Args:
        value: of the column.
        terms: of the column.
    """
    if value is None or pd.isna(value):
        return UNDEFINED
    number = float(value)
    digits = 0 if number.is_integer() and not terms.unit_label else 2
    digits = 0 if terms.unit_label == "HU" else digits
    return f"{number:.{digits}f} {terms.unit_label}".strip()
