"""Resample and crop every scan once, into a content-addressed cache (contract 4)."""

from covidlit.preprocess.cache import FORMAT, Sidecar, VolumeCache, pixel_hash, source_hash
from covidlit.preprocess.geometry import Crop, Geometry, Prepared, prepare_scan, resample
from covidlit.preprocess.prepare import PreparedCohort, prepare_cohort

__all__ = [
    "FORMAT",
    "Crop",
    "Geometry",
    "Prepared",
    "PreparedCohort",
    "Sidecar",
    "VolumeCache",
    "pixel_hash",
    "prepare_cohort",
    "prepare_scan",
    "resample",
    "source_hash",
]
