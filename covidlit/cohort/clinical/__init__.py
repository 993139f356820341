"""Clinical tables: contract 9, and the reading of hospitals' own tables into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from covidlit.cohort.clinical.contract import (
        CLINICAL_SCHEMA,
        read_clinical,
        validate_clinical,
        write_clinical,
    )
    from covidlit.cohort.clinical.indicators import (
        INDICATORS,
        OUTCOMES,
        SEVERITIES,
        Indicator,
    )
    from covidlit.cohort.clinical.join import JoinedByDate, join_by_date
    from covidlit.cohort.clinical.mapping import ClinicalMapping
    from covidlit.cohort.clinical.mapping_file import load_mapping
    from covidlit.cohort.clinical.missingness import Missingness, missing_values
    from covidlit.cohort.clinical.read_source import read_clinical_source
    from covidlit.cohort.clinical.reduce import Reduced, reduce_measurements
    from covidlit.cohort.clinical.source import ClinicalSource
    from covidlit.cohort.clinical.units import convert

__all__ = [
    "CLINICAL_SCHEMA",
    "INDICATORS",
    "OUTCOMES",
    "SEVERITIES",
    "ClinicalMapping",
    "ClinicalSource",
    "Indicator",
    "JoinedByDate",
    "Missingness",
    "Reduced",
    "convert",
    "join_by_date",
    "load_mapping",
    "missing_values",
    "read_clinical",
    "read_clinical_source",
    "reduce_measurements",
    "validate_clinical",
    "write_clinical",
]

# The schemas (pandera) and the tests of missingness (SciPy) take long to import.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "contract": ["CLINICAL_SCHEMA", "read_clinical", "validate_clinical", "write_clinical"],
        "indicators": ["INDICATORS", "Indicator", "OUTCOMES", "SEVERITIES"],
        "join": ["JoinedByDate", "join_by_date"],
        "mapping": ["ClinicalMapping"],
        "mapping_file": ["load_mapping"],
        "missingness": ["Missingness", "missing_values"],
        "read_source": ["read_clinical_source"],
        "reduce": ["Reduced", "reduce_measurements"],
        "source": ["ClinicalSource"],
        "units": ["convert"],
    },
)
