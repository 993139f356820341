"""Lesions: labels of voxels (contract 7) and the factors measured on them (contract 8)."""

from covidlit.cohort.factor_definitions import DEFINITIONS, Definition, definitions_markdown
from covidlit.cohort.factor_tables import (
    FACTORS,
    FACTORS_SCHEMA,
    LESIONS_SCHEMA,
    read_factors,
    read_lesions,
    validate_factors,
    validate_lesions,
)
from covidlit.lesions.label_files import write_labels
from covidlit.lesions.lungs import segment_lungs
from covidlit.lesions.matching import match_slices, number_lesions
from covidlit.lesions.quantify import Factors, quantify_labels, tracking_uid
from covidlit.lesions.slice_instances import SliceInstances, no_instances
from covidlit.lesions.spread import spread
from covidlit.scans.lesion_labels import (
    FIRST_LESION,
    LESION_CLASSES,
    LabelError,
    LesionLabels,
    label_paths,
    read_labels,
    validate_labels,
)

__all__ = [
    "DEFINITIONS",
    "FACTORS",
    "FACTORS_SCHEMA",
    "FIRST_LESION",
    "LESIONS_SCHEMA",
    "LESION_CLASSES",
    "Definition",
    "Factors",
    "LabelError",
    "LesionLabels",
    "SliceInstances",
    "definitions_markdown",
    "label_paths",
    "match_slices",
    "no_instances",
    "number_lesions",
    "quantify_labels",
    "read_factors",
    "read_labels",
    "read_lesions",
    "segment_lungs",
    "spread",
    "tracking_uid",
    "validate_factors",
    "validate_labels",
    "validate_lesions",
    "write_labels",
]
