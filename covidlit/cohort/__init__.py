"""The cohort: manifest, labels, inclusion, tables, splits and the check for leakage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from covidlit.cohort.account import BuiltManifest
    from covidlit.cohort.build import manifest_from_dicom, manifest_from_images
    from covidlit.cohort.describe import show_table1, table1, table2
    from covidlit.cohort.flow import Flow, FlowStep
    from covidlit.cohort.inclusion import InclusionCriteria
    from covidlit.cohort.label_rule import (
        ByClass,
        ByColumn,
        LabelRule,
        ManifestTarget,
        MultiClass,
        TargetRule,
    )
    from covidlit.cohort.leakage import check_leakage
    from covidlit.cohort.manifest import (
        MANIFEST_SCHEMA,
        REQUIRED,
        read_manifest,
        validate_manifest,
        write_manifest,
    )
    from covidlit.cohort.scan_ids import scan_id_of
    from covidlit.cohort.split import PARTS, Part, Split
    from covidlit.cohort.splits import centre_held_out, from_column, from_file, patient_k_fold

__all__ = [
    "MANIFEST_SCHEMA",
    "PARTS",
    "REQUIRED",
    "BuiltManifest",
    "ByClass",
    "ByColumn",
    "Flow",
    "FlowStep",
    "InclusionCriteria",
    "LabelRule",
    "ManifestTarget",
    "MultiClass",
    "Part",
    "Split",
    "TargetRule",
    "centre_held_out",
    "check_leakage",
    "from_column",
    "from_file",
    "manifest_from_dicom",
    "manifest_from_images",
    "patient_k_fold",
    "read_manifest",
    "scan_id_of",
    "show_table1",
    "table1",
    "table2",
    "validate_manifest",
    "write_manifest",
]

# The schemas of the tables (pandera) take half a second to import; scoring a scan needs none.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "account": ["BuiltManifest"],
        "build": ["manifest_from_dicom", "manifest_from_images"],
        "describe": ["show_table1", "table1", "table2"],
        "flow": ["Flow", "FlowStep"],
        "inclusion": ["InclusionCriteria"],
        "label_rule": [
            "ByClass",
            "ByColumn",
            "LabelRule",
            "ManifestTarget",
            "MultiClass",
            "TargetRule",
        ],
        "leakage": ["check_leakage"],
        "manifest": [
            "MANIFEST_SCHEMA",
            "REQUIRED",
            "read_manifest",
            "validate_manifest",
            "write_manifest",
        ],
        "scan_ids": ["scan_id_of"],
        "split": ["PARTS", "Part", "Split"],
        "splits": ["centre_held_out", "from_column", "from_file", "patient_k_fold"],
    },
)
